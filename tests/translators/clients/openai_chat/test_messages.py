"""OpenAI's messages as turns."""

from typing import Any

import pytest

from translators.chat import Audio, Call, File, Image, Part, Reasoning, Refusal, Result, Text, Turn
from translators.clients.openai_chat.messages import left_out, read_messages
from translators.errors import ApiError


def _parts(**message: Any) -> tuple[Part, ...]:
    (turn,) = read_messages([message])
    return turn.parts


def test_plain_turns() -> None:
    turns = read_messages(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "c", "name": "ann"},
        ]
    )
    assert turns == (
        Turn("system", (Text("a"),), None, "messages[0]"),
        Turn("developer", (Text("b"),), None, "messages[1]"),
        Turn("user", (Text("c"),), "ann", "messages[2]"),
    )


def test_every_kind_of_part() -> None:
    parts = _parts(
        role="user",
        content=[
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "image_url", "image_url": {"url": "u"}},
            {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
            {"type": "image_url", "image_url": "u"},
            {"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}},
            {"type": "file", "file": {"filename": "n", "file_data": "d"}},
            {"type": "file", "file": {"file_id": "i"}},
        ],
    )
    assert parts == (
        Text("a"),
        Image("u"),
        Image("u", "low"),
        Image("u"),
        Audio("d", "wav"),
        File("n", "d"),
        File(id="i"),
    )


def test_an_assistants_turn_keeps_thinking_text_refusal_and_calls_in_order() -> None:
    parts = _parts(
        role="assistant",
        reasoning="hm",
        content=[{"type": "refusal", "refusal": "no"}, {"type": "text", "text": "a"}],
        refusal="never",
        tool_calls=[
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "2", "type": "custom", "custom": {"name": "c", "input": "x"}},
            {"id": "3", "function": {"name": "g"}},
        ],
        function_call={"name": "h", "arguments": "{}"},
    )
    assert parts == (
        Reasoning("hm"), Refusal("no"), Text("a"), Refusal("never"), Call("1", "f", "{}"),
        Call("2", "c", "x", "custom"), Call("3", "g", ""), Call("", "h", "{}"),
    )  # fmt: skip


def test_an_assistants_content_may_be_null_or_missing() -> None:
    assert _parts(role="assistant", content=None) == _parts(role="assistant") == ()


def test_a_tools_answer_is_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert _parts(role="tool", tool_call_id="1", content=parts) == (Result("ab", "1"),)
    assert _parts(role="tool", tool_call_id="1", content=None, name="f") == (Result("", "1", "f"),)
    assert _parts(role="function", name="f", content="a") == (Result("a", None, "f"),)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("hi", "messages[0]"),
        ({}, "messages[0].role"),
        ({"role": "bot", "content": "a"}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": "a", "name": 1}, "messages[0].name"),
        ({"role": "user", "content": ["a"]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "video"}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages[0].tool_calls[0].function"),
        ({"role": "assistant", "function_call": {}}, "messages[0].function_call.name"),
        ({"role": "tool", "content": "a"}, "messages[0].tool_call_id"),
        ({"role": "tool", "tool_call_id": "1", "content": 0}, "messages[0].content"),
        (
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "refusal", "refusal": "a"}]},
            "messages[0].content[0]",
        ),
        ({"role": "function", "content": "a"}, "messages[0].name"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(message: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_messages([message])
    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_conversation_has_at_least_one_message() -> None:
    with pytest.raises(ApiError, match="at least one message"):
        read_messages([])


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("hm", "hm"),
        ([{"type": "text", "text": "h"}, {"type": "reasoning_text", "text": "m"}, {"type": "x"}, 5], "hm"),
        ([], None),
        (5, None),
        ({"text": "hm"}, None),
    ],
)
def test_replayed_thinking_is_a_text_or_parts_with_texts(given: object, read: str | None) -> None:
    for name in ("reasoning_content", "reasoning"):
        parts = _parts(role="assistant", content="a", **{name: given})
        thinking = [part.text for part in parts if isinstance(part, Reasoning)]
        assert thinking == ([read] if read else [])


def test_what_is_left_out_of_messages_is_named_where_it_says_something() -> None:
    """OpenAI's clients send an answer back as they got it, with fields that are null or empty."""
    hint = {"type": "ephemeral"}
    part = {"type": "text", "text": "a", "cache_control": None, "annotations": []}
    answer = {"role": "assistant", "content": "a", "annotations": [], "audio": None, "provider": {}, "x": ""}
    assert left_out([answer, {"role": "user", "content": [part]}]) == ""
    said = [{**answer, "audio": {"id": "b"}}, {"role": "user", "content": [{**part, "cache_control": hint}]}]
    assert left_out(said) == "left out: audio, cache_control"
    assert left_out([{**answer, "x": False}]) == "left out: x"
