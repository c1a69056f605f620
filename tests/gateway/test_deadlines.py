"""Deadlines: who is cut off, with which words, and which metric counts it. Time is the ticker's own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.api.wire import JSON, Client
from gateway.deadlines import Ticker
from gateway.exchange import Exchange
from gateway.settings import Deadlines
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call, begins_with, usage
from tests.gateway.served import MASTER, Served, asks, backend_settings, events, text_of
from tests.gateway.test_leaving import request
from tests.gateway.test_relay import line_with, rest_of, streaming

Lines = Callable[[], list[dict[str, Any]]]
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(("stream", "seconds"), [(False, 290), (True, 60)])
async def test_a_backend_that_says_nothing_is_a_504(
    served: Served, backend: Backend, access_lines: Lines, *, stream: bool, seconds: float
) -> None:
    asking = asyncio.create_task(served.chat(stream=stream))
    call = await backend.call()
    served.pass_time(14)
    await asyncio.sleep(0)
    assert not call.closed.is_set()
    if not stream:  # a stream's headers would go out in time
        served.pass_time(seconds - 15)
        await asyncio.sleep(0)
        assert not call.closed.is_set()
    served.pass_time(seconds - 13)
    await call.left()
    answer = await asking
    assert (answer.status_code, answer.headers["content-type"]) == (504, "application/json")
    assert answer.json()["error"]["code"] == "deadline_first_byte"
    assert await served.metric("penstock_deadlines_total", reason="first_byte") == 1
    assert await served.metric("penstock_upstream_attempts_total", outcome="timeout") == 1
    line = access_lines()[0]
    assert (line["ended_by"], line["error"]) == ("gateway", "deadline_first_byte")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [({}, 290), ({"first_byte": 7}, 7), ({"whole_answer": 9}, 9), ({"first_byte": 7, "whole_answer": 9}, 9)],
)
def test_a_whole_answer_has_the_time_that_is_set_for_it_or_for_the_first_byte(
    given: dict[str, float], seconds: float
) -> None:
    assert Deadlines.model_validate(given).made == seconds


async def test_a_choice_that_has_begun_makes_another_no_faster(served: Served, backend: Backend) -> None:
    def speaks_for_the_first_choice(call: Call) -> None:
        if len(backend.calls) == 1:
            call.begin()
            call.event(response="one")

    backend.reply = speaks_for_the_first_choice
    async with streaming(served, n=2) as (_answer, lines):
        await line_with(lines, "one")
        served.pass_time(45)  # longer than a gap
        await asyncio.sleep(0)
        first, second = backend.calls
        first.event(response="", usage=usage(7, 3))
        first.piece(b"data: [DONE]\n\n")
        first.finish()
        second.stream("two")
        assert "[DONE]" in await rest_of(lines)


async def test_a_stream_that_falls_silent_ends_with_an_event(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    backend.reply = begins_with("Hel")
    async with streaming(served) as (_answer, lines):
        await line_with(lines, "Hel")
        served.pass_time(31)
        rest = await rest_of(lines)
        await backend.calls[0].left()
    assert events(rest)[-1]["error"]["code"] == "deadline_gap"
    assert "[DONE]" not in rest
    assert await served.metric("penstock_deadlines_total", reason="gap") == 1
    assert await served.metric("penstock_stream_endings_total", by="gateway", clean="false") == 1
    line = access_lines()[0]
    assert (line["completion_tokens"], line["estimated"]) == (1, True)


async def test_a_body_that_falls_silent_is_a_504(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat())
    call = await backend.call()
    call.begin(content_type="application/json")
    call.piece(b'{"result":')
    await served.waits_for("gap")
    served.pass_time(31)
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_gap")


async def test_each_piece_starts_the_gap_anew_but_not_the_total(served: Served, backend: Backend) -> None:
    backend.reply = begins_with("0 ")
    async with streaming(served) as (_answer, lines):
        await line_with(lines, "0 ")
        call = backend.calls[0]
        [watch] = served.gateway.ticker._live
        now = watch.at - 30
        for number in range(1, 4):
            watch.at = now + 30  # as if a piece had just come
            watch.total_at -= 150
            served.gateway.ticker.tick()
            call.event(response=f"{number} ")
            await line_with(lines, f'"{number} "')
        watch.total_at = now
        served.gateway.ticker.tick()
        rest = await rest_of(lines)
    assert events(rest)[-1]["error"]["code"] == "deadline_total"
    assert await served.metric("penstock_deadlines_total", reason="total") == 1


async def test_an_address_that_does_not_answer_is_a_504(
    serve: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, deadlines={"connect": 0.02})
    connected = await served.client.get("/healthz")
    assert connected.status_code == 200

    async def never(*_arguments: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_connect")
    assert await served.metric("penstock_deadlines_total", reason="connect") == 1
    assert await served.metric("penstock_upstream_attempts_total", outcome="timeout") == 1


async def test_a_name_that_is_not_resolved_is_a_504(
    serve: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connect deadline covers the look-up of the name as well."""
    url = backend.url.replace("127.0.0.1", "backend.invalid")
    served = await serve(backends={"b": backend_settings(url)}, deadlines={"connect": 0.02})
    await served.client.get("/healthz")

    async def never(*_arguments: Any, **_options: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_connect")


async def test_a_client_that_stops_in_its_body_is_a_408_and_the_connection_ends(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    reader, writer = await served.connect()
    writer.write(request({"model": "x"})[:-3])
    await served.waits_for("body_idle")
    served.pass_time(11)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in answer
    assert b'"code":"request_timeout"' in answer
    [line] = access_lines()
    assert (line["status"], line["ended_by"]) == (408, "gateway")
    assert await served.metric("penstock_deadlines_total", reason="body_idle") == 1
    assert not backend.calls
    writer.close()


async def test_a_client_that_trickles_its_body_for_ever_is_a_408(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(request({"model": "x"})[:-3])
    await served.waits_for("body_idle")
    [watch] = served.gateway.ticker._live
    watch.total_at = watch.at - 10
    served.gateway.ticker.tick()
    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    assert await served.metric("penstock_deadlines_total", reason="total") == 1
    writer.close()


async def test_a_slow_stream_is_kept_alive_and_its_deadline_stands(served: Served, backend: Backend) -> None:
    """The comments must not be taken for a sign of the backend's life."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_slow_stream(served))
        call = await backend.call()
        for _ in range(3):
            served.pass_time(15.5)
            await asyncio.sleep(0)
        assert not call.closed.is_set()
        served.pass_time(15.5)
        await call.left()
    status, body = asking.result()
    assert status == 200
    assert body.count(": keep-alive") == 3
    assert events(body)[-1]["error"]["code"] == "deadline_first_byte"
    assert "[DONE]" not in body


async def _slow_stream(served: Served) -> tuple[int, str]:
    answer = await served.chat(stream=True)
    return answer.status_code, answer.text


async def test_a_stream_that_was_kept_alive_goes_on_as_any_other(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(stream=True))
    call = await backend.call()
    served.pass_time(15.5)
    call.stream("Hello")
    answer = await asking
    assert answer.text.startswith(": keep-alive\n\ndata: {")
    assert text_of(answer.text) == "Hello"
    assert answer.text.count(": keep-alive") == 1


async def test_a_completion_is_kept_alive_while_its_model_thinks(served: Served, backend: Backend) -> None:
    """It has no room for thoughts, so the client would hear nothing for as long as they take."""
    body = {"model": "@cf/zai-org/glm-4.7-flash", "prompt": "Hi", "stream": True}
    asking = asyncio.create_task(served.client.post("/v1/completions", json=body))
    call = await backend.call()
    call.begin()
    call.event(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}])
    await served.waits_for("gap")
    for _ in range(2):
        served.pass_time(7.75)
        await asyncio.sleep(0)
    call.event(choices=[{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}])
    call.piece(b"data: [DONE]\n\n")
    call.finish()
    answer = await asking
    assert answer.text.startswith(": keep-alive\n\ndata: {")
    assert answer.text.count(": keep-alive") == 1
    assert "".join(each["choices"][0]["text"] for each in events(answer.text)[:-1]) == "Hello"


async def test_a_stream_that_was_kept_alive_fails_in_an_event(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(stream=True))
    call = await backend.call()
    served.pass_time(15.5)
    await asyncio.sleep(0)
    call.refuse(503, 3040)
    answer = await asking
    assert answer.status_code == 200
    assert events(answer.text)[-1]["error"]["code"] == "overloaded"


async def test_a_sign_of_life_comes_too_late_for_an_answer_that_has_begun(
    served: Served, backend: Backend
) -> None:
    """The tick decides on a sign, and the answer comes before the sign is given."""
    asking = asyncio.create_task(served.chat(stream=True))
    call = await backend.call()
    [watch] = served.gateway.ticker._live
    served.pass_time(15.5)
    watch.release_headers()
    call.stream("Hello")
    assert ": keep-alive" not in (await asking).text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_sign_of_life_never_goes_into_or_behind_what_was_sent(*, stream: bool) -> None:
    """The tick decides on a sign, and an error or the stream's end is on its way when it is given."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    client = Client(Exchange("POST", CHAT), Ticker(Deadlines()).watch(), send)
    if stream:
        await client.send_events(b"data: [DONE]\n\n")
        await client.end()
    else:
        await client.send_whole(503, JSON, b"{}")
    before = list(sent)
    await client.keep_alive()
    assert sent == before


async def test_a_whole_answer_is_not_kept_alive(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat())
    call = await backend.call()
    served.pass_time(16)
    call.result("Hi")
    assert (await asking).json()["choices"][0]["message"]["content"] == "Hi"


async def test_a_client_that_does_not_read_is_cut_off(
    served: Served, backend: Backend, access_lines: Lines, quiet_log: pytest.LogCaptureFixture
) -> None:
    _reader, writer = await served.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request(asks(stream=True)))
    call = await backend.call()
    call.begin()
    while not any(watch.phase == "write_stall" for watch in served.gateway.ticker._live):
        call.event(response="x" * 500_000)
        await asyncio.sleep(0)
    served.pass_time(21)
    await call.left()
    await served.settled()
    [line] = access_lines()
    assert (line["ended_by"], line["error"]) == ("gateway", "deadline_write_stall")
    assert line["estimated"] is True
    assert await served.metric("penstock_deadlines_total", reason="write_stall") == 1
    quiet_log.clear()  # the server logs that the answer has no end, and closes the connection
    writer.transport.abort()


async def test_a_client_that_does_not_read_a_long_answer_is_cut_off(
    served: Served, backend: Backend, access_lines: Lines, quiet_log: pytest.LogCaptureFixture
) -> None:
    _reader, writer = await served.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request(asks()))
    call = await backend.call()
    call.result("x" * 20_000_000)
    await served.waits_for("write_stall")
    served.pass_time(21)
    await served.settled()
    [line] = access_lines()
    assert (line["ended_by"], line["error"]) == ("gateway", "deadline_write_stall")
    quiet_log.clear()
    writer.transport.abort()


async def test_what_follows_a_passed_deadline_has_a_deadline_of_its_own() -> None:
    """Else a client that does not read the error event would hold its exchange for ever."""
    ticker = Ticker(Deadlines())
    watch = ticker.watch()
    for phase in ("gap", "write_stall", "total"):
        if phase == "total":
            watch.total_at = 0
        else:
            watch.wait_for(phase)
        await _passes(ticker, 31)
        assert watch.take_expired() == phase
        ticker.tick()
        assert not watch.task.cancelling()
    ticker.release(watch)


async def test_a_client_that_leaves_as_a_deadline_passes_has_left() -> None:
    """Else others would be asked for nobody."""
    ticker = Ticker(Deadlines())
    watch = ticker.watch()
    watch.wait_for("gap")
    clock = ticker.clock
    ticker.clock = lambda: clock() + 31
    ticker.tick()
    watch.give_up()
    ticker.tick()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert watch.take_expired() is None
    assert watch.task.uncancel() == 0
    ticker.release(watch)


async def _passes(ticker: Ticker, seconds: float) -> None:
    clock = ticker.clock
    ticker.clock = lambda: clock() + seconds
    ticker.tick()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()


async def test_a_released_watch_is_left_alone() -> None:
    now = 0.0
    ticker = Ticker(Deadlines(), clock=lambda: now)
    watch = ticker.watch()
    ticker.release(watch)
    now = 1e12
    ticker.tick()
    await asyncio.sleep(0)
    assert watch.expired is None
    assert watch.take_expired() is None


async def test_the_ticker_ticks_by_itself(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, deadlines={"first_byte": 0.01})
    answer = await served.chat()
    assert answer.json()["error"]["code"] == "deadline_first_byte"
    assert MASTER not in answer.text
