"""A bound of time that blames nobody for an event loop that was held up.

A reply may have come in time and only not been read, for the loop did something else. So when time is up the
loop first reads what is there, and only then is the waiting ended.
"""

import asyncio
from types import TracebackType
from typing import Any, Final

_READING: Final = 0.002  # seconds: more than a turn of the loop, whatever the order of its timers and reads


class Bound:
    """As `asyncio.timeout_at`, but for the moment in which the loop reads what has come.

    Args:
        end: In seconds of the loop's clock.
    """

    __slots__ = ("_cancelled_before", "_end", "_is_over", "_loop", "_task", "_timer")

    def __init__(self, end: float) -> None:
        self._end = end

    def __enter__(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        task: Any = asyncio.current_task(loop)
        self._task, self._cancelled_before = task, task.cancelling()
        self._is_over = False
        self._timer = loop.call_at(self._end, self._read)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # As `asyncio.timeout`: who was cancelled by others as well stays cancelled.
        was_alone = self._is_over and self._task.uncancel() <= self._cancelled_before
        if was_alone and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _read(self) -> None:
        self._timer = self._loop.call_later(_READING, self._end_it)

    def _end_it(self) -> None:
        self._is_over = True
        self._task.cancel()
