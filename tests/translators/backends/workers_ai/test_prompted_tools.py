"""Tools for models without function calling: what they are told, and what their answers become."""

from typing import Any

import msgspec
import pytest

from tests.laws.bodies import PIXEL
from tests.laws.exchange import Translated, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.deltas import Call, Delta, Finish, Text, Usage, fold
from translators.errors import ApiError

PLAIN = Facts(family="legacy")
ADVISED = Facts(family="legacy", can=frozenset({"tools"}), takes_tool_choice=False)
USER = {"role": "user", "content": "hi"}
F: Any = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "Does\nf",
        "parameters": {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"type": "integer"}},
        },
    },
}
G: Any = {"type": "function", "function": {"name": "g"}}
CUSTOM: Any = {"type": "custom", "custom": {"name": "c"}}


def _asked(*messages: Any, facts: Facts = PLAIN, tools: Any = (F, G), **fields: Any) -> Translated:
    body = {"model": "m", "messages": list(messages or [USER]), **fields}
    return translated(body | ({"tools": list(tools)} if tools else {}), facts=facts)


def _sent(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    (body,) = _asked(*messages, **fields).bodies
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    sent: list[dict[str, Any]] = body["messages"]
    return sent


def _instruction(**fields: Any) -> str:
    (system, user) = _sent(**fields)
    assert (system["role"], user) == ("system", USER)
    return str(system["content"])


def test_the_tools_and_one_form_of_a_call_are_described_in_the_system_s_turn() -> None:
    lines = _instruction().split("\n")
    assert msgspec.json.decode(lines[1]) == {
        "name": "f",
        "description": "Does\nf",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }
    assert msgspec.json.decode(lines[2]) == {"name": "g", "description": "", "parameters": {}}
    assert lines[4].startswith('<tool_call>{"name": ')
    assert "Several calls" in lines[5]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_an_instruction_of_the_client_comes_first_in_the_same_turn(role: str) -> None:
    system, user = _sent({"role": role, "content": "Be kind."}, USER)
    assert (system["role"], user) == ("system", USER)
    assert system["content"].startswith("Be kind.\n\nYou have these tools.")
    assert _sent({"role": role, "content": ""}, USER)[0]["content"].startswith("You have these tools.")


def test_an_instruction_that_shows_an_image_keeps_its_turn() -> None:
    facts = Facts(family="legacy", content="image_parts")
    shown = {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}
    told, *others = _sent(shown, USER, facts=facts)
    assert told["content"].startswith("You have these tools.")
    assert others == [shown, USER]
    with pytest.raises(ApiError) as caught:
        _sent(shown, USER)
    assert caught.value.param == "messages[0].content[0]"


def test_a_custom_tool_is_described_by_its_one_string() -> None:
    assert '"name":"c"' in _instruction(tools=[CUSTOM])
    assert '"input"' in _instruction(tools=[CUSTOM])


def test_a_schema_out_of_bounds_is_refused_at_its_place() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"$ref": "http://x"}}}
    with pytest.raises(ApiError) as caught:
        _asked(tools=[tool])
    assert caught.value.param == "tools[0].function.parameters"


_NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("choice", "told", "names"),
    [
        ("auto", "where it helps", ["f", "g"]),
        ("required", "must call one of the tools", ["f", "g"]),
        (_NAMED, "must call the tool `f`", ["f"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [_NAMED]}},
            "where it helps",
            ["f"],
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [_NAMED]}},
            "must call the tool `f`",
            ["f"],
        ),
    ],
)
def test_the_choice_is_told_in_words(choice: Any, told: str, names: list[str]) -> None:
    words = _instruction(tool_choice=choice)
    assert told in words
    assert [name for name in ("f", "g") if f'"name":"{name}"' in words] == names
    fates = _asked(tool_choice=choice).fates()
    assert (fates["tools"], fates["tool_choice"]) == ("emulated", "kept" if choice == "auto" else "emulated")


def test_tools_that_may_not_be_called_are_not_told() -> None:
    exchange = _asked(tool_choice="none")
    assert exchange.bodies[0]["messages"] == [USER]
    assert (exchange.fates()["tools"], exchange.fates()["tool_choice"]) == ("kept", "emulated")
    assert _sent(tools=()) == [USER]


def test_one_call_at_most_is_told_and_enforced() -> None:
    assert "one call at most" in _instruction(parallel_tool_calls=False)
    exchange = _asked(parallel_tool_calls=False)
    assert exchange.fates()["parallel_tool_calls"] == "emulated"
    text = '<tool_call>{"name": "f"}</tool_call><tool_call>{"name": "g"}</tool_call>'
    calls = [each for each in exchange.dialogue.take(0, _said(text)) if isinstance(each, Call)]
    assert [call.name for call in calls] == ["f"]


