"""Structured output over sockets: the further call, the books, and what an answer that fails costs."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.scripted import Backend, Call
from tests.gateway.served import Served, asks, events, text_of

Lines = Callable[[], list[dict[str, Any]]]
OBJECT = {"type": "json_object"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
STRICT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
UNLISTED = "@cf/somebody/new"  # asked in words, which can be streamed


def _answers(*texts: str) -> Callable[[Call], None]:
    """Replies with each text in turn, each of three tokens to a prompt of seven."""
    left = list(texts)
    return lambda call: call.result(left.pop(0))


async def test_an_answer_that_is_wrong_is_asked_for_again(served: Served, backend: Backend) -> None:
    backend.reply = _answers("no", '{"a": 1}')
    answer = (await served.chat(response_format=STRICT)).json()
    assert answer["choices"][0]["message"]["content"] == '{"a": 1}'
    assert answer["usage"]["prompt_tokens"] == 7
    assert answer["usage"]["completion_tokens"] == 6
    first, second = backend.calls
    assert second.body["messages"][:2] == [*first.body["messages"], {"role": "assistant", "content": "no"}]
    assert await served.metric("penstock_upstream_attempts_total", outcome="ok") == 2


@pytest.mark.parametrize("choices", [1, 2])
async def test_an_answer_that_stays_wrong_is_an_error_whose_usage_is_booked(
    served: Served, backend: Backend, access_lines: Lines, choices: int
) -> None:
    backend.reply = lambda call: call.result("no")
    answer = await served.chat(response_format=STRICT, n=choices)
    assert answer.status_code == 502
    assert answer.headers["x-should-retry"] == "false"  # it has been asked for twice already
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "server_error",
        "invalid_structured_output",
        None,
    )
    (line,) = access_lines()
    assert line["error"] == "invalid_structured_output"
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 6 * choices)
    assert line["attempts"] == 2 * choices


async def test_another_target_is_not_asked_for_it_has_the_same_model(
    two: Served, backend: Backend, second: Backend
) -> None:
    backend.reply = lambda call: call.result("no")
    answer = await two.chat(model="small", response_format=OBJECT)
    assert answer.json()["error"]["code"] == "invalid_structured_output"
    assert (len(backend.calls), len(second.calls)) == (2, 0)


async def test_a_stream_that_shows_only_thinking_fails_in_band_and_shows_no_usage(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    def reply(call: Call) -> None:
        call.begin()
        call.event(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}])
        call.event(choices=[{"index": 0, "delta": {"content": "no"}}])
        call.event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        call.event(response="", usage={"prompt_tokens": 7, "completion_tokens": 3})
        call.piece(b"data: [DONE]\n\n")
        call.finish()

    backend.reply = reply
    options = {"stream": True, "stream_options": {"include_usage": True}}
    answer = await served.chat(model=UNLISTED, response_format=OBJECT, **options)
    *chunks, last = events(answer.text)
    assert last["error"]["code"] == "invalid_structured_output"
    assert not any(chunk.get("usage") for chunk in chunks)
    assert "hm" in answer.text
    assert text_of(answer.text) == ""
    (line,) = access_lines()
    assert line["completion_tokens"] == 6


async def test_thinking_streams_while_the_json_is_held(served: Served, backend: Backend) -> None:
    asking = served.client.stream(
        "POST", "/v1/chat/completions", json=asks(model=UNLISTED, response_format=OBJECT, stream=True)
    )
    pending = asyncio.create_task(asking.__aenter__())
    call = await backend.call()
    call.begin()
    call.event(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}])
    answer = await pending
    lines = answer.aiter_lines()
    seen = ""
    while "hm" not in seen:
        seen += await anext(lines)
    call.event(choices=[{"index": 0, "delta": {"content": 'So: {"a"'}}])
    call.event(choices=[{"index": 0, "delta": {"content": ":1}"}}])
    call.event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    call.event(response="", usage={"prompt_tokens": 7, "completion_tokens": 3})
    call.piece(b"data: [DONE]\n\n")
    call.finish()
    rest = "\n".join([line async for line in lines])
    await asking.__aexit__(None, None, None)
    assert text_of(rest) == '{"a":1}'
    assert rest.rstrip().endswith("data: [DONE]")


async def test_a_json_mode_that_gives_up_is_replaced_by_words(served: Served, backend: Backend) -> None:
    def reply(call: Call) -> None:
        if "response_format" in call.body:
            call.refuse(400, 5024, "AiError: JSON Mode couldn't be met")
        else:
            call.result('{"a": 1}')

    backend.reply = reply
    answer = await served.chat(response_format=STRICT, n=2)
    assert [choice["message"]["content"] for choice in answer.json()["choices"]] == ['{"a": 1}'] * 2
    assert answer.json()["usage"]["prompt_tokens"] == 7
    assert len(backend.calls) == 4


async def test_where_the_second_call_breaks_the_first_answer_is_judged(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    def reply(call: Call) -> None:
        if len(backend.calls) == 1:
            call.result('{"a": "1"}')
        else:
            call.reset()

    backend.reply = reply
    loose = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    answer = await served.chat(response_format=loose)
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"a": "1"}
    backend.calls.clear()
    failed = await served.chat(response_format=STRICT)
    assert failed.json()["error"]["code"] == "backend_broken"
    assert [line["completion_tokens"] for line in access_lines()] == [3, 3]


async def test_what_will_be_done_is_explained(served: Served) -> None:
    async def explained(**fields: Any) -> dict[str, Any]:
        answer = await served.client.post("/v1/translate", json=asks(**fields))
        told: dict[str, Any] = answer.json()
        return told

    native = await explained(response_format=STRICT, stream=True)
    assert native["calls"][0]["body"]["response_format"]["json_schema"] == SCHEMA
    assert "stream" not in native["calls"][0]["body"]
    prompted = await explained(model=UNLISTED, response_format=STRICT)
    assert prompted["calls"][0]["body"]["messages"][0]["role"] == "system"
    details = {each["parameter"]: each["detail"] for each in prompted["report"]}
    assert "asked in words" in details["response_format"]
    assert "response_format=emulated" in prompted["header"]


@pytest.mark.parametrize("stream", [False, True])
async def test_json_that_looks_like_a_call_is_what_was_asked_for(
    served: Served, backend: Backend, *, stream: bool
) -> None:
    said = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
    backend.reply = lambda call: call.result(said)
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    answer = await served.chat(response_format=OBJECT, tools=[tool], stream=stream)
    text = text_of(answer.text) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == said
