"""A connection gives each reply to who asked for it, and says when it may be asked no more."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import uvloop
from redis import exceptions
from redis.asyncio.connection import Connection

from gateway.store.line import Line
from gateway.store.lines import packed

PING = packed("PING")
SOON = 0.02


@asynccontextmanager
async def answering(*pieces: bytes, ends: bool = False) -> AsyncIterator[Line]:
    """A connection to a server that answers whatever it is asked with these pieces, one after the other."""

    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(SOON)
            if ends:
                break
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = Line(Connection(host="127.0.0.1", port=port, protocol=2, driver_info=None))
        await line.connect()
        yield line
        await line.close()
        await left.wait()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_replies_that_come_in_pieces_are_whole(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with answering(b"*2\r\n:1", b"7\r\n$4\r\nla", b"te\r\n") as line:
            for _ in range(2):
                assert await line.ask(PING, 1) == [17, b"late"]
                assert line.is_sound

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


async def test_the_last_of_several_replies_is_given() -> None:
    async with answering(b"+OK\r\n", b"+PONG\r\n") as line:
        assert await line.ask(PING + PING, 2) == b"PONG"
        assert line.is_sound


@pytest.mark.parametrize("extra", [b"+PONG\r\n", b"+PO", b"nonsense\r\n"])
async def test_what_nobody_asked_for_makes_it_unsound(extra: bytes) -> None:
    for pieces in ((b"+PONG\r\n" + extra,), (b"+PONG\r\n", extra)):
        async with answering(*pieces) as line:
            assert await line.ask(PING, 1) == b"PONG"
            await asyncio.sleep(3 * SOON)
            assert not line.is_sound


@pytest.mark.parametrize("pieces", [(), (b"$10\r\nhalf",), (b"nonsense\r\n",)])
async def test_who_waits_is_told_that_nothing_will_come(pieces: Sequence[bytes]) -> None:
    async with answering(*pieces, ends=True) as line:
        with pytest.raises(exceptions.RedisError):
            await line.ask(PING, 1)
        assert not line.is_sound


async def test_an_error_is_an_answer() -> None:
    async with answering(b"-NOSCRIPT none\r\n") as line:
        with pytest.raises(exceptions.NoScriptError):
            await line.ask(PING, 1)
        assert line.is_sound


async def test_an_error_before_other_replies_leaves_some_to_come() -> None:
    async with answering(b"-ERR no\r\n", b"+PONG\r\n") as line:
        with pytest.raises(exceptions.ResponseError):
            await line.ask(PING + PING, 2)
        assert not line.is_sound


async def test_a_reply_to_who_has_left_goes_to_nobody() -> None:
    async with answering(b"+PONG\r\n") as line:
        line.ask(PING, 1).cancel()
        await asyncio.sleep(2 * SOON)
        assert not line.is_sound
