"""The answer's way to the client: when the status goes out, and how streams end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.gateway.scripted import Backend, Call, begins_with
from tests.gateway.served import Served, asks, events, text_of

Lines = Callable[[], list[dict[str, Any]]]


def _empty_stream(call: Call) -> None:
    call.begin()
    call.finish()


@asynccontextmanager
async def streaming(
    served: Served, **fields: Any
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[str]]]:
    """An answer's headers, and its lines as they come."""
    body = asks(stream=True, **fields)
    async with served.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        yield answer, answer.aiter_lines()


async def line_with(lines: AsyncIterator[str], text: str) -> str:
    """Read on to the line that has this text."""
    async with asyncio.timeout(5):
        async for line in lines:
            if text in line:
                return line
    pytest.fail(f"the stream ended before it said {text!r}")


async def rest_of(lines: AsyncIterator[str]) -> str:
    async with asyncio.timeout(5):
        return "\n".join([line async for line in lines])


async def test_deltas_go_out_as_they_come(served: Served, backend: Backend) -> None:
    backend.reply = begins_with("Hel")
    async with streaming(served) as (answer, lines):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["x-accel-buffering"] == "no"
        await line_with(lines, "Hel")
        call = backend.calls[0]
        call.event(response="lo")
        await line_with(lines, '"lo"')
        call.piece(b"data: [DONE]\n\n")
        call.finish()
        assert (await rest_of(lines)).count("[DONE]") == 1


async def test_usage_comes_once_and_only_to_those_who_ask(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.stream("Hi", prompt=5, completion=2)
    asked = events((await served.chat(stream=True, stream_options={"include_usage": True})).text)
    assert asked[-2]["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert all(chunk["usage"] is None for chunk in asked[:-2])
    unasked = events((await served.chat(stream=True)).text)
    assert not any("usage" in chunk for chunk in unasked[:-1])


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Call.reset, 502, "backend_broken"),
        (lambda call: call.refuse(429, 3021), 429, "rate_limit_exceeded"),
        (lambda call: _event_first(call, {"error": {"message": "no"}}), 502, "upstream_error"),
        (lambda call: _event_first(call, {"errors": [{"code": 3040}]}), 503, "overloaded"),
        (_empty_stream, 502, "bad_backend_answer"),
    ],
    ids=["reset", "429", "error event", "overload event", "empty stream"],
)
async def test_a_stream_that_fails_before_its_first_delta_is_an_ordinary_error(
    served: Served,
    backend: Backend,
    fault: Callable[[Call], None],
    status: int,
    code: str,
    access_lines: Lines,
) -> None:
    backend.reply = fault
    answer = await served.chat(stream=True)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["error"]["code"] == code
    assert await served.metric("penstock_stream_endings_total", by="backend", clean="false") == 1
    line = access_lines()[0]
    assert (line["status"], line["error"], line["ended_by"]) == (status, code, "backend")
    assert "first_token_ms" not in line
    assert "prompt_tokens" not in line


def _event_first(call: Call, payload: dict[str, Any]) -> None:
    call.begin()
    call.event(**payload)


def _not_json(call: Call) -> None:
    call.piece(b"data: {oops\n\n")


def _silent_end(call: Call) -> None:
    call.finish()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Call.reset, "backend_broken"),
        (Call.close, "backend_broken"),
        (_silent_end, "bad_backend_answer"),
        (_not_json, "bad_backend_answer"),
        (lambda call: call.event(error={"message": "no"}), "upstream_error"),
    ],
    ids=["reset", "closed", "ended early", "no json", "error event"],
)
async def test_a_stream_that_breaks_ends_with_one_error_event_and_never_cleanly(
    served: Served, backend: Backend, fault: Callable[[Call], None], code: str, access_lines: Lines
) -> None:
    backend.reply = begins_with("Hello th")
    async with streaming(served) as (answer, lines):
        await line_with(lines, "Hello th")
        fault(backend.calls[0])
        rest = await rest_of(lines)
    assert answer.status_code == 200
    [last] = events(rest)
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert last["error"]["code"] == code
    assert "finish_reason" not in rest
    assert "[DONE]" not in rest
    line = access_lines()[0]
    assert (line["status"], line["error"], line["ended_by"]) == (200, code, "backend")
    assert (line["completion_tokens"], line["estimated"]) == (2, True)
    assert await served.metric("penstock_stream_endings_total", by="backend", clean="false") == 1


