"""Tools where models make them hard, through the official client: told in words, advised, leaked, slipped."""

import json
from typing import Any

import openai
import pytest

PARIS = "What is the weather in Paris?"
BOTH = "What is the weather in Paris and the weather in Rome?"
TOLD = [
    "@cf/meta/llama-3.1-8b-instruct-fp8",
    "@cf/meta/llama-3.2-11b-vision-instruct",
    "@cf/qwen/qwq-32b",
    "@cf/aisingapore/gemma-sea-lion-v4-27b-it",
    "@cf/google/gemma-7b-it-lora",
    "@cf/mistral/mistral-7b-instruct-v0.2-lora",
]
ADVISED = [
    "@cf/qwen/qwen3-30b-a3b-fp8",
    "@cf/google/gemma-4-26b-a4b-it",
    "@cf/mistralai/mistral-small-3.1-24b-instruct",
]
FAULTY = "@cf/simulator/"
each_told = pytest.mark.parametrize("model", TOLD)
whole_and_streamed = pytest.mark.parametrize("stream", [False, True])


def _function(name: str, description: str, **properties: Any) -> Any:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


WEATHER = _function("get_weather", "Get the current weather in a city", city={"type": "string"})
CLOCK = _function("current_time", "The time in a timezone", timezone={"type": "string"})
ADD = _function("add_numbers", "Add two numbers", a={"type": "integer"}, b={"type": "integer"})
TOOLS = [WEATHER, CLOCK]


def _asked(client: openai.OpenAI, model: str, messages: Any, *, stream: bool = False, **fields: Any) -> Any:
    """The whole answer, folded by the SDK's helper where it is streamed."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    fields = {"model": model, "messages": messages, "tools": TOOLS, **fields}
    if not stream:
        return client.chat.completions.create(**fields)
    with client.chat.completions.stream(**fields, stream_options={"include_usage": True}) as events:
        return events.get_final_completion()


def _calls(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    calls = answer.choices[0].message.tool_calls or []
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


def _named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


@each_told
@whole_and_streamed
def test_a_tool_loop_of_three_turns_with_a_model_that_knows_no_tools(
    client: openai.OpenAI, model: str, *, stream: bool
) -> None:
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": BOTH}]
    first = _asked(client, model, messages, stream=stream)
    assert _calls(first) == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    assert (first.choices[0].finish_reason, first.choices[0].message.content) == ("tool_calls", None)
    calls = first.choices[0].message.tool_calls
    messages += [
        first.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"}),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
        {"role": "tool", "tool_call_id": calls[1].id, "content": '{"sky": "grey"}'},
    ]
    second = _asked(client, model, messages, stream=stream)
    assert second.choices[0].message.content == "get_weather says: sunny. get_weather says: sky is grey."
    assert second.choices[0].finish_reason == "stop"
    messages += [
        {"role": "assistant", "content": second.choices[0].message.content},
        {"role": "user", "content": "And the weather in Oslo?"},
    ]
    third = _asked(client, model, messages, stream=stream)
    assert _calls(third) == [("get_weather", {"city": "Oslo"})]
    assert len({call.id for answer in (first, third) for call in answer.choices[0].message.tool_calls}) == 3


@each_told
@pytest.mark.parametrize(
    ("choice", "names", "reason"),
    [
        ("auto", [], "stop"),
        ("none", [], "stop"),
        ("required", ["get_weather"], "tool_calls"),
        (_named("current_time"), ["current_time"], "stop"),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [_named("current_time")]},
            },
            ["current_time"],
            "tool_calls",
        ),
    ],
    ids=["auto", "none", "required", "named", "allowed"],
)
def test_every_form_of_tool_choice_with_a_model_that_knows_none(
    client: openai.OpenAI, model: str, choice: Any, names: list[str], reason: str
) -> None:
    answer = _asked(client, model, "Say hello to Ada", tool_choice=choice)
    assert [name for name, _ in _calls(answer)] == names
    assert answer.choices[0].finish_reason == reason


@each_told
def test_what_became_of_the_tools_is_reported(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": BOTH}],
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    report = answer.headers["x-penstock-translation"]
    assert all(f"{name}=emulated" in report for name in ("tools", "tool_choice", "parallel_tool_calls"))
    assert len(_calls(answer.parse())) == 1


def test_a_custom_tool_of_a_model_that_knows_no_tools_gets_free_text(client: openai.OpenAI) -> None:
    tool = {"type": "custom", "custom": {"name": "shell", "description": "Runs a shell command"}}
    answer = _asked(client, TOLD[0], "Use the shell tool to run ls", tools=[tool])
    [call] = answer.choices[0].message.tool_calls
    assert (call.type, call.custom.name) == ("custom", "shell")
    assert "ls" in call.custom.input


@pytest.mark.parametrize("model", ADVISED)
@whole_and_streamed
@pytest.mark.parametrize("choice", ["required", _named("get_weather")], ids=["required", "named"])
def test_a_required_tool_is_called_by_a_model_that_takes_it_for_advice(
    client: openai.OpenAI, model: str, choice: Any, *, stream: bool
) -> None:
    answer = _asked(client, model, "Say hello to Ada", stream=stream, tool_choice=choice)
    assert [name for name, _ in _calls(answer)] == ["get_weather"]


@whole_and_streamed
@pytest.mark.parametrize("choice", ["required", _named("get_weather")], ids=["required", "named"])
def test_a_tool_that_was_not_called_is_asked_for_once_more(
    client: openai.OpenAI, choice: Any, *, stream: bool
) -> None:
    answer = _asked(client, f"{FAULTY}ignored-force", PARIS, stream=stream, tool_choice=choice)
    assert _calls(answer) == [("get_weather", {"city": "Paris"})]
    assert answer.choices[0].message.content is None
    once = _asked(client, f"{FAULTY}ignored-force", PARIS, tool_choice="auto")
    assert answer.usage.completion_tokens > once.usage.completion_tokens


@whole_and_streamed
def test_a_call_is_never_invented(client: openai.OpenAI, *, stream: bool) -> None:
    answer = _asked(client, f"{FAULTY}ignored-force-always", PARIS, stream=stream, tool_choice="required")
    assert answer.choices[0].message.tool_calls is None
    assert "weather in Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


@whole_and_streamed
@pytest.mark.parametrize("fault", ["leaked-call", "leaked-tag"])
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_leaked_call_is_a_call(client: openai.OpenAI, fault: str, choice: str, *, stream: bool) -> None:
    answer = _asked(client, FAULTY + fault, PARIS, stream=stream, tool_choice=choice)
    assert _calls(answer) == [("get_weather", {"city": "Paris"})]
    assert answer.choices[0].message.content is None
    assert answer.choices[0].finish_reason == "tool_calls"


@whole_and_streamed
@pytest.mark.parametrize("fault", ["broken-arguments", "slipped-arguments", "string-arguments"])
def test_arguments_that_are_almost_right_are_set_right(
    client: openai.OpenAI, fault: str, *, stream: bool
) -> None:
    answer = _asked(client, FAULTY + fault, "Add the numbers 2 and 3", stream=stream, tools=[ADD])
    assert _calls(answer) == [("add_numbers", {"a": 2, "b": 3})]


@whole_and_streamed
def test_several_choices_are_each_asked_again(client: openai.OpenAI, *, stream: bool) -> None:
    answer = _asked(client, f"{FAULTY}ignored-force", PARIS, stream=stream, tool_choice="required", n=2)
    assert [len(choice.message.tool_calls or []) for choice in answer.choices] == [1, 1]
    assert len({choice.message.tool_calls[0].id for choice in answer.choices}) == 2
