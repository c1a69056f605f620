"""What the simulated model answers, whole: text, calls, counts, and that it is the same every time."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from gateway.simulator import Simulator
from gateway.simulator.vocabulary import Vocabulary

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
NEWER = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"


def tool(name: str, description: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


WEATHER = tool("get_weather", "Get the current weather in a city", ("city",), city={"type": "string"})
ADD = tool("add_numbers", "Add two numbers", ("a", "b"), a={"type": "integer"}, b={"type": "integer"})
CLOCK = tool("current_time", "The time in a timezone", ("timezone",), timezone={"type": "string"})
PARIS = {"name": "get_weather", "arguments": {"city": "Paris"}}


async def run(client: httpx.AsyncClient, body: dict[str, Any], model: str = SEED) -> dict[str, Any]:
    answer = await client.post(f"/run/{model}", json=body)
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    assert (envelope["success"], envelope["errors"], envelope["messages"]) == (True, [], [])
    result: dict[str, Any] = envelope["result"]
    return result


async def ask(client: httpx.AsyncClient, text: str, **more: Any) -> dict[str, Any]:
    return await run(client, {"messages": [{"role": "user", "content": text}], **more})


async def called(client: httpx.AsyncClient, text: str, *tools: Any, **more: Any) -> list[dict[str, Any]]:
    result = await ask(client, text, tools=list(tools), **more)
    calls: list[dict[str, Any]] = result["tool_calls"]
    assert (result["response"] is None) == bool(calls)
    return calls


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("Hello!", "Hello! How can I help you today?"),
        ("Count to 5", "1, 2, 3, 4, 5."),
        ("count from 8 to 11 please", "8, 9, 10, 11."),
        ("Say 'ho' 3 times", "ho ho ho"),
        ("Write 4 words", "water turns the wheel"),
        ("Reply with exactly: PONG", "PONG"),
        ("What is 6 * 7?", "6 * 7 = 42."),
        ("What is 1/0?", "Division by zero has no result."),
        ("", "I am listening."),
    ],
)
async def test_simple_requests_are_understood(client: httpx.AsyncClient, asked: str, answer: str) -> None:
    assert (await ask(client, asked))["response"] == answer


async def test_anything_else_is_echoed(client: httpx.AsyncClient) -> None:
    assert "“Why is pizza so good?”" in (await ask(client, "Why is pizza so good?"))["response"]


@pytest.mark.parametrize("body", [{"prompt": "count to 3"}, {"prompt": "count to 3", "raw": True}])
async def test_a_prompt_is_answered(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await run(client, body))["response"] == "1, 2, 3."


async def test_a_raw_prompt_saves_the_tokens_of_the_template(client: httpx.AsyncClient) -> None:
    templated = await run(client, {"prompt": "hello"})
    raw = await run(client, {"prompt": "hello", "raw": True})
    assert raw["usage"]["prompt_tokens"] < templated["usage"]["prompt_tokens"]


async def test_a_raw_prompt_may_hold_its_own_template(client: httpx.AsyncClient) -> None:
    prompt = (
        "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\ncount to 2<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert (await run(client, {"prompt": prompt, "raw": True}))["response"] == "1, 2."


async def test_an_image_is_seen_and_counted(client: httpx.AsyncClient) -> None:
    blind = await ask(client, "hello")
    seeing = await ask(client, "hello", image=[137, 80, 78, 71])
    assert seeing["response"].startswith("I can see the image (4 bytes).")
    assert seeing["usage"]["prompt_tokens"] > blind["usage"]["prompt_tokens"] + 100


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["hi"],
        [None, {}],
        {"x": {"role": "user", "content": "hi"}},
        [{"role": "assistant", "content": "hi"}],
    ],
)
async def test_odd_messages_that_the_validator_lets_through_get_an_answer(
    client: httpx.AsyncClient, messages: Any
) -> None:
    assert (await run(client, {"messages": messages}))["response"]


async def test_parts_of_text_are_read_where_the_schema_allows_them(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "count to 3"}]}]}
    assert (await run(client, body, NEWER))["response"] == "1, 2, 3."


async def test_the_answer_ends_after_256_tokens_unless_told_otherwise(client: httpx.AsyncClient) -> None:
    default = await ask(client, "count to 1000")
    short = await ask(client, "count to 1000", max_tokens=7)
    long = await ask(client, "count to 1000", max_tokens=5000)
    assert default["usage"]["completion_tokens"] == 256
    assert short["usage"]["completion_tokens"] == 7
    assert long["response"].endswith("999, 1000.")
    assert long["response"].startswith(default["response"])


async def test_a_stop_sequence_ends_the_answer(client: httpx.AsyncClient) -> None:
    stopped = await ask(client, "count to 20", stop=[", 1", " 7"])
    assert stopped["response"] == "1, 2, 3, 4, 5, 6,"
    assert stopped["usage"]["completion_tokens"] < 25
    assert (await ask(client, "count to 3", stop="never said"))["response"] == "1, 2, 3."


async def test_the_usage_is_exact(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/run/{SEED}", json={"prompt": "count to 50"})
    result = answer.json()["result"]
    usage = result["usage"]
    assert usage["completion_tokens"] == Vocabulary().count([result["response"]])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    neurons = (usage["prompt_tokens"] * 4119 + usage["completion_tokens"] * 34868) / 1_000_000
    assert usage["neurons"] == pytest.approx(neurons, abs=0.0001)
    assert answer.headers["cf-ai-neurons"] == str(usage["neurons"])


async def test_what_exceeds_the_window_is_refused_with_the_engines_own_words(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(f"/run/{NEWER}", json={"prompt": "hello", "max_tokens": 24_000})
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 8007)
    engine = json.loads(error["message"].removeprefix("AiError: AiError: ").rpartition(" (")[0])
    assert engine["type"] == "BadRequestError"
    assert "maximum context length of 24000 tokens" in engine["message"]


async def test_the_same_request_gets_the_same_answer_and_ids(
    client_of: Callable[[Simulator], httpx.AsyncClient],
) -> None:
    body = {"messages": [{"role": "user", "content": "Tell me something new"}]}
    first, second, other = [
        await client_of(Simulator(seed=seed)).post(f"/run/{SEED}", json=body) for seed in (3, 3, 4)
    ]
    assert (first.content, first.headers) == (second.content, second.headers)
    assert UUID(first.headers["cf-ai-req-id"]).version == 4
    assert first.headers["cf-ai-req-id"] != other.headers["cf-ai-req-id"]


async def test_another_sampling_seed_gives_another_wording_unless_cold(client: httpx.AsyncClient) -> None:
    warm = {(await ask(client, "Tell me more", seed=seed))["response"] for seed in range(1, 30)}
    cold = {
        (await ask(client, "Tell me more", seed=seed, temperature=0))["response"] for seed in range(1, 30)
    }
    assert len(warm) > 1
    assert len(cold) == 1


async def test_the_tool_that_is_asked_for_is_called(client: httpx.AsyncClient) -> None:
    assert await called(client, "What is the weather in Paris?", ADD, WEATHER) == [PARIS]
    assert await called(client, "Add 2 and 40.", ADD, WEATHER) == [
        {"name": "add_numbers", "arguments": {"a": 2, "b": 40}}
    ]


async def test_no_tool_is_called_for_anything_else(client: httpx.AsyncClient) -> None:
    assert await called(client, "Tell me a joke about cats", ADD, WEATHER, CLOCK) == []


async def test_a_flat_tool_is_called_alike(client: httpx.AsyncClient) -> None:
    assert await called(client, "What is the weather in Paris?", WEATHER["function"]) == [PARIS]


async def test_two_requests_make_two_calls(client: httpx.AsyncClient) -> None:
    calls = await called(client, "What's the weather in Paris? And please add 2 and 3.", WEATHER, ADD)
    assert calls == [PARIS, {"name": "add_numbers", "arguments": {"a": 2, "b": 3}}]


async def test_a_list_of_names_makes_a_call_for_each(client: httpx.AsyncClient) -> None:
    calls = await called(client, "Weather in Paris, Rome and San Francisco?", WEATHER)
    assert [call["arguments"]["city"] for call in calls] == ["Paris", "Rome", "San Francisco"]


async def test_a_tool_that_is_named_is_called(client: httpx.AsyncClient) -> None:
    assert [call["name"] for call in await called(client, "Use current_time now", WEATHER, CLOCK)] == [
        "current_time"
    ]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", []),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "current_time"}}, ["current_time"]),
        ({"type": "function", "function": {"name": "unknown"}}, []),
        ([], []),
    ],
)
async def test_the_tool_choice_is_followed(client: httpx.AsyncClient, choice: Any, names: list[str]) -> None:
    calls = await called(client, "Tell me a joke", WEATHER, CLOCK, tool_choice=choice)
    assert [call["name"] for call in calls] == names


async def test_a_call_costs_tokens_and_one_that_is_cut_short_stays_text(client: httpx.AsyncClient) -> None:
    made = await ask(client, "weather in Paris", tools=[WEATHER])
    cut = await ask(client, "weather in Paris", tools=[WEATHER], max_tokens=5)
    assert made["usage"]["completion_tokens"] > 5
    assert (cut["tool_calls"], cut["usage"]["completion_tokens"]) == ([], 5)
    assert cut["response"].startswith('{"name')


@pytest.mark.parametrize(
    "tools",
    [
        [{}],
        [None, {}],
        [{"function": 3}],
        [{"name": ""}],
        {"x": WEATHER},
        [{"name": "joke", "parameters": 3}],
    ],
)
async def test_half_written_tools_do_no_harm(client: httpx.AsyncClient, tools: Any) -> None:
    assert "usage" in await ask(client, "Tell me a joke", tools=tools)


async def test_tool_results_are_used(client: httpx.AsyncClient) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"temp_c": 18, "sky": ["clear", "blue"]}'},
        {"role": "tool", "content": "It is noon."},
    ]
    result = await run(client, {"messages": messages, "tools": [WEATHER]})
    assert result["tool_calls"] == []
    assert (
        result["response"] == "get_weather says: temp c is 18, sky is clear, blue. The tool says: It is noon."
    )


@pytest.mark.parametrize(
    "content", ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "9" * 5000, "", "null"]
)
async def test_any_tool_result_can_be_said(client: httpx.AsyncClient, content: str) -> None:
    messages = [{"role": "user", "content": "go"}, {"role": "tool", "content": content}]
    assert (await run(client, {"messages": messages}))["response"].startswith("The tool says: ")


async def test_a_long_message_is_read_at_its_ends(client: httpx.AsyncClient) -> None:
    text = "What is the weather in Paris? " + "Some more of this and that. " * 4000
    assert await called(client, text, WEATHER) == [PARIS]