def test_calls_and_results_of_earlier_turns_become_text() -> None:
    called = {
        "role": "assistant",
        "content": "Wait.",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"id": "3", "type": "custom", "custom": {"name": "c", "input": "x"}},
            {"id": "4", "type": "function", "function": {"name": "g", "arguments": "{broken"}},
        ],
    }
    results = [
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "9", "content": "nine"},
    ]
    exchange = _asked(USER, called, *results, {"role": "user", "content": "so?"}, tools=())
    assert exchange.bodies[0]["messages"] == [
        USER,
        {
            "role": "assistant",
            "content": "Wait.\n"
            '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>\n'
            '<tool_call>{"name": "g", "arguments": {}}</tool_call>\n'
            '<tool_call>{"name": "c", "arguments": {"input":"x"}}</tool_call>\n'
            '<tool_call>{"name": "g", "arguments": "{broken"}</tool_call>',
        },
        {
            "role": "user",
            "content": '<tool_response name="f">\none\n</tool_response>\n'
            "<tool_response>\nnine\n</tool_response>",
        },
        {"role": "user", "content": "so?"},
    ]
    assert exchange.fates()["messages"] == "transformed"


def test_the_old_form_of_calls_becomes_text_as_well() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    _, assistant, user = _sent(USER, call, {"role": "function", "name": "f", "content": "x"}, tools=())
    assert assistant["content"] == '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    assert user == {"role": "user", "content": '<tool_response name="f">\nx\n</tool_response>'}


def test_thinking_beside_a_call_is_left_to_the_messages() -> None:
    turn = {"role": "assistant", "content": "a", "reasoning_content": "hm", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]}  # fmt: skip
    assert _sent(USER, turn, tools=())[1]["content"].startswith("a<tool_call>")


@pytest.mark.parametrize(
    "facts", [Facts(), Facts(family="openai", can=frozenset({"tools"})), Facts(family="legacy_guard")]
)
def test_models_with_tools_unlisted_models_and_guards_are_told_nothing(facts: Facts) -> None:
    assert _asked(facts=facts).bodies[0]["messages"] == [USER]


def test_a_prompt_has_no_tools() -> None:
    assert translated({"model": "m", "prompt": "p"}, facts=PLAIN).bodies[0]["prompt"] == "p"


def _said(text: str) -> list[Delta]:
    return [*(Text(0, piece) for piece in text), Finish(0, "stop"), Usage(9, 1)]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('Yes.\n<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>', '{"a": 1}'),
        ("Yes.\n<tool_call>{'name': 'f', 'arguments': {'a': '1',}}</tool_call>", '{"a": 1}'),
    ],
)
def test_what_the_model_writes_between_the_marks_is_a_call(text: str, arguments: str) -> None:
    (choice,) = fold(_asked().dialogue.take(0, _said(text))).choices
    assert choice.text_of("text") == "Yes."
    assert [(call.name, call.arguments) for call in choice.calls] == [("f", arguments)]
    assert choice.reason == "tool_calls"


def test_a_call_without_the_marks_is_one_as_well() -> None:
    (choice,) = fold(_asked().dialogue.take(0, _said('{"name": "f", "arguments": {}}'))).choices
    assert len(choice.calls) == 1


def test_a_model_that_only_talks_is_asked_once_more() -> None:
    dialogue = _asked(tool_choice="required").dialogue
    assert dialogue.take(0, _said("no")) == []
    (again,) = dialogue.next()
    body = msgspec.json.decode(again.body)
    assert [turn["role"] for turn in body["messages"]] == ["system", "user", "assistant", "user"]
    assert "tool_choice" not in body
    (choice,) = fold(dialogue.take(0, _said('<tool_call>{"name": "g"}</tool_call>'))).choices
    assert choice.calls[0].name == "g"


def test_a_json_mode_does_not_stand_in_the_way_of_calls() -> None:
    facts = Facts(family="legacy", json="response_format")
    form = {"type": "json_object"}
    assert "response_format" not in _asked(facts=facts, response_format=form).bodies[0]
    assert "response_format" in _asked(facts=facts, response_format=form, tool_choice="none").bodies[0]


def test_a_model_without_tool_choice_is_told_of_it_and_offered_the_tools() -> None:
    exchange = _asked(facts=ADVISED, tool_choice=_NAMED)
    body = exchange.bodies[0]
    assert "must call the tool `f`" in body["messages"][0]["content"]
    assert ([tool["function"]["name"] for tool in body["tools"]], "tool_choice" in body) == (["f"], False)
    assert exchange.fates()["tool_choice"] == "emulated"
    exchange.dialogue.take(0, _said("no"))
    (again,) = exchange.dialogue.next()
    assert "tool_choice" not in msgspec.json.decode(again.body)
    assert _asked(facts=ADVISED).bodies[0]["messages"] == [USER]


def test_calls_of_several_choices_have_ids_of_their_own() -> None:
    text = '<tool_call>{"name": "f"}</tool_call>'
    for choice in ("auto", "required"):
        dialogue = _asked(n=2, tool_choice=choice).dialogue
        out = [*dialogue.take(0, _said(text)), *dialogue.take(1, _said(text))]
        assert len({each.id for each in out if isinstance(each, Call)}) == 2
