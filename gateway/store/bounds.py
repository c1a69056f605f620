"""A bound of time that blames nobody for an event loop that was held up.

A reply may have come in time and only not been read, for the loop did something else. So when time is up the
loop first reads what is there, and only then is the waiting ended.
"""

import asyncio
from types import TracebackType
from typing import Final

_READING: Final = 0.002  # seconds: more than a turn of the loop, whatever the order of its timers and reads


class Bound:
    """As `asyncio.timeout_at`, but for the moment in which the loop reads what has come.

    Args:
        end: In seconds of the loop's clock.
    """

    __slots__ = ("_end", "_loop", "_timeout", "_timer")

    def __init__(self, end: float) -> None:
        self._end = end

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        await self._timeout.__aenter__()
        self._timer = self._loop.call_at(self._end, self._read)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _read(self) -> None:
        self._timer = self._loop.call_later(_READING, self._end_it)

    def _end_it(self) -> None:
        self._timeout.reschedule(self._loop.time())
