"""Tools that stand in the instructions alone, as for models without function calling."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
GLM = "@cf/zai-org/glm-4.7-flash"
FUNCTION = {
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TAGGED = "You may call tools: [%s]. Write each call as <tool_call>{...}</tool_call>."
BARE = "Functions: %s. To call one, answer with its name and arguments as an object."
ResultOf = Callable[..., Awaitable[dict[str, Any]]]


def asking(instruction: str, *turns: dict[str, str], nested: bool = False) -> dict[str, Any]:
    tool = {"type": "function", "function": FUNCTION} if nested else FUNCTION
    return {"messages": [{"role": "system", "content": instruction % json.dumps(tool)}, *turns]}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("nested", [False, True])
async def test_calls_are_written_between_the_tags_that_are_named(
    result_of: ResultOf, *, nested: bool
) -> None:
    result = await result_of(SEED, asking(TAGGED, user("Weather in Paris and Rome?"), nested=nested))
    assert result["tool_calls"] == []
    assert result["response"] == (
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n'
    )


async def test_calls_are_written_bare_without_tags(result_of: ResultOf) -> None:
    [choice] = (await result_of(GLM, asking(BARE, user("Weather in Paris?"))))["choices"]
    assert json.loads(choice["message"]["content"]) == {
        "name": "get_weather",
        "arguments": {"city": "Paris"},
    }
    assert (choice["message"]["tool_calls"], choice["finish_reason"]) == (None, "stop")


async def test_what_asks_for_no_tool_is_answered(result_of: ResultOf) -> None:
    assert (await result_of(SEED, asking(TAGGED, user("count to 3"))))["response"] == "1, 2, 3."


async def test_how_to_call_is_no_wish_for_json(result_of: ResultOf) -> None:
    told = "Tools: %s. To call one, answer with JSON alone."
    assert (await result_of(SEED, asking(told, user("count to 3"))))["response"] == "1, 2, 3."


async def test_json_can_be_wanted_where_no_tool_is_called(result_of: ResultOf) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    told = f"{TAGGED}\n\nUnless you call, answer with nothing but JSON that satisfies the JSON Schema:\n%s"
    body = asking(told % ("%s", json.dumps(schema)), user("count to 3"))
    assert set(json.loads((await result_of(SEED, body))["response"])) == {"n"}
    called = asking(told % ("%s", json.dumps(schema)), user("Weather in Paris?"))
    assert "get_weather" in (await result_of(SEED, called))["response"]


async def test_results_between_tags_are_read(result_of: ResultOf) -> None:
    call = {"role": "assistant", "content": '<tool_call>\n{"name": "get_weather"}\n</tool_call>'}
    said = user("<tool_response>\nmild weather\n</tool_response>\n<tool_response>wind</tool_response>")
    result = await result_of(SEED, asking(TAGGED, user("Weather in Paris?"), call, said))
    assert result["response"] == "The tool says: mild weather. The tool says: wind."


async def test_instructions_without_tools_change_nothing(result_of: ResultOf) -> None:
    body = {"messages": [{"role": "system", "content": 'No tools. {"name": "x"}'}, user("count to 3")]}
    assert (await result_of(SEED, body))["response"] == "1, 2, 3."


async def test_a_model_can_ignore_the_parameter(result_of: ResultOf) -> None:
    tools = [{"type": "function", "function": FUNCTION}]
    name = "@cf/simulator/ignored-tools"
    assert (await result_of(name, "Weather in Paris?", tools=tools, tool_choice="required"))["response"]
    told = await result_of(name, asking(BARE, user("Weather in Paris?")), tools=tools)
    assert json.loads(told["response"])["name"] == "get_weather"


@pytest.mark.parametrize(
    "words",
    ["Now you must call one of the tools: no answer without.", "You must use the tool `get_weather`."],
)
async def test_that_a_tool_must_be_called_can_be_told(result_of: ResultOf, words: str) -> None:
    body = asking(f"{TAGGED}\n{words}", user("count to 3"))
    assert "get_weather" in (await result_of(SEED, body))["response"]


async def test_a_reminder_is_no_question(result_of: ResultOf) -> None:
    turns = [user("Weather in Paris?"), {"role": "assistant", "content": "No."}]
    reminded = asking(TAGGED, *turns, user("You must now call get_weather."))
    assert '{"city": "Paris"}' in (await result_of(SEED, reminded))["response"]


async def test_results_can_name_their_tool(result_of: ResultOf) -> None:
    said = user('<tool_response name="get_weather">\nmild\n</tool_response>')
    result = await result_of(SEED, asking(TAGGED, user("Weather in Paris?"), said))
    assert result["response"] == "get_weather says: mild."


async def test_models_without_function_calling_do_not_look_at_tools(result_of: ResultOf) -> None:
    tools = [{"type": "function", "function": FUNCTION}]
    name = "@cf/meta/llama-3.1-8b-instruct-fp8"
    asked = await result_of(name, "Weather in Paris?", tools=tools, tool_choice="required")
    assert (asked["tool_calls"], "Weather in Paris" in asked["response"]) == ([], True)
    told = await result_of(name, asking(TAGGED, user("Weather in Paris?")))
    assert "<tool_call>" in told["response"]


async def test_mistral_does_not_look_at_the_choice_but_can_be_told(result_of: ResultOf) -> None:
    tools = [{"type": "function", "function": FUNCTION}]
    name = "@cf/mistralai/mistral-small-3.1-24b-instruct"
    assert (await result_of(name, "count to 3", tools=tools, tool_choice="required"))["tool_calls"] == []
    turns = [{"role": "system", "content": "You must call one of the tools."}, user("count to 3")]
    assert (await result_of(name, {"messages": turns}, tools=tools))["tool_calls"]
