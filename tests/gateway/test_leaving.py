"""Clients that leave: noticed at once, the backend closed, the books written, nothing left behind."""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MASTER, Served, asks, events

Lines = Callable[[], list[dict[str, Any]]]


def request(body: Any, path: str = "/v1/chat/completions") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {MASTER}\r\n"
    fields = f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return (head + fields).encode() + content


async def leave(writer: asyncio.StreamWriter, *, by_reset: bool) -> None:
    if by_reset:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER
        writer.transport.abort()
    else:
        writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("by_reset", [False, True], ids=["closing", "reset"])
@pytest.mark.parametrize("choices", [1, 3])
async def test_a_client_that_leaves_a_whole_answer_closes_the_backend(
    served: Served, backend: Backend, access_lines: Lines, *, by_reset: bool, choices: int
) -> None:
    _reader, writer = await served.connect()
    writer.write(request(asks(n=choices)))
    calls = [await backend.call() for _ in range(choices)]
    await leave(writer, by_reset=by_reset)
    for call in calls:
        await call.left()
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["ended_by"], line["error"]) == (499, "client", "client_left")
    assert "prompt_tokens" not in line
    assert await served.metric("penstock_upstream_attempts_total", outcome="cancelled") == choices
    assert await served.metric("penstock_requests_total", status_class="4xx", operation="chat") == 1


async def test_a_client_that_leaves_a_stream_closes_the_backend_and_pays_for_what_came(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    reader, writer = await served.connect()
    writer.write(request(asks("12345678", stream=True)))
    call = await backend.call()
    call.begin()
    call.event(response="123456789")
    await reader.readuntil(b"123456789")
    await leave(writer, by_reset=False)
    await call.left()
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["ended_by"], line["error"]) == (200, "client", "client_left")
    assert (line["prompt_tokens"], line["completion_tokens"], line["estimated"]) == (2, 3, True)
    assert await served.metric("penstock_stream_endings_total", by="client", clean="false") == 1
    assert await served.metric("penstock_tokens_total", type="output") == 3


async def test_a_client_that_leaves_while_a_long_answer_is_written(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    _reader, writer = await served.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport as well
    writer.write(request(asks()))
    call = await backend.call()
    call.result("x" * 20_000_000)
    await served.waits_for("write_stall")
    await leave(writer, by_reset=True)
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["ended_by"], line["completion_tokens"]) == (200, "client", 3)


async def test_a_client_that_leaves_before_the_first_delta(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    _reader, writer = await served.connect()
    writer.write(request(asks(stream=True)))
    call = await backend.call()
    call.begin()
    await leave(writer, by_reset=False)
    await call.left()
    await served.settled()
    assert (access_lines()[0]["status"], len(backend.calls)) == (499, 1)


async def test_a_client_that_leaves_in_its_body_calls_nothing(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    _reader, writer = await served.connect()
    writer.write(request(asks())[:-5])
    await served.waits_for("body_idle")
    await leave(writer, by_reset=False)
    await served.settled()
    assert access_lines()[0]["status"] == 499
    assert not backend.calls


async def test_a_client_that_leaves_while_the_gateway_connects(
    served: Served, backend: Backend, access_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, connected = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def waits(*arguments: Any) -> None:
        connecting.set()
        await connected.wait()
        await connect(*arguments)

    _reader, writer = await served.connect()
    monkeypatch.setattr(loop, "sock_connect", waits)
    writer.write(request(asks()))
    await connecting.wait()
    await leave(writer, by_reset=False)
    await served.settled()
    connected.set()
    monkeypatch.undo()
    assert access_lines()[0]["status"] == 499
    assert not backend.calls
    backend.reply = lambda call: call.result("Hi")
    assert (await served.chat()).status_code == 200


async def test_a_client_that_leaves_the_second_target_is_booked_as_such(
    two: Served, backend: Backend, second: Backend, access_lines: Lines
) -> None:
    """After a deadline has passed, a client's leaving must not be taken for another one."""
    _reader, writer = await two.connect()
    writer.write(request(asks(model="small")))
    slow = await backend.call()
    two.pass_time(301)
    await slow.left()
    call = await second.call()
    await leave(writer, by_reset=False)
    await call.left()
    await two.settled()
    [line] = access_lines()
    assert (line["status"], line["ended_by"], line["attempts"]) == (499, "client", 2)
    assert await two.metric("penstock_deadlines_total") == 1


async def test_two_hundred_leaving_clients_leave_nothing_behind(served: Served, backend: Backend) -> None:
    """In every phase: connecting to the backend, waiting for its headers, in the middle of its body."""
    backend.reply = _speaks_to_every_third
    await served.client.get("/healthz")
    before = asyncio.all_tasks()
    for _ in range(10):
        clients = [await served.connect() for _ in range(20)]
        for number, (_reader, writer) in enumerate(clients):
            writer.write(request(asks(stream=number % 2 == 0, n=1 + number % 3)))
        for number, (reader, writer) in enumerate(clients):
            if number % 6 == 0:
                await reader.readuntil(b"\r\n\r\n")
            await leave(writer, by_reset=number % 2 == 0)
        await served.settled()
    await asyncio.sleep(0)
    for call in backend.calls:
        await call.left()
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
    assert not served.gateway.ticker._live
    pool = served.gateway.dispatch.upstreams["cloudflare"]._pool
    assert pool._open == set(pool._idle)
    assert not backend.connections
    assert await served.metric("penstock_inflight_requests") == 1  # the request for the metrics
    backend.reply = lambda call: call.result("Hi")
    assert (await served.chat()).status_code == 200


def _speaks_to_every_third(call: Call) -> None:
    if call.body.get("stream"):
        call.begin()
        call.event(response="Hi")


async def test_pipelined_requests_are_answered_in_order(served: Served, backend: Backend) -> None:
    reader, writer = await served.connect()
    writer.write(request(asks("one")) + request(asks("two")))
    first = await backend.call()
    assert first.body["messages"][0]["content"] == "one"
    first.result("1")
    second = await backend.call()
    second.result("2")
    answers = await reader.readuntil(b'"content":"2"')
    assert answers.index(b'"content":"1"') < answers.index(b'"content":"2"')
    writer.close()


async def test_a_stream_followed_by_a_request_on_the_same_connection(
    served: Served, backend: Backend
) -> None:
    backend.reply = lambda call: call.stream("Hi") if call.body.get("stream") else call.result("Ho")
    reader, writer = await served.connect()
    writer.write(request(asks(stream=True)))
    streamed = await reader.readuntil(b"0\r\n\r\n")
    assert events(streamed.decode())[-1] == "[DONE]"
    writer.write(request(asks()))
    assert b"200 OK" in await reader.readuntil(b'"content":"Ho"')
    writer.close()


async def test_a_server_that_is_ended_by_force_books_what_it_breaks_off(
    served: Served, backend: Backend, access_lines: Lines, quiet_log: pytest.LogCaptureFixture
) -> None:
    _reader, writer = await served.connect()
    writer.write(request(asks()))
    call = await backend.call()
    [watch] = served.gateway.ticker._live
    watch.task.cancel()
    await call.left()
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["ended_by"], line["error"]) == (503, "gateway", "shutdown")
    quiet_log.clear()  # the server logs that a request was cancelled
    writer.close()
