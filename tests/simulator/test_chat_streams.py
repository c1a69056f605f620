"""The OpenAI family, streamed: the events of the wire, and the same answer as the whole one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

GLM = "@cf/zai-org/glm-5.3-flash"
KIMI = "@cf/moonshotai/kimi-k2.6"
QWEN = "@cf/qwen/qwen3-30b-a3b-fp8"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ResultOf = Callable[..., Awaitable[dict[str, Any]]]
EventsOf = Callable[..., Awaitable[list[dict[str, Any]]]]


def deltas(events: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    choices = [choice for event in events for choice in event.get("choices", [])]
    return [choice["delta"] for choice in choices if choice["index"] == index]


def joined(deltas: list[dict[str, Any]], field: str) -> str:
    return "".join(delta.get(field) or "" for delta in deltas)


def calls(deltas: list[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    found: dict[int, dict[str, str]] = {}
    for fragment in (one for delta in deltas for one in delta.get("tool_calls", [])):
        call = found.setdefault(fragment["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] += fragment.get("id") or ""
        call["name"] += fragment["function"].get("name") or ""
        call["arguments"] += fragment["function"]["arguments"]
    return [(call["id"], call["name"], json.loads(call["arguments"])) for call in found.values()]


async def test_the_events_are_those_of_the_capture(events_of: EventsOf) -> None:
    first, thought, *middle, finish, last = await events_of(GLM, "Weather in Paris?", tools=[WEATHER])
    assert first == {
        "choices": [
            {
                "delta": {"content": "", "reasoning_content": None, "role": "assistant"},
                "finish_reason": None,
                "index": 0,
            }
        ]
    }
    assert thought["choices"][0]["delta"] == {"content": None, "reasoning_content": "The"}
    named, *continued = [event for event in middle if "tool_calls" in event["choices"][0]["delta"]]
    [head] = named["choices"][0]["delta"]["tool_calls"]
    assert (head["function"], head["type"]) == ({"arguments": "", "name": "get_weather"}, "function")
    for event in continued:
        [fragment] = event["choices"][0]["delta"]["tool_calls"]
        assert (fragment["id"], fragment["function"]["name"]) == (None, None)
    assert finish == {
        "choices": [{"delta": {"reasoning_content": None}, "finish_reason": "tool_calls", "index": 0}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0},
    }
    assert list(last) == ["response", "usage"]
    assert last["usage"]["neurons"] > 0


async def test_kimi_pads_and_states_its_usage_before_the_last_event(events_of: EventsOf) -> None:
    *chunks, closing, last = await events_of(KIMI, "hello")
    assert all(chunk["id"].startswith("chatcmpl-") and chunk["p"] for chunk in chunks)
    assert closing["choices"] == []
    assert closing["usage"]["completion_tokens"] == last["usage"]["completion_tokens"]
    assert last["response"] == ""


async def test_usage_that_was_asked_for_has_a_chunk_of_its_own(events_of: EventsOf) -> None:
    *_, closing, last = await events_of(GLM, "hello", stream_options={"include_usage": True})
    assert closing["choices"] == []
    assert closing["usage"]["completion_tokens"] == last["usage"]["completion_tokens"] > 0
    assert last["response"] == ""


async def test_models_with_legacy_input_state_the_usage_so_far_on_every_chunk(events_of: EventsOf) -> None:
    *chunks, closing = await events_of(QWEN, "count to 3")
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert len(set(counts)) > 10
    assert (closing["choices"], closing["usage"]["completion_tokens"]) == ([], counts[-1])
    assert "neurons" in closing["usage"]


async def test_a_prompt_is_streamed_as_text(events_of: EventsOf) -> None:
    *chunks, closing = await events_of(QWEN, {"prompt": "count to 3"})
    assert {chunk["object"] for chunk in [*chunks, closing]} == {"text_completion"}
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "1, 2, 3."
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("model", [GLM, KIMI, QWEN, "@cf/openai/gpt-oss-20b"])
@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ("count to 30", {}),
        ("count to 30", {"max_tokens": 4}),
        ("count to 30", {"max_tokens": 90}),
        ("Räksmörgås 日本語 \U0001f600?", {"stop": ["noted"]}),
        ("Weather in Paris and Rome?", {"tools": [WEATHER]}),
        ("one of three", {"response_format": {"type": "json_object"}}),
    ],
)
async def test_a_streamed_answer_is_the_whole_one(
    result_of: ResultOf, events_of: EventsOf, model: str, asked: str, more: dict[str, Any]
) -> None:
    whole = await result_of(model, asked, **more)
    [choice] = whole["choices"]
    message = choice["message"]
    events = await events_of(model, asked, **more)
    said = deltas(events)
    assert joined(said, "content") == (message["content"] or "")
    assert joined(said, "reasoning_content") == (message["reasoning_content"] or "")
    assert calls(said) == [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message["tool_calls"] or []
    ]
    finishes = [one["finish_reason"] for event in events for one in event.get("choices", [])]
    assert [finish for finish in finishes if finish] == [choice["finish_reason"]]
    assert events[-1]["usage"] == whole["usage"]


async def test_choices_take_turns_and_each_ends_once(result_of: ResultOf, events_of: EventsOf) -> None:
    asked = {"n": 2, "max_tokens": 200, "logprobs": True}
    whole = await result_of(GLM, "Tell me something new", **asked)
    events = await events_of(GLM, "Tell me something new", **asked)
    order = [choice["index"] for event in events for choice in event.get("choices", [])]
    assert order[:6] == [0, 1, 0, 1, 0, 1]
    for index in (0, 1):
        assert joined(deltas(events, index), "content") == whole["choices"][index]["message"]["content"]
    likely = [choice.get("logprobs") for event in events for choice in event.get("choices", [])]
    assert sum(one is not None for one in likely) == sum(
        len(choice["logprobs"]["content"]) for choice in whole["choices"]
    )
    assert events[-1]["usage"] == whole["usage"]
