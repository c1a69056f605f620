"""Too many requests: who is refused, that nobody else is harmed, and when it ends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway import deadlines
from gateway.cli import server
from gateway.deadlines import Ticker
from gateway.memory import Memory
from gateway.overload import LAG, LATE, Overload, Reason
from gateway.settings import Deadlines
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend, begins_with
from tests.gateway.served import Served, asks, backend_settings
from tests.gateway.test_leaving import request
from tests.gateway.test_relay import line_with, rest_of, streaming

Lines = Callable[[], list[dict[str, Any]]]

FEW = 64
STARTS = 16


@asynccontextmanager
async def _running_streams(served: Served, backend: Backend, count: int) -> AsyncIterator[None]:
    backend.reply = begins_with("Hel")
    held = []  # an iterator that is thrown away closes its stream
    async with AsyncExitStack() as stack:
        for _ in range(count):
            _answer, lines = await stack.enter_async_context(streaming(served))
            await line_with(lines, "Hel")
            held.append(lines)
        assert served.gateway.overload.in_flight == count
        backend.reply = lambda call: call.result("Hi")
        yield


async def test_past_the_most_in_flight_a_request_is_refused_and_the_running_one_ends_well(
    serve: Serve, backend: Backend
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    backend.reply = begins_with("Hel")
    async with streaming(served) as (_answer, lines):
        await line_with(lines, "Hel")
        refused = await served.chat()
        error = refused.json()["error"]
        assert (refused.status_code, error["type"], error["code"]) == (503, "server_error", "overloaded")
        assert set(error) == {"message", "type", "param", "code"}
        assert 1000 <= int(refused.headers["retry-after-ms"]) <= 2000
        assert refused.headers["retry-after"] == "2"
        assert refused.headers["x-request-id"].startswith("req_")
        assert len(backend.calls) == 1
        backend.calls[0].event(response="lo")
        backend.calls[0].event(response="", usage={"prompt_tokens": 1, "completion_tokens": 2})
        backend.calls[0].piece(b"data: [DONE]\n\n")
        backend.calls[0].finish()
        assert "[DONE]" in await rest_of(lines)
    await served.settled()
    backend.reply = lambda call: call.result("Hi")
    assert (await served.chat()).status_code == 200
    assert await served.metric("penstock_shed_requests_total", reason="in_flight") == 1


async def test_a_refusal_waits_neither_for_the_body_nor_for_the_key(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    async with _running_streams(served, backend, 1):
        reader, writer = await served.connect()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """An answer's head and its body, which has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length
    return head, await reader.readexactly(int(length[1]))


