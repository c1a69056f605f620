"""Announcements: what one process tells all others at once. One may be lost; it only makes things quicker."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.store.failures import StoreAwayError
from gateway.store.line import close
from gateway.store.lines import Lines, packed

_PAUSE: Final = 1.0


class Listener:
    """Listens to one channel, over a connection of its own, and over a new one where that broke.

    Args:
        lines: Gives the connections to the server of now.
        channel: What to listen to; in a cluster any server hears all.
        told: Is called with each announcement.
    """

    def __init__(self, lines: Callable[[], Lines], channel: str, told: Callable[[bytes], None]) -> None:
        self._lines = lines
        self._channel = channel
        self._told = told
        self._line: Any = None

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(RedisError, OSError, StoreAwayError):
                await self._listen()
            await asyncio.sleep(_PAUSE * random.uniform(0.5, 1))  # noqa: S311 - only spreads them

    async def renew(self) -> None:
        """Listen over a new connection: the server of this one may be another than before, or none."""
        if self._line is not None:
            await close(self._line)

    async def _listen(self) -> None:
        self._line = line = self._lines().connection()
        try:
            await line.connect()
            await line.send_packed_command(packed("SUBSCRIBE", self._channel), check_health=False)
            while True:
                kind, _channel, text = await line.read_response()
                if kind == b"message":
                    self._told(text)
        finally:
            self._line = None
            await close(line)
