"""What comes while a connection's reader waits: taken by a sink at once, or left to the reader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.connection import READ_PIECE, BrokenError, Connection
from tests.gateway.test_connection import CHUNKED, HEAD, OK, serving, taken, until


class Taker:
    """A sink that can be told what to say."""

    def __init__(self, *, ready: bool = True, wants_more: bool = True) -> None:
        self.taken: list[bytes] = []
        self.ready = ready
        self.wants_more = wants_more

    def is_ready(self) -> bool:
        return self.ready

    def take(self, data: bytes) -> bool:
        self.taken.append(data)
        return self.wants_more


class Dictated:
    """Answers with a first byte, and then with what it is told."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + CHUNKED + b"1\r\na\r\n")
        while piece := await self._pieces.get():
            writer.write(piece)

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._pieces.put_nowait(b"%x\r\n%b\r\n" % (len(piece), piece))

    def hang_up(self) -> None:
        self._pieces.put_nowait(b"")


@asynccontextmanager
async def reading(backend: Dictated, sink: Taker) -> AsyncIterator[tuple[Connection, "asyncio.Task[bytes]"]]:
    """A connection whose reader has had the first byte, and offers the sink what comes now."""
    async with serving(backend) as pool:
        connection = await taken(pool)
        await connection.send(HEAD, b"{}")
        assert await connection.read() == b"a"
        task = asyncio.create_task(connection.read(sink))
        await asyncio.sleep(0)
        yield connection, task


async def test_a_sink_takes_what_comes_while_the_reader_waits() -> None:
    backend, sink = Dictated(), Taker()
    async with reading(backend, sink) as (_, task):
        for piece in (b"b", b"c"):
            backend.say(piece)
            await until(lambda piece=piece: piece in sink.taken)  # type: ignore[misc]
        assert not task.done()
        backend.say(b"")  # the end of the body
        assert await task == b""
    assert sink.taken == [b"b", b"c"]


async def test_a_sink_that_is_not_ready_leaves_what_comes_to_the_reader() -> None:
    backend, sink = Dictated(), Taker(ready=False)
    async with reading(backend, sink) as (_, task):
        backend.say(b"b")
        assert await task == b"b"
    assert sink.taken == []


async def test_what_comes_while_nobody_waits_is_no_sink_s_affair() -> None:
    backend, sink = Dictated(), Taker(ready=False)
    async with reading(backend, sink) as (connection, task):
        backend.say(b"b")
        await task
        sink.ready = True
        backend.say(b"c")
        assert await connection.read() == b"c"
    assert sink.taken == []


async def test_more_than_a_client_should_hold_is_not_for_the_sink() -> None:
    backend, sink = Dictated(), Taker(ready=False)
    async with reading(backend, sink) as (connection, task):
        backend.say(b"b")
        await task
        backend.say(b"c" * (READ_PIECE + 1))
        await until(lambda: connection._size > READ_PIECE)
        sink.ready = True
        connection._sink = sink
        connection.data_received(b"1\r\nd\r\n")
        assert sink.taken == []
        assert len(await rest_until_empty(connection)) == READ_PIECE + 2


async def rest_until_empty(connection: Connection) -> bytes:
    body = b""
    while connection._chunks:
        body += await connection.read()
    return body


async def test_a_sink_that_wants_no_more_wakes_the_reader() -> None:
    backend, sink = Dictated(), Taker(wants_more=False)
    async with reading(backend, sink) as (connection, task):
        backend.say(b"b")
        assert await task == b""
        assert not connection.ended
        assert not connection.reusable


async def test_what_came_before_a_break_is_taken() -> None:
    backend, sink = Dictated(), Taker()
    async with reading(backend, sink) as (_, task):
        backend.say(b"b")
        backend.hang_up()
        with pytest.raises(BrokenError):
            await task
    assert sink.taken == [b"b"]
