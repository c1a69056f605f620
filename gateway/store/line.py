"""One connection to a server, for one call at a time: redis-py makes it, and its bytes come here.

What redis-py lays over a connection costs more than the call. A call that was given up closes its connection,
so that nobody gets the answer to another's question (CVE-2023-28858).
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from hiredis import Reader
from redis import exceptions
from redis.asyncio.connection import DefaultParser

_CLOSED: Final = "the server closed the connection"
_UNASKED: Final = "the server sent what nobody asked for"
_NOTHING: Final = object()


class Line(asyncio.Protocol):
    """A connection.

    Args:
        connection: redis-py's, not connected yet.

    Attributes:
        is_sound: Whether it may be asked: it is open, and all that came was asked for and is here.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._replies = Reader(exceptions.InvalidResponse, DefaultParser.parse_error, notEnoughData=_NOTHING)
        self._transport: Any = None
        self._waiter: asyncio.Future[Any] | None = None
        self._due = 0
        self.is_sound = False

    async def connect(self) -> None:
        """Connect, and make known who asks.

        Raises:
            RedisError: The server says so, or the connection broke.
        """
        connection = self._connection
        await connection.connect()
        if await connection.can_read():  # who takes nobody may say so unasked
            await connection.read_response()
            raise exceptions.ConnectionError(_UNASKED)
        self._transport = connection._writer.transport  # noqa: SLF001 - redis-py has no public name for it
        self._transport.set_protocol(self)
        self.is_sound = True

    def ask(self, command: bytes, replies: int) -> asyncio.Future[Any]:
        """Send a packed command; gives the last of its replies, or the first RedisError."""
        self.is_sound, self._due = False, replies
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        self._transport.write(command)
        return waiter

    async def close(self) -> None:
        """Close it without waiting for the other side."""
        await close(self._connection)

    def data_received(self, data: bytes) -> None:
        """Take replies."""
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not _NOTHING:
                self._take(reply)
            if not self._due and self._replies.has_data():
                self._fail(exceptions.ConnectionError(_UNASKED))
        except exceptions.InvalidResponse as error:
            self._fail(error)

    def eof_received(self) -> None:
        """There will be no more replies."""
        self._fail(exceptions.ConnectionError(_CLOSED))

    def connection_lost(self, error: Exception | None) -> None:
        """There will be no more replies."""
        self._fail(exceptions.ConnectionError(str(error or _CLOSED)))

    def _take(self, reply: Any) -> None:
        self._due -= 1
        waiter = self._waiter
        if self._due < 0 or waiter is None or waiter.done():
            self._fail(exceptions.ConnectionError(_UNASKED))
        elif isinstance(reply, Exception):
            self.is_sound = not self._due and not isinstance(reply, exceptions.ConnectionError)
            waiter.set_exception(reply)
        elif not self._due:
            self.is_sound = True
            waiter.set_result(reply)

    def _fail(self, error: Exception) -> None:
        self.is_sound = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


async def close(connection: Any) -> None:
    """Close a connection of redis-py's without waiting for the other side."""
    with suppress(exceptions.RedisError, OSError):
        await connection.disconnect(nowait=True)
