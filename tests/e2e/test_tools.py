"""Tool calls through the official client: the loop, every form of choosing, the old and the custom forms."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.gateway.served import MODEL


def function(name: str, description: str, **properties: Any) -> Any:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    fields = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": fields}


WEATHER = function("get_weather", "Get the current weather in a city", city={"type": "string"})
CLOCK = function("current_time", "The time in a timezone", timezone={"type": "string"})
TOOLS = [WEATHER, CLOCK]
PARIS = "What is the weather in Paris?"
BOTH = "What is the weather in Paris and the weather in Rome?"


def asked(client: openai.OpenAI, text: str, **fields: Any) -> Any:
    """One whole answer's choice."""
    messages: Any = [{"role": "user", "content": text}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, **fields)
    return answer.choices[0]


def calls_of(choice: Any) -> list[tuple[str, dict[str, Any]]]:
    return [
        (call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []
    ]


def test_a_tool_loop_of_three_turns(client: openai.OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": PARIS}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.content is None
    assert calls_of(first) == [("get_weather", {"city": "Paris"})]
    [call] = first.message.tool_calls or []
    messages += [
        first.message.to_dict(),  # type: ignore[list-item]  # as agents send it back
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": "21 degrees"}'},
    ]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0]
    assert second.finish_reason == "stop"
    assert "21 degrees" in (second.message.content or "")
    messages += [
        {"role": "assistant", "content": second.message.content},
        {"role": "user", "content": "And the weather in Rome?"},
    ]
    third = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0]
    assert calls_of(third) == [("get_weather", {"city": "Rome"})]
    ids = {each.id for choice in (first, third) for each in choice.message.tool_calls or []}
    assert len(ids) == 2


def test_a_streamed_call_is_folded_by_the_helper(client: openai.OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": BOTH}]
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=TOOLS) as stream:
        done = [event.name for event in stream if event.type == "tool_calls.function.arguments.done"]
        choice = stream.get_final_completion().choices[0]
    assert done == ["get_weather", "get_weather"]
    assert choice.finish_reason == "tool_calls"
    assert calls_of(choice) == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    assert len({call.id for call in choice.message.tool_calls or []}) == 2


def _named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("choice", "names", "reason"),
    [
        ("auto", ["get_weather"], "tool_calls"),
        ("none", [], "stop"),
        ("required", ["get_weather"], "tool_calls"),
        (_named("current_time"), ["current_time"], "stop"),  # as OpenAI ends the call of a named function
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [_named("current_time")]}},
            [],
            "stop",
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [_named("current_time")]},
            },
            ["current_time"],
            "tool_calls",
        ),
    ],
    ids=["auto", "none", "required", "named", "allowed auto", "allowed required"],
)
def test_every_form_of_tool_choice(client: openai.OpenAI, choice: Any, names: list[str], reason: str) -> None:
    said = asked(client, PARIS, tools=TOOLS, tool_choice=choice)
    assert [name for name, _arguments in calls_of(said)] == names
    assert said.finish_reason == reason


def test_parallel_calls_are_cut_to_one_where_they_are_forbidden(client: openai.OpenAI) -> None:
    assert len(calls_of(asked(client, BOTH, tools=TOOLS))) == 2
    one = asked(client, BOTH, tools=TOOLS, parallel_tool_calls=False)
    assert calls_of(one) == [("get_weather", {"city": "Paris"})]


@pytest.mark.parametrize("stream", [False, True])
def test_the_deprecated_functions(client: openai.OpenAI, *, stream: bool) -> None:
    functions = [tool["function"] for tool in TOOLS]
    messages: Any = [{"role": "user", "content": PARIS}]
    if stream:
        chunks = list(
            client.chat.completions.create(model=MODEL, messages=messages, functions=functions, stream=True)
        )
        deltas = [chunk.choices[0].delta.function_call for chunk in chunks]
        name = "".join(delta.name or "" for delta in deltas if delta)
        arguments = "".join(delta.arguments or "" for delta in deltas if delta)
        reason = chunks[-1].choices[0].finish_reason
    else:
        choice = asked(client, PARIS, functions=functions)
        name, arguments = choice.message.function_call.name, choice.message.function_call.arguments
        reason = choice.finish_reason
    assert (name, json.loads(arguments), reason) == ("get_weather", {"city": "Paris"}, "function_call")
    messages += [
        {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": arguments}},
        {"role": "function", "name": name, "content": '{"temperature": "21 degrees"}'},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, functions=functions)
    assert "21 degrees" in (answer.choices[0].message.content or "")


def test_a_custom_tool_gets_free_text(client: openai.OpenAI) -> None:
    tool = {"type": "custom", "custom": {"name": "shell", "description": "Runs a shell command"}}
    choice = asked(client, "Use the shell tool to run ls", tools=[tool])
    [call] = choice.message.tool_calls
    assert (call.type, call.custom.name, choice.finish_reason) == ("custom", "shell", "tool_calls")
    assert "ls" in call.custom.input
    messages: Any = [
        {"role": "user", "content": "Use the shell tool to run ls"},
        choice.message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "README.md is the one file"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[tool])  # type: ignore[list-item]
    assert "README.md" in (answer.choices[0].message.content or "")


def test_a_schema_of_a_typed_framework_is_taken(client: openai.OpenAI) -> None:
    """As pydantic writes it: `$defs`, `$ref`, `anyOf` with null, titles, no descriptions, strict."""
    parameters = {
        "$defs": {"Place": {"type": "object", "title": "Place", "properties": {"city": {"type": "string"}}}},
        "type": "object",
        "title": "Query",
        "properties": {
            "place": {"$ref": "#/$defs/Place"},
            "unit": {"anyOf": [{"type": "string", "enum": ["C", "F"]}, {"type": "null"}], "default": None},
        },
        "required": ["place"],
        "additionalProperties": False,
    }
    tool = {
        "type": "function",
        "function": {"name": "get_weather", "parameters": parameters, "strict": True},
    }
    [(name, arguments)] = calls_of(asked(client, PARIS, tools=[tool], tool_choice="required"))
    assert name == "get_weather"
    assert isinstance(arguments["place"], dict)
