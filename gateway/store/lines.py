"""The connections to one server: at most so many, each for one call at a time.

redis-py's connections without its client, which costs twice as much as all the rest of a call. A call that
was given up closes its connection, so that nobody gets the answer to another's question (CVE-2023-28858).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from redis import exceptions

from gateway.store.clock import Clock

Word = bytes | str | int

_CONNECTIONS: Final = 16
_READY: Final = 2  # as many calls as an admission has under way
_REMEMBERED: Final = 4096  # words of commands
_POOL_WAIT: Final = 0.05  # seconds for a free one


class Lines:
    """The connections to one server.

    Args:
        connection: Makes one that is not connected yet.

    Attributes:
        clock: What the server's replies have told of its time.
    """

    def __init__(self, connection: Callable[[], Any]) -> None:
        self.connection: Final = connection
        self.clock: Final = Clock()
        self._free: list[Any] = []
        self._room = asyncio.Semaphore(_CONNECTIONS)
        self._is_closed = False

    async def ask(self, command: bytes) -> Any:
        """Send a packed command and wait for its reply; whoever asks bounds the time.

        Raises:
            RedisError: The server says so, or the connection broke.
        """
        return await self._ask(command, replies=1)

    async def ask_as_asking(self, command: bytes) -> Any:
        """The same of a key that is just moving here from another server of the cluster."""
        return await self._ask(_ASKING + command, replies=2)

    async def _ask(self, command: bytes, replies: int) -> Any:
        await self._enter()
        line, expected = None, replies
        try:
            line = await self._sound() or await self._new()
            await line.send_packed_command(command, check_health=False)
            while expected:
                expected -= 1
                reply = await line.read_response()
        except (exceptions.ConnectionError, OSError):
            await self.forget()  # what ended one has most likely ended all
            raise
        finally:
            if line is not None:
                await self._put_back(line, is_clean=not expected)
            self._room.release()
        return reply

    async def _put_back(self, line: Any, *, is_clean: bool) -> None:
        if is_clean and line.is_connected and not self._is_closed:
            self._free.append(line)
        else:
            await close(line)

    async def warm(self) -> None:
        """Have some connections ready: making one may take longer than a call may."""
        while len(self._free) < _READY and not self._is_closed:
            self._free.append(await self._new())

    async def forget(self) -> None:
        """Close what is idle: the name may mean another machine by now."""
        idle, self._free = self._free, []
        for line in idle:
            await close(line)

    async def close(self) -> None:
        """Close all connections; those in use when they are free."""
        self._is_closed = True
        await self.forget()

    async def _enter(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(_POOL_WAIT):
                await self._room.acquire()
        except TimeoutError:
            raise exceptions.MaxConnectionsError from None

    async def _sound(self) -> Any:
        """An idle connection that the server has not closed meanwhile."""
        while self._free:
            line = self._free.pop()
            with suppress(OSError):
                if not await line.can_read():
                    return line
            await close(line)
        return None

    async def _new(self) -> Any:
        line = self.connection()
        try:
            await line.connect()
        except BaseException:
            await close(line)
            raise
        return line


async def ask_once(line: Any, within: float, *commands: bytes) -> list[Any]:
    """Connect, give some packed commands, and close; gives the replies.

    Raises:
        TimeoutError: It took too long.
        RedisError: The server says so, or the connection broke.
    """
    replies = []
    try:
        async with asyncio.timeout(within):
            await line.connect()
            for command in commands:
                await line.send_packed_command(command, check_health=False)
                replies.append(await line.read_response())
    finally:
        await close(line)
    return replies


async def close(line: Any) -> None:
    """Close a connection without waiting for the other side."""
    with suppress(exceptions.RedisError, OSError):
        await line.disconnect(nowait=True)


def packed(*words: Word) -> bytes:
    """A command as it goes over the wire."""
    pieces = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, str):
            pieces.append(_packed_text(word))
        else:
            pieces.append(_packed(word if isinstance(word, bytes) else str(word).encode()))
    return b"".join(pieces)


@lru_cache(_REMEMBERED)
def _packed_text(word: str) -> bytes:
    """A word of a command; keys are the same in call after call, and with many limits they are most of it."""
    return _packed(word.encode())


def _packed(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)


_ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"
