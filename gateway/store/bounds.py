"""Bounds of time that blame nobody for an event loop that was held up.

A reply may have come in time and only not been read, for the loop did something else. So when time is up the
loop first reads what is there, and only then is the waiting ended.
"""

import asyncio
from math import inf
from types import TracebackType
from typing import Any, Final

_READING: Final = 0.002  # seconds: more than a turn of the loop, whatever the order of its timers and reads
_EARLY: Final = 0.001  # seconds by which a loop's timers may be early


class Bounds:
    """The bounds of all who wait for one store, with one timer: one each would cost as much as asking."""

    def __init__(self) -> None:
        self._running: set[Bound] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._acts_at = inf  # when the timer goes off

    def until(self, end: float) -> "Bound":
        """A bound that ends at a time of the loop's clock."""
        return Bound(self, end)

    def begin(self, bound: "Bound") -> None:
        """End a bound when its time is up."""
        self._running.add(bound)
        if bound.end < self._acts_at:
            self._set_timer(bound.end)

    def leave(self, bound: "Bound") -> None:
        """Nobody waits in this one any more; the timer finds that out when it goes off."""
        self._running.discard(bound)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._acts_at, self._timer = at, asyncio.get_running_loop().call_at(at, self._read)

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        self._acts_at, self._timer = -inf, loop.call_later(_READING, self._end_some, loop.time() + _EARLY)

    def _end_some(self, now: float) -> None:
        loop = asyncio.get_running_loop()
        self._acts_at, self._timer = inf, None
        for bound in self._running:
            if bound.end <= now:
                loop.call_soon(self._end, bound)  # behind those that have been woken in this turn
        still = [bound.end for bound in self._running if bound.end > now]
        if still:
            self._set_timer(min(still))

    def _end(self, bound: "Bound") -> None:
        """End a bound once, if nobody has left it meanwhile: a reply that is here has come in time."""
        if bound in self._running:
            self._running.remove(bound)
            bound.end_it()


class Bound:
    """As `asyncio.timeout_at`, but for the moment in which the loop reads what has come.

    Args:
        bounds: Whose timer ends it.
        end: In seconds of the loop's clock.
    """

    __slots__ = ("_bounds", "_cancelled_before", "_is_over", "_task", "end")

    def __init__(self, bounds: Bounds, end: float) -> None:
        self._bounds = bounds
        self._is_over = False
        self.end: Final = end

    def __enter__(self) -> None:
        task: Any = asyncio.current_task()
        self._task, self._cancelled_before = task, task.cancelling()
        self._bounds.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._bounds.leave(self)
        # As `asyncio.timeout`: who was cancelled by others as well stays cancelled.
        was_alone = self._is_over and self._task.uncancel() <= self._cancelled_before
        if was_alone and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end_it(self) -> None:
        """Wake who waits: time is up."""
        self._is_over = True
        self._task.cancel()
