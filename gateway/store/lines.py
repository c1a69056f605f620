"""The connections to one server: at most so many, each for one call at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from redis import exceptions

from gateway.store.clock import Clock
from gateway.store.line import Line, close

Word = bytes | str | int

_CONNECTIONS: Final = 16
_READY: Final = 2  # as many calls as an admission has under way
_REMEMBERED: Final = 4096  # words of commands
_CALLS: Final = 64  # with all their keys
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
        self._idle: list[Line] = []
        self._room = _CONNECTIONS
        self._waiting: deque[asyncio.Future[None]] = deque()  # for room
        self._is_closed = False

    async def ask_as_asking(self, command: bytes) -> Any:
        """As `ask`, of a key that is just moving here from another server of the cluster."""
        return await self.ask(_ASKING + command, replies=2)

    async def ask(self, command: bytes, replies: int = 1) -> Any:
        """Send a packed command and wait for the last of its replies; whoever asks bounds the time.

        Raises:
            RedisError: The server says so, or the connection broke.
        """
        if self._room:
            self._room -= 1
        else:
            await self._wait_for_room()
        line = None
        try:
            line = await self._sound()
            return await line.ask(command, replies)
        except (exceptions.ConnectionError, OSError):
            await self.forget()  # what ended one has most likely ended all
            raise
        finally:
            if line is not None:
                if line.is_sound and not self._is_closed:
                    self._idle.append(line)
                else:
                    await line.close()
            self._leave_room()

    async def warm(self) -> None:
        """Have some connections ready: making one may take longer than a call may."""
        while len(self._idle) < _READY and not self._is_closed:
            self._idle.append(await self._new())

    async def forget(self) -> None:
        """Close what is idle: the name may mean another machine by now."""
        idle, self._idle = self._idle, []
        for line in idle:
            await line.close()

    async def close(self) -> None:
        """Close all connections; those in use when they are free."""
        self._is_closed = True
        await self.forget()

    async def _wait_for_room(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(_POOL_WAIT):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # it was given in the moment of leaving
                self._leave_room()
            if isinstance(error, TimeoutError):
                raise exceptions.MaxConnectionsError from None
            raise

    def _leave_room(self) -> None:
        """Give it to who has waited the longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._room += 1

    async def _sound(self) -> Line:
        """An idle connection that the server has not closed meanwhile, or a new one."""
        while self._idle:
            line = self._idle.pop()
            if line.is_sound:
                return line
            await line.close()
        return await self._new()

    async def _new(self) -> Line:
        line = Line(self.connection())
        try:
            await line.connect()
        except BaseException:
            await line.close()
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


def packed(*words: Word) -> bytes:
    """A command as it goes over the wire."""
    return b"".join((b"*%d\r\n" % len(words), *map(_packed, words)))


def packed_call(call: tuple[str, str], keys: Sequence[str], args: Sequence[Word]) -> bytes:
    """A script's call as it goes over the wire."""
    parts = [_packed_head(call, tuple(keys), len(args))]
    for word in args:
        written = word if isinstance(word, bytes) else str(word).encode()
        parts += (_size(len(written)), written, _END)
    return b"".join(parts)


@lru_cache(_CALLS)
def _packed_head(call: tuple[str, str], keys: tuple[str, ...], args: int) -> bytes:
    """What is the same in call after call, and with many limits most of it."""
    words: tuple[Word, ...] = (*call, len(keys), *keys)
    return b"".join((b"*%d\r\n" % (len(words) + args), *map(_packed, words)))


@lru_cache(_REMEMBERED)
def _size(of_word: int) -> bytes:
    return b"$%d\r\n" % of_word


def _packed(word: Word) -> bytes:
    if isinstance(word, str):
        return _packed_text(word)
    written = word if isinstance(word, bytes) else b"%d" % word
    return b"$%d\r\n%b\r\n" % (len(written), written)


@lru_cache(_REMEMBERED)
def _packed_text(word: str) -> bytes:
    """A word of a command; keys come again and again, if not in the same company."""
    return _packed(word.encode())


_END: Final = b"\r\n"
_ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"