async def test_json_to_a_stream_request_becomes_a_stream(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hello")
    answer = await served.chat(stream=True)
    assert text_of(answer.text) == "Hello"
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_events_to_a_whole_request_become_a_body(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.stream("Hel", "lo")
    assert (await served.chat()).json()["choices"][0]["message"]["content"] == "Hello"


async def test_a_stream_without_its_done_but_with_its_usage_is_complete(
    served: Served, backend: Backend
) -> None:
    def reply(call: Call) -> None:
        call.begin()
        call.event(response="Hi")
        call.event(response="", usage={"prompt_tokens": 1, "completion_tokens": 1})
        call.finish()

    backend.reply = reply
    answer = await served.chat(stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    assert events(answer.text)[-2]["choices"][0]["finish_reason"] == "stop"


async def test_a_stop_string_ends_the_answer_and_closes_the_backend(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    backend.reply = begins_with("one two ST")
    options = {"include_usage": True}
    async with streaming(served, stop="STOP", stream_options=options) as (_answer, lines):
        await line_with(lines, "one two ")
        call = backend.calls[0]
        call.event(response="OP and much more")
        rest = await rest_of(lines)
        await call.left()
    assert "ST" not in rest
    said = events(rest)
    assert [each["choices"][0]["finish_reason"] for each in said if each != "[DONE]" and each["choices"]] == [
        "stop"
    ]
    assert said[-2]["usage"]["completion_tokens"] == 7
    assert said[-1] == "[DONE]"
    [line] = access_lines()
    assert line["estimated"] is True
    assert "error" not in line
    assert await served.metric("penstock_upstream_attempts_total", outcome="ok") == 1
    assert await served.metric("penstock_stream_endings_total", clean="true") == 1


async def test_a_stop_string_in_a_whole_answer_keeps_the_backends_usage(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    backend.reply = lambda call: call.result("one STOP two", prompt=5, completion=9)
    answer = (await served.chat(stop=["STOP"])).json()
    assert answer["choices"][0]["message"]["content"] == "one "
    assert answer["usage"]["completion_tokens"] == 9
    assert "estimated" not in access_lines()[0]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_break_behind_a_stop_string_does_not_matter(
    served: Served, backend: Backend, *, stream: bool
) -> None:
    def reply(call: Call) -> None:
        call.begin()
        call.piece(b'data: {"response":"one STOP two"}\n\ndata: {"error":{"message":"no"}}\n\n')

    backend.reply = reply
    answer = await served.chat(stop="STOP", stream=stream)
    assert answer.status_code == 200
    assert "error" not in answer.text
    assert answer.text.count('"finish_reason":"stop"') == 1


async def test_what_a_usage_less_stream_used_is_counted_and_marked(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    def reply(call: Call) -> None:
        call.begin()
        call.event(response="12345678")
        call.piece(b"data: [DONE]\n\n")
        call.finish()

    backend.reply = reply
    await served.chat("12345678901234567890", stream=True)
    [line] = access_lines()
    assert (line["prompt_tokens"], line["completion_tokens"], line["estimated"]) == (5, 2, True)


async def test_a_fault_of_ours_in_a_stream_is_an_event(
    served: Served, backend: Backend, quiet_log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.reply = begins_with("Hi")
    async with streaming(served) as (_answer, lines):
        await line_with(lines, "Hi")

        def fails(*_arguments: object) -> None:
            raise RuntimeError("a mistake of ours")

        monkeypatch.setattr("translators.backends.workers_ai.response.Reader.feed", fails)
        backend.calls[0].event(response="there")
        rest = await rest_of(lines)
    [last] = events(rest)
    assert last["error"]["code"] == "internal_error"
    assert "a mistake of ours" not in rest
    assert "a mistake of ours" in quiet_log.text
    quiet_log.clear()


async def test_completions_are_answered_in_their_own_form(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.stream("Hi") if call.body.get("stream") else call.result("Hi")
    body = {"model": asks()["model"], "prompt": "Say hi", "raw": True, "max_tokens": 3}
    whole = await served.client.post("/v1/completions", json=body)
    assert (whole.json()["object"], whole.json()["choices"][0]["text"]) == ("text_completion", "Hi")
    assert backend.calls[0].body == {"prompt": "Say hi", "raw": True, "max_tokens": 3}
    streamed = await served.client.post("/v1/completions", json={**body, "stream": True})
    assert "".join(each["choices"][0]["text"] for each in events(streamed.text)[:-1]) == "Hi"
