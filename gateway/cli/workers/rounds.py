"""Work whose result many may share who ask at once, done by one for all of them."""

import asyncio
from collections.abc import Awaitable, Callable


class Rounds:
    """One round runs at a time, and one more may wait for it, whoever asks.

    A round that has begun may have missed what the one who asks has just done; so that one gets the next.
    """

    def __init__(self, work: Callable[[], Awaitable[bytes]]) -> None:
        self._work = work
        self._running: asyncio.Task[bytes] | None = None
        self._next: asyncio.Task[bytes] | None = None

    async def next(self) -> bytes:
        """The result of a round that begins from now on."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[bytes] | None) -> bytes:
        if running is not None:
            await asyncio.wait({running})
        self._running, self._next = self._next, None
        return await self._work()
