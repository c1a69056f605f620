"""Clients that leave, wait, trickle, do not read, or pipeline: noticed at once, answered in words, freed."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from gateway.cli.protocol import Protocol, connection
from tests.faults.chaos_client import PATH, ChaosClient, chaos_client, head, request
from tests.faults.chaos_server import (
    CHUNKED,
    DONE,
    EVENTS,
    GOOD,
    GOOD_WHOLE,
    LAST,
    PATIENCE,
    Act,
    ChaosServer,
    Flood,
    Script,
    chunk,
    event,
    said,
    stream,
    whole,
)
from tests.faults.conftest import Between
from tests.faults.outcomes import check_nothing_left, is_error
from tests.gateway.served import Served

Lines = Callable[[], list[dict[str, Any]]]

AT_ONCE = 1.0  # seconds
SHORT = {"header": 0.05, "body_idle": 0.05, "write_stall": 0.05}
SILENT: Script = (Act.HANG,)
HEADERS: Script = (CHUNKED, Act.HANG)
BEGUN: Script = (EVENTS, chunk(event(response="Hel")), Act.HANG)
BUFFER = 4096  # of the kernel's, where a client does not read


async def asked(chaos: ChaosServer) -> None:
    async with asyncio.timeout(PATIENCE):
        await chaos.asked.wait()


async def leaves_unread(served: Served, client: ChaosClient, *headers: str) -> Any:
    """The connection of a client that does not read, with an answer that its buffers do not hold."""
    await client.send(head("GET", "/healthz"))
    assert (await client.answer()).status == 200
    [its] = served.process.server_state.connections
    its.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    client.stop_reading()
    await client.send(head("GET", "/v1/models", *headers))
    async with asyncio.timeout(PATIENCE):
        while not its.transport.get_write_buffer_size():  # noqa: ASYNC110 - turns of the loop, not time
            await asyncio.sleep(0)
    await served.settled()
    return its


async def gone(served: Served, chaos: ChaosServer) -> None:
    """Assert that the gateway notices at once, and keeps nothing."""
    start = time.monotonic()
    await chaos.left()
    assert time.monotonic() - start < AT_ONCE
    await check_nothing_left(served, chaos)
    await no_connection(served)


async def no_connection(served: Served) -> None:
    """Wait until no connection is open but that of the test's own client."""
    await served.client.aclose()
    async with asyncio.timeout(PATIENCE):
        while served.process.server_state.connections:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("by_reset", [False, True], ids=["by closing", "by reset"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "script", [SILENT, HEADERS, BEGUN], ids=["before the headers", "before the body", "in the middle"]
)
async def test_a_client_that_leaves(
    between: Between, access_lines: Lines, script: Script, *, streamed: bool, by_reset: bool
) -> None:
    served, chaos = await between(script)
    async with chaos_client(served.port) as client:
        await client.send(request(stream=streamed))
        await asked(chaos)
        if streamed and script is BEGUN:
            await client.reader.readuntil(b"Hel")
        client.leave(by_reset=by_reset)
        await gone(served, chaos)
    [line] = access_lines()
    begun = streamed and script is BEGUN
    assert (line["status"], line["ended_by"], line["error"]) == (
        200 if begun else 499,
        "client",
        "client_left",
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("waiting", [1, 100, 10_000])
async def test_a_client_that_leaves_behind_pipelined_requests(
    between: Between, access_lines: Lines, waiting: int, *, streamed: bool
) -> None:
    """What waits unread hides that the client leaves, from a server that stops reading."""
    served, chaos = await between(BEGUN)
    async with chaos_client(served.port) as client:
        await client.send(request(stream=streamed))
        await asked(chaos)
        await client.send(head("GET", "/v1/models") * waiting)
        client.leave()
        await gone(served, chaos)
    line, *others = access_lines()
    assert (line["ended_by"], others) == ("client", [])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_half_closes_is_taken_for_one_that_leaves(
    between: Between, *, streamed: bool
) -> None:
    served, chaos = await between(BEGUN)
    async with chaos_client(served.port) as client:
        await client.send(request(stream=streamed))
        await asked(chaos)
        client.half_close()
        await gone(served, chaos)


@pytest.mark.parametrize(
    "data",
    [b"", request()[:10], request()[:60], request()[:-1]],
    ids=["before its first byte", "in its first line", "in its headers", "in its body"],
)
async def test_a_client_that_leaves_before_it_has_asked(between: Between, data: bytes) -> None:
    served, chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(data)
        client.leave()
    await no_connection(served)
    assert not chaos.requests


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_leaves_after_its_answer(
    between: Between, access_lines: Lines, *, streamed: bool
) -> None:
    served, _chaos = await between(GOOD if streamed else GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(request(stream=streamed))
        assert (await client.answer()).status == 200
        client.leave(by_reset=True)
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["ended_by"]) == (200, "backend")


# Slow clients


@pytest.mark.parametrize(
    "data",
    [b"", request()[:10], request()[:60], b"\r\n"],
    ids=["says nothing", "stops in its first line", "stops in its headers", "says a blank line"],
)
async def test_a_client_that_is_slow_to_ask(between: Between, access_lines: Lines, data: bytes) -> None:
    served, _chaos = await between(GOOD_WHOLE, deadlines=SHORT)
    async with chaos_client(served.port) as client:
        await client.send(data)
        answer = await client.answer()
        assert await client.rest() == b""
    assert (answer.status, answer.error["code"]) == (408, "header_timeout")
    assert answer.headers["connection"] == "close"
    assert is_error(answer.error)
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["error"]) == (408, "header_timeout")
    assert await served.metric("penstock_deadlines_total", reason="header") == 1


async def test_a_client_that_trickles_its_headers(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE, deadlines={"header": 0.3})
    async with chaos_client(served.port) as client:
        await client.send(b"GET / HTTP/1.1\r\n")
        answering = asyncio.create_task(client.answer())
        while not answering.done():
            await client.send(b"x: y\r\n")
            await asyncio.sleep(0.02)
        assert (await answering).status == 408


async def test_a_client_that_stops_in_its_body(between: Between) -> None:
    served, chaos = await between(GOOD_WHOLE, deadlines=SHORT)
    async with chaos_client(served.port) as client:
        await client.send(request()[:-1])
        answer = await client.answer()
        assert await client.rest() == b""
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert await served.metric("penstock_deadlines_total", reason="body_idle") == 1
    assert not chaos.requests


async def test_a_client_that_sends_a_byte_at_a_time_and_never_stops_is_answered(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE)
    data = request()
    async with chaos_client(served.port) as client:
        for at in range(len(data)):
            await client.send(data[at : at + 1])
            await asyncio.sleep(0)
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("more", [(), ("connection: close",)], ids=["and would ask more", "asks no more"])
async def test_a_client_that_goes_on_with_a_body_that_was_refused(
    between: Between, more: tuple[str, ...]
) -> None:
    served, _chaos = await between(GOOD_WHOLE, deadlines=SHORT)
    async with chaos_client(served.port) as client:
        await client.send(head("POST", PATH, "content-length: 999999", *more, key="wrong"))
        assert (await client.answer()).status == 401
        ending = asyncio.create_task(client.rest())
        with suppress(ConnectionError):  # for what is on its way when the connection closes
            while not ending.done():
                await client.send(b"x")
                await asyncio.sleep(0.02)
            assert await ending == b""
        await no_connection(served)


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_a_client_whose_last_request_is_refused_may_send_it_to_its_end(
    between: Between, version: str
) -> None:
    """Closing over it would reset the connection, and a proxy would tell of that instead of the refusal."""
    served, _chaos = await between(GOOD_WHOLE)
    size = 8 * 2**20
    async with chaos_client(served.port) as client:
        fields = ("connection: close", f"content-length: {size}")
        await client.send(head("POST", PATH, *fields, key="wrong", version=version))
        assert (await client.answer()).status == 401
        for _ in range(8):
            await client.send(b"x" * (size // 8))
        assert await client.rest() == b""


async def test_an_idle_connection_is_closed_without_a_word(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE, deadlines={"keep_alive": 0.05})
    async with chaos_client(served.port) as client:
        await client.send(request())
        assert (await client.answer()).status == 200
        assert await client.rest() == b""
    assert await served.metric("penstock_deadlines_total") == 0


# Clients that do not read


def endless(streamed: bool) -> Script:  # noqa: FBT001 - of the parameter's name
    if streamed:
        return (EVENTS, Flood(chunk(event(response="x" * 1000)), 64 * 2**20), Act.HANG)
    return (whole(said("x" * 8 * 2**20)), Act.HANG)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_does_not_read(between: Between, access_lines: Lines, *, streamed: bool) -> None:
    served, chaos = await between(endless(streamed), deadlines=SHORT)
    async with chaos_client(served.port, buffer=BUFFER) as client:
        client.stop_reading()
        await client.send(request(stream=streamed))
        await served.waits_for("write_stall")
        assert await _most_buffered(served) <= 2**20
        await no_connection(served)
        await check_nothing_left(served, chaos)
    [line] = access_lines()
    assert (line["ended_by"], line["error"]) == ("gateway", "deadline_write_stall")


async def _most_buffered(served: Served) -> int:
    """The most that waits to be written until the connections are gone, or for a while."""
    most = 0
    for _ in range(20):
        sizes = [each.transport.get_write_buffer_size() for each in served.process.server_state.connections]
        most = max([most, *sizes])
        await asyncio.sleep(0.005)
    return most


async def test_a_client_that_does_not_read_an_event_of_megabytes(between: Between) -> None:
    served, _chaos = await between(stream(event(response="x" * 4 * 2**20), LAST, DONE), deadlines=SHORT)
    async with chaos_client(served.port, buffer=BUFFER) as client:
        client.stop_reading()
        await client.send(request(stream=True))
        assert await _most_buffered(served) <= 2**20
        await no_connection(served)


async def test_a_client_that_does_not_read_an_answer_that_has_ended(between: Between) -> None:
    """It fits into the buffers, so that nobody waits for the client."""
    served, _chaos = await between(GOOD_WHOLE, deadlines=SHORT)
    async with chaos_client(served.port, buffer=BUFFER) as client:
        await leaves_unread(served, client)
        await no_connection(served)


async def test_a_client_that_reads_the_last_answer_slowly_gets_all_of_it(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time to notice that the connection ends begins when the answer is taken."""
    monkeypatch.setattr(connection, "_LINGER", 0.0)
    served, _chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port, buffer=BUFFER) as client:
        its = await leaves_unread(served, client, "connection: upgrade", "upgrade: h2c")
        connection.sweep([its])
        client.transport.resume_reading()  # type: ignore[attr-defined]  # a ReadTransport as well
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_reads_slowly_gets_all_of_it(between: Between, *, streamed: bool) -> None:
    text = "x" * 300_000
    script = stream(event(response=text), LAST, DONE) if streamed else (whole(said(text)),)
    served, _chaos = await between(script)
    async with chaos_client(served.port, buffer=32 * 1024) as client:
        client.stop_reading()
        await client.send(request(stream=streamed))
        reading = asyncio.create_task(client.answer())
        while not reading.done():
            client.transport.resume_reading()  # type: ignore[attr-defined]  # a ReadTransport as well
            await asyncio.sleep(0.001)
            client.stop_reading()
            await asyncio.sleep(0.001)
        answer = reading.result()
    assert answer.status == 200
    assert answer.body.count(b"x") >= len(text)


# Clients that pipeline


async def test_a_thousand_pipelined_requests_are_answered_in_order(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE)
    paths = [
        "/v1/models/" + ("nothing" if number % 3 else "@cf/meta/llama-3.1-8b-instruct-fast")
        for number in range(1000)
    ]
    async with chaos_client(served.port) as client:
        sending = asyncio.create_task(client.send(b"".join(head("GET", path) for path in paths)))
        statuses = [(await client.answer()).status for _ in paths]
        await sending
    assert statuses == [404 if path.endswith("nothing") else 200 for path in paths]


async def test_what_is_pipelined_beyond_a_bound_is_not_kept(between: Between) -> None:
    served, chaos = await between(SILENT, deadlines={"first_byte": 0.05})
    async with chaos_client(served.port) as client:
        await client.send(request())
        await asked(chaos)
        await client.send(b"x" * 3 * 2**20)
        answer = await client.answer()
        await client.send(*[b"x" * 2**20] * 3)  # which does not destroy the answer on its way
        assert await client.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (504, "close")
    assert len(chaos.requests) == 1


async def test_a_request_that_waits_unread_behind_another_one_is_not_late(between: Between) -> None:
    go_on = asyncio.Event()
    served, chaos = await between((go_on, *GOOD_WHOLE))
    async with chaos_client(served.port) as client:
        await client.send(request() + request()[:60], request()[60:])
        await asked(chaos)
        [its] = served.process.server_state.connections
        assert isinstance(its, Protocol)
        its._bounds = replace(its._bounds, clock=lambda: time.monotonic() + 60)
        its.check()
        go_on.set()
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]


async def test_a_request_that_stops_behind_another_one_is_late(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE, deadlines={"header": 0.5})
    async with chaos_client(served.port) as client:
        await client.send(request() + request()[:60])
        assert (await client.answer()).status == 200
        late = await client.answer()
        assert (late.status, late.error["code"]) == (408, "header_timeout")


async def test_a_whole_and_a_streamed_answer_take_turns(between: Between) -> None:
    served, _chaos = await between(GOOD, GOOD_WHOLE, GOOD)
    async with chaos_client(served.port) as client:
        await client.send(request(stream=True) + request() + request(stream=True))
        bodies = [(await client.answer()).body for _ in range(3)]
    assert [body.count(b"[DONE]") for body in bodies] == [1, 0, 1]


async def test_silent_clients_do_not_slow_the_others(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE)
    silent: list[ChaosClient] = []
    for _ in range(200):
        reader, writer = await served.connect()
        silent.append(ChaosClient(reader, writer))
    start = time.monotonic()
    assert (await served.chat()).status_code == 200
    assert time.monotonic() - start < AT_ONCE
    for client in silent:
        client.leave()


# Answers that the gateway breaks off


async def test_an_answer_that_fails_in_the_gateway_ends_its_connection(
    between: Between, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one behind which the client might go on sending."""

    def fails(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(connection, "_LINGER", 0.05)
    monkeypatch.setattr("gateway.cli.protocol.cycle.Cycle._write_piece", fails)
    served, _chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(request("connection: upgrade", "upgrade: h2c"))
        assert await client.rest() == b""
        await no_connection(served)
    caplog.clear()