async def test_a_refusal_keeps_the_connection_whose_body_comes_later(
    serve: Serve, backend: Backend, access_lines: Lines
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    reader, writer = await served.connect()
    whole = request(asks())
    async with _running_streams(served, backend, 1):
        writer.write(whole[:-10])
        head, _body = await _answer(reader)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" not in head
        [line] = access_lines()
        assert (line["status"], line["error"], line["path"]) == (503, "overloaded", "/v1/chat/completions")
    await served.settled()
    writer.write(whole[-10:] + whole)
    head, _body = await _answer(reader)
    assert head.startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "more",
    [b"connection: close\r\n", b"expect: 100-continue\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n"],
)
async def test_whatever_a_request_asks_of_its_connection_it_is_refused(
    serve: Serve, backend: Backend, more: bytes
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    async with _running_streams(served, backend, 1):
        reader, writer = await served.connect()
        writer.write(request(asks()).replace(b"host: x\r\n", b"host: x\r\n" + more))
        head, body = await _answer(reader)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 2\r\n" in head
        assert json.loads(body)["error"]["code"] == "overloaded"
        assert len(backend.calls) == 1
        assert await served.metric("penstock_shed_requests_total", reason="in_flight") == 1
        writer.close()
        await writer.wait_closed()


async def test_those_that_come_at_once_are_not_more_than_may_be(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 2})
    asking = [asyncio.create_task(served.chat()) for _ in range(8)]
    calls = [await backend.call() for _ in range(2)]
    done, running = await asyncio.wait(asking, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    while len(running) > 2:
        more, running = await asyncio.wait(running, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert more
        done |= more
    assert {each.result().status_code for each in done} == {503}
    for call in calls:
        call.result("Hi")
    assert [each.status_code for each in await asyncio.gather(*running)] == [200, 200]


async def test_operators_are_answered_however_many_requests_there_are(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    async with _running_streams(served, backend, 1):
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await served.client.get(path)).status_code == 200


async def test_refused_requests_are_not_in_flight(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    async with _running_streams(served, backend, 1):
        for _ in range(3):
            assert (await served.chat()).status_code == 503
        assert served.gateway.overload.in_flight == 1
    await served.settled()
    assert served.gateway.overload.in_flight == 0


async def test_a_loop_that_lags_refuses_until_it_has_turned(served: Served, backend: Backend) -> None:
    assert served.gateway.ticker.woke
    async with _running_streams(served, backend, FEW):
        served.gateway.overload._clock = lambda: 0.0  # the turns that follow are short
        served.gateway.ticker.woke(LAG)
        assert (await served.chat()).json()["error"]["code"] == "overloaded"
        assert (await served.chat()).status_code == 200
        assert await served.metric("penstock_shed_requests_total", reason="loop_lag") == 1


async def test_few_running_requests_are_not_the_reason_for_a_lag(served: Served, backend: Backend) -> None:
    assert served.gateway.ticker.woke
    async with _running_streams(served, backend, 2):
        served.gateway.ticker.woke(LAG)
        assert (await served.chat()).status_code == 200


async def test_the_lag_is_a_metric(served: Served) -> None:
    assert served.gateway.ticker.woke
    served.gateway.ticker.woke(0.125)
    assert await served.metric("penstock_event_loop_lag_seconds") == 0.125


async def test_the_ticker_says_how_late_it_woke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "TICK", 0.0)
    now = 100.0
    lags: list[float] = []
    ticking = asyncio.create_task(Ticker(Deadlines(), lambda: now, lags.append).run())
    await asyncio.sleep(0)  # it has begun to sleep
    now += 0.5
    await asyncio.sleep(0)
    ticking.cancel()
    assert lags == [0.5]


def _behind(in_flight: int = FEW) -> Overload:
    overload = Overload(1000, lambda: 0.0)
    overload.in_flight = in_flight
    overload.tick(LAG)
    return overload


async def test_a_loop_that_is_behind_takes_a_few_in_each_turn() -> None:
    overload = _behind()
    assert overload.refuses() == "loop_lag"  # the turn that was late
    for _ in range(2):
        await asyncio.sleep(0)
        reasons = [overload.refuses() for _ in range(40)]
        assert reasons == [None] * STARTS + ["loop_lag"] * 24


async def test_a_long_turn_is_followed_by_one_that_takes_nothing() -> None:
    now = 0.0
    overload = Overload(1000, lambda: now)
    overload.in_flight = FEW
    overload.tick(LAG)
    overload.refuses()
    now += 2 * LATE
    await asyncio.sleep(0)
    assert overload.refuses() == "loop_lag"
    await asyncio.sleep(0)
    assert overload.refuses() is None


def test_being_a_little_late_counts_only_when_it_goes_on() -> None:
    overload = Overload(1000)
    for lag in (LATE, LATE, LATE, 0.0, LATE, LATE, LATE):
        overload.tick(lag)
        assert not overload.behind
    overload.tick(LATE)
    assert overload.behind


async def test_it_ends_when_for_two_seconds_nothing_was_refused() -> None:
    overload = _behind()
    for _ in range(7):
        overload.tick(0.0)
    assert overload.refuses() == "loop_lag"
    for _ in range(7):
        overload.tick(0.0)
        assert overload.behind
    overload.tick(0.0)
    assert not overload.behind
    assert overload.refuses() is None


def test_near_the_most_those_that_this_turn_lets_in_count() -> None:
    async def turns() -> list[list[Reason | None]]:
        overload = Overload(3, lambda: 0.0)
        first = [overload.refuses() for _ in range(5)]
        overload.in_flight = 2  # one of the three has asked for what costs nothing
        await asyncio.sleep(0)
        return [first, [overload.refuses() for _ in range(2)]]

    assert asyncio.run(turns()) == [[None, None, None, "in_flight", "in_flight"], [None, "in_flight"]]


def test_no_more_of_bodies_is_taken_than_the_last_look_found_room_for() -> None:
    room = 1000.0
    overload = Overload(1000, room=lambda: room)
    assert [overload.has_room(60) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    room = 490.0  # the two are in use by now
    overload.memory(0.5)
    assert [overload.has_room(60) for _ in range(2)] == [True, False]


async def test_a_body_without_room_for_it_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.gateway.overload, "_look", lambda: 1000.0)
    served.gateway.overload.memory(0.5)
    answer = await served.chat("word " * 1000)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert await served.metric("penstock_shed_requests_total", reason="memory") == 1


async def test_what_one_turn_reads_too_much_is_refused_before_it_costs_a_task(
    serve: Serve, backend: Backend, access_lines: Lines
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 2})
    connections = [await served.connect() for _ in range(6)]
    for _reader, writer in connections:
        writer.write(request(asks()))
    for _ in range(2):
        (await backend.call()).result("Hi")
    answers = [await _answer(reader) for reader, _writer in connections]
    await served.settled()
    assert sorted(head[9:12] for head, _body in answers) == [b"200"] * 2 + [b"503"] * 4
    assert sorted(line["operation"] for line in access_lines()) == ["chat"] * 2 + ["refused"] * 4
    for _reader, writer in connections:
        writer.close()


def _spelled(text: str = "Hello", name: bytes = b"content-length") -> bytes:
    return request(asks(text)).replace(b"content-length", name)


@pytest.mark.parametrize(
    "asked",
    [
        [(_spelled(), 1)] * 4,
        [(_spelled("x" * length, b"Content-Length"), 1) for length in (0, 7, 80, 900, 80)],
        [(_spelled(), 1), (_spelled(name=b"CONTENT-length"), 1), (_spelled(), 1)],
        [(_spelled(), 1), (_spelled() * 3, 3), (_spelled(), 1)],
        [(_spelled(), 1), (_spelled()[:-1], 1), (_spelled()[-1:], 0), (_spelled(), 1)],
        [(_spelled(), 1), (_spelled() + _spelled()[:-1], 2), (_spelled()[-1:] + _spelled(), 1)],
    ],
    ids=["the same", "other lengths", "other words", "several at once", "in pieces", "one and a piece"],
)
async def test_who_asks_again_is_refused_as_often_as_he_asks(
    serve: Serve, backend: Backend, access_lines: Lines, asked: list[tuple[bytes, int]]
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    reader, writer = await served.connect()
    async with _running_streams(served, backend, 1):
        answers = []
        for data, count in asked:
            writer.write(data)
            answers += [await _answer(reader) for _ in range(count)]
        ids = [line["request_id"] for line in access_lines()]
        assert await served.metric("penstock_shed_requests_total", reason="in_flight") == len(answers)
    for head, body in answers:
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body)["error"]["code"] == "overloaded"
        assert b"retry-after: 2\r\n" in head
    assert [re.findall(rb"x-request-id: (.*)\r", head) for head, _body in answers] == [
        [i.encode()] for i in ids
    ]
    assert len(set(ids)) == len(answers)
    assert await served.metric("penstock_requests_total", operation="refused") == len(answers)
    writer.close()


async def test_who_was_refused_is_answered_when_there_is_room(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    reader, writer = await served.connect()
    for _ in range(2):
        async with _running_streams(served, backend, 1):
            for _ in range(3):
                writer.write(_spelled())
                assert (await _answer(reader))[0].startswith(b"HTTP/1.1 503 ")
        await served.settled()
        writer.write(_spelled("Are you there?"))
        head, body = await _answer(reader)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert json.loads(body)["choices"][0]["message"]["content"] == "Hi"
        assert backend.calls[-1].body["messages"][0]["content"] == "Are you there?"
        await served.settled()
    writer.close()


async def test_operators_are_answered_on_a_connection_that_was_refused(
    serve: Serve, backend: Backend
) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    reader, writer = await served.connect()
    async with _running_streams(served, backend, 1):
        for data, status in (
            (_spelled(), b"503"),
            (_spelled(), b"503"),
            (_HEALTH, b"200"),
            (_spelled(), b"503"),
        ):
            writer.write(data)
            assert (await _answer(reader))[0][9:12] == status
    writer.close()


_HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_operators_are_answered_at_their_own_address_however_many_clients_there_are(
    serve_stored: Serve, backend: Backend
) -> None:
    served = await serve_stored(backends={"b": backend_settings(backend.url)}, server={"max_in_flight": 1})
    listener = server.listen("127.0.0.1", 0)
    for_operators = server.gateway_sites(served.gateway, listener, listener)[1]
    async with server.running(for_operators), _running_streams(served, backend, 1):
        assert (await served.client.get("/admin/v1/keys")).status_code == 503
        assert (await served.client.get(f"{for_operators.url}/admin/v1/keys")).status_code == 200


async def test_where_memory_is_short_nothing_new_is_taken_until_some_is_free(
    serve: Serve, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("memory.max", "1000000000"), ("memory.current", "100000000")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("gateway.app.Memory", partial(Memory, tmp_path, tmp_path / "none"))
    served = await serve(backends={"b": backend_settings(backend.url)})
    backend.reply = lambda call: call.result("Hi")
    assert served.gateway.ticker.woke
    for used, status in ((920, 200), (921, 503), (901, 503), (900, 200), (920, 200)):
        (tmp_path / "memory.current").write_text(f"{used}000000")
        served.gateway.ticker.woke(0.0)
        answer = await served.chat()
        assert answer.status_code == status, used
        assert (await served.client.get("/healthz")).status_code == 200
    assert await served.metric("penstock_shed_requests_total", reason="memory") == 2
