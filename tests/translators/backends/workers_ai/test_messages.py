"""Turns as the legacy schema's messages."""

from base64 import b64encode
from typing import Any

import pytest

from tests.laws.bodies import PIXEL
from tests.laws.exchange import SEED, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.errors import ApiError

STRINGS = Facts(family="legacy", can=frozenset({"tools"}))
VISION = Facts(family="legacy", content="string", can=frozenset({"vision"}))
PARTS = Facts(family="legacy", content="image_parts")
OPENAI = Facts(family="openai", content="openai", can=frozenset({"tools", "vision"}))
IMAGE = {"type": "image_url", "image_url": {"url": PIXEL}}


def _sent(*messages: dict[str, Any], facts: Facts = STRINGS, **fields: Any) -> dict[str, Any]:
    (body,) = translated({"model": "m", "messages": list(messages), **fields}, facts=facts).bodies
    return body


def _messages(*messages: dict[str, Any], facts: Facts = STRINGS) -> Any:
    return _sent(*messages, facts=facts)["messages"]


def _note(*messages: dict[str, Any], facts: Facts = STRINGS) -> str:
    entries = translated({"model": "m", "messages": list(messages)}, facts=facts).entries
    return next(entry.detail for entry in entries if entry.parameter == "messages")


def _error(*messages: dict[str, Any], facts: Facts = STRINGS, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        _sent(*messages, facts=facts, **fields)
    assert caught.value.status == 400
    return caught.value


def test_a_plain_conversation_is_sent_as_it_is() -> None:
    messages = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    assert _messages(*messages) == messages
    assert _note(*messages) == ""


def test_thinking_of_earlier_turns_is_not_sent_again() -> None:
    turn = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    assert _messages(turn) == [{"role": "assistant", "content": "a"}]
    assert "thinking" in _note(turn)


def test_calls_and_their_answers_go_in_openais_form_with_the_tools_name() -> None:
    assert _messages(
        {"role": "assistant", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"id": "2", "type": "custom", "custom": {"name": "c", "input": "x"}},
        ]},
        {"role": "tool", "tool_call_id": "2", "content": "b"},
        {"role": "tool", "tool_call_id": "9", "content": "?"},
    ) == [
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "2", "type": "function", "function": {"name": "c", "arguments": '{"input":"x"}'}},
        ]},
        {"role": "tool", "content": "b", "tool_call_id": "2", "name": "c"},
        {"role": "tool", "content": "?", "tool_call_id": "9"},
    ]  # fmt: skip


def test_deprecated_function_turns_get_ids_that_match() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": "a"}
    first, first_answer, second, second_answer = _messages(call, answer, call, answer)
    assert first["tool_calls"][0]["id"] == first_answer["tool_call_id"] == "call_function0"
    assert second["tool_calls"][0]["id"] == second_answer["tool_call_id"] == "call_function1"


@pytest.mark.parametrize("facts", [STRINGS, OPENAI])
def test_the_answer_of_a_function_has_an_id_also_where_its_call_is_not_shown(facts: Facts) -> None:
    answer = {"role": "function", "name": "f", "content": "a"}
    sent = {"role": "tool", "content": "a", "tool_call_id": "call_function0", "name": "f"}
    assert _messages(answer, facts=facts) == [sent]


def test_an_image_is_a_part_where_the_model_takes_parts() -> None:
    low = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    message = {"role": "user", "content": [{"type": "text", "text": "What?"}, low]}
    assert _messages(message, facts=PARTS) == [
        {"role": "user", "content": [{"type": "text", "text": "What?"}, IMAGE]}
    ]
    assert "detail" in _note(message, facts=PARTS)


@pytest.mark.parametrize("detail", ["auto", "low", "high", "original", ""])
def test_the_detail_of_an_image_is_one_that_openais_schema_knows(detail: str) -> None:
    image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": detail}}
    message = {"role": "user", "content": [image]}
    is_known = detail in {"auto", "low", "high"}
    assert _messages(message, facts=OPENAI)[0]["content"] == [image if is_known else IMAGE]
    assert ("detail" in _note(message, facts=OPENAI)) != is_known


@pytest.mark.parametrize("role", ["system", "developer", "assistant"])
def test_openais_schema_has_images_in_users_turns_alone(role: str) -> None:
    message = {"role": role, "content": [{"type": "text", "text": "a"}, IMAGE]}
    assert _error(message, facts=OPENAI).param == "messages[0].content[1]"
    assert _messages(message, facts=PARTS)[0]["content"] == message["content"]


def test_an_image_goes_into_its_own_field_where_the_model_sees_and_takes_strings() -> None:
    url = "data:image/gif;base64," + b64encode(b"GIF89a").decode()
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    body = _sent(message, facts=VISION)
    assert (body["image"], body["messages"][0]["content"]) == (list(b"GIF89a"), "")


@pytest.mark.parametrize(
    ("facts", "content", "param"),
    [
        (STRINGS, [IMAGE], "messages[0].content[0]"),
        (VISION, [IMAGE, IMAGE], "messages[0].content[1]"),
        (
            PARTS,
            [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
            "messages[0].content[0].image_url.url",
        ),
        (
            PARTS,
            [{"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}}],
            "messages[0].content[0]",
        ),
        (PARTS, [{"type": "text", "text": ""}, {"type": "file", "file": {}}], "messages[0].content[1]"),
    ],
)
def test_a_part_that_the_model_cannot_take_is_named(facts: Facts, content: list[Any], param: str) -> None:
    assert _error({"role": "user", "content": content}, facts=facts).param == param


def test_an_image_beside_one_in_the_messages_is_one_too_many() -> None:
    assert _error({"role": "user", "content": [IMAGE]}, facts=VISION, image=[1]).param == "image"


@pytest.mark.parametrize("role", ["user", "tool"])
@pytest.mark.parametrize("longest", ["a" * 131_072, "😀" * 65_536, "é" + "😀" * 65_535 + "a"])
def test_the_seed_models_longest_text_is_counted_in_utf_16(role: str, longest: str) -> None:
    message = {"role": role, "tool_call_id": "1"}
    (body,) = translated({"model": "m", "messages": [message | {"content": longest}]}, SEED).bodies
    assert body["messages"][0]["content"] == longest
    with pytest.raises(ApiError) as caught:
        translated({"model": "m", "messages": [message | {"content": longest + "a"}]}, SEED)
    assert (caught.value.param, caught.value.code) == ("messages[0].content", "string_above_max_length")
    assert "131073" in caught.value.message


def test_a_text_in_parts_is_as_long_as_all_of_them() -> None:
    halves = [{"type": "text", "text": "a" * 65_536}, {"type": "text", "text": "😀" * 32_768}]
    (body,) = translated({"model": "m", "messages": [{"role": "user", "content": halves}]}, SEED).bodies
    assert body["messages"][0]["content"] == "a" * 65_536 + "😀" * 32_768
    longer = [*halves, {"type": "text", "text": "a"}]
    with pytest.raises(ApiError) as caught:
        translated({"model": "m", "messages": [{"role": "user", "content": longer}]}, SEED)
    assert (caught.value.param, caught.value.code) == ("messages[0].content", "string_above_max_length")


def test_text_and_images_keep_their_order() -> None:
    parts = [{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}]
    assert _messages({"role": "user", "content": parts}, facts=PARTS) == [{"role": "user", "content": parts}]
