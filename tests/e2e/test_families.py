"""Every text model of the catalogue through the official client: whole, streamed, with a tool, as JSON."""

import json
from typing import Any

import openai
import pytest

from tests.laws.exchange import CATALOGUE

MODELS = sorted(CATALOGUE.models)
GUARD = "@cf/meta/llama-guard-3-8b"
HELLO: list[Any] = [{"role": "user", "content": "Say hello to Ada"}]
WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
each_model = pytest.mark.parametrize("model", MODELS)
each_speaker = pytest.mark.parametrize("model", [model for model in MODELS if model != GUARD])


@each_model
def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=HELLO)
    with client.chat.completions.stream(
        model=model, messages=HELLO, stream_options={"include_usage": True}
    ) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert streamed.usage == whole.usage
    assert "<think>" not in (whole.choices[0].message.content or "")


@each_speaker
def test_a_tool_is_called_and_its_answer_used(client: openai.OpenAI, model: str) -> None:
    asked = client.chat.completions.create(model=model, messages=WEATHER, tools=[TOOL])
    assert asked.choices[0].finish_reason == "tool_calls"
    message = asked.choices[0].message
    (call,) = message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turns = [*WEATHER, message.model_dump(exclude_none=True), result]
    answer = client.chat.completions.create(model=model, messages=turns, tools=[TOOL])
    assert "sunny" in (answer.choices[0].message.content or "")


@each_speaker
def test_json_after_a_schema_comes_whole_and_streamed(client: openai.OpenAI, model: str) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    whole = client.chat.completions.create(model=model, messages=HELLO, response_format=form)
    chunks = client.chat.completions.create(model=model, messages=HELLO, response_format=form, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert json.loads(whole.choices[0].message.content or "") == json.loads(text)
    assert json.loads(text).keys() == {"a"}


def test_the_guard_judges(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=GUARD, messages=[{"role": "system", "content": "x"}, *HELLO]
    )
    assert (answer.choices[0].message.content or "").startswith("safe")


def test_text_that_holds_a_data_url_is_taken_as_text(client: openai.OpenAI) -> None:
    turn: Any = {"role": "user", "content": "Say data:image/png;base64,no"}
    answer = client.chat.completions.create(model="@cf/moonshotai/kimi-k2.6", messages=[turn])
    assert "png" in (answer.choices[0].message.content or "")
