"""One model of each family through the official client's helpers: `.stream()`, `.parse()`, a tool loop."""

from collections.abc import Callable
from typing import Any, Final

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ParsedChatCompletion
from pydantic import BaseModel

from tests.laws.exchange import CATALOGUE
from tests.laws.families import FAMILIES, UNLISTED

GUARD: Final = "@cf/meta/llama-guard-3-8b"
HELLO: Any = [{"role": "user", "content": "Say hello to Ada"}]


def _representative(models: tuple[str, ...]) -> str:
    """A model of a family, one that calls tools where there is one."""
    known = [model for model in models if model != UNLISTED]  # the simulated account has no others
    return next((model for model in known if "tools" in CATALOGUE.facts(model).can), known[0])


MODELS: Final = {
    **{family.name: _representative(family.models) for family in FAMILIES},
    "legacy, without tools": "@cf/deepseek-ai/deepseek-r1-distill-qwen-32b",  # and it thinks in the text
}
each_family = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
each_caller = pytest.mark.parametrize(
    "model", [pytest.param(model, id=name) for name, model in MODELS.items() if model != GUARD]
)


class Weather(BaseModel):
    """The weather of a city."""

    city: str


class Person(BaseModel):
    """A person."""

    name: str
    age: int
    languages: list[str]


class Verdict(BaseModel):
    """What the guard says of a dialogue."""

    safe: bool
    categories: list[str]


WEATHER: Final = openai.pydantic_function_tool(Weather, name="get_weather", description="Weather of a city")

Answer = ParsedChatCompletion[Any]
Ask = Callable[..., Answer]


def _whole(client: openai.OpenAI, **fields: Any) -> Answer:
    return client.chat.completions.parse(**fields)


def _streamed(client: openai.OpenAI, **fields: Any) -> Answer:
    with client.chat.completions.stream(**fields) as stream:
        return stream.get_final_completion()


each_way = pytest.mark.parametrize("ask", [_whole, _streamed], ids=["whole", "streamed"])


@each_family
def test_the_helpers_for_streams_and_for_whole_answers_agree(client: openai.OpenAI, model: str) -> None:
    (whole,) = _whole(client, model=model, messages=HELLO).choices
    (streamed,) = _streamed(client, model=model, messages=HELLO).choices
    assert streamed.message.content
    assert streamed.message.content == whole.message.content
    assert streamed.finish_reason == whole.finish_reason == "stop"


@each_family
@each_way
def test_an_answer_is_parsed_into_a_model_of_the_client(client: openai.OpenAI, model: str, ask: Ask) -> None:
    form = Verdict if model == GUARD else Person
    (choice,) = ask(client, model=model, messages=HELLO, response_format=form).choices
    assert isinstance(choice.message.parsed, form)
    assert choice.finish_reason == "stop"


@each_caller
@each_way
def test_a_tool_loop_of_three_turns(client: openai.OpenAI, model: str, ask: Ask) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "What is the weather in Paris?"}
    ]
    first = _called(ask(client, model=model, messages=messages, tools=[WEATHER]), Weather(city="Paris"))
    messages += _answered(first, '{"temperature": "21 degrees"}')
    (second,) = ask(client, model=model, messages=messages, tools=[WEATHER]).choices
    assert second.finish_reason == "stop"
    assert "21 degrees" in (second.message.content or "")
    messages += [
        {"role": "assistant", "content": second.message.content},
        {"role": "user", "content": "And what is the weather in Rome?"},
    ]
    third = _called(ask(client, model=model, messages=messages, tools=[WEATHER]), Weather(city="Rome"))
    assert first.tool_calls[0].id != third.tool_calls[0].id


@each_caller
@each_way
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}], ids=["any", "named"]
)
def test_a_tool_that_has_to_be_called_is_called(
    client: openai.OpenAI, model: str, ask: Ask, choice: Any
) -> None:
    (answer,) = ask(client, model=model, messages=HELLO, tools=[WEATHER], tool_choice=choice).choices
    (call,) = answer.message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Weather)
    # OpenAI ends a call that was asked for by name with `stop`.
    assert answer.finish_reason == ("tool_calls" if choice == "required" else "stop")


def _called(answer: Answer, arguments: Weather) -> Any:
    """The message that calls the tool, once and with these arguments."""
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert call.function.parsed_arguments == arguments
    return choice.message


def _answered(message: Any, result: str) -> list[Any]:
    """The turns that send a call back with its result, as agents do."""
    said = message.model_dump(
        exclude={"parsed": True, "tool_calls": {"__all__": {"function": {"parsed_arguments"}}}}
    )
    return [said, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": result}]
