"""Refuses new requests while there are too many, so that those that are running are served in time.

Two things are too many: more requests in flight than `server.max_in_flight`, and an event loop that falls
behind. The first needs no memory: the next request is taken as soon as one has ended. A request is in flight
only when its task has begun, which is after all have been read that one turn of the loop reads: so near the
limit those that this turn has let in count as well, or each turn would let in as many as it reads, and turn
them away where that costs as much as answering does.

The second does need one, because lag tells little about the moment after it. So the ticker, which knows when
it should have woken, only says that the loop is behind: a quarter of a second late once, or a little late
four times in a row. From then on each turn of the loop takes a few new requests, and none after a turn that
was long; turns stay short, which lets refusals out within some milliseconds, and the processor stays busy
with what is running. That ends when for two seconds nothing had to be refused. Switching all requests off
and on with the lag would leave the processor idle after each backlog, and let the next one grow.

Where few are running, a lag is not taken for theirs: their work is mostly done in less than what counts as
late, though on long bodies it may take longer. A process that was stopped, or whose neighbours took its
processor, would only refuse those who waited for it.

And where the memory that the process may have is nearly used up, nothing new is taken until some is free:
the kernel would end it, and with it all that is running. Long bodies could use it up between two looks, so
no more of them is taken than the last look found room for.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final, Literal

Reason = Literal["in_flight", "loop_lag", "memory"]

LAG: Final = 0.25  # seconds; so late is behind at once
LATE: Final = 0.025  # seconds; so late is behind when it is so again and again
MEMORY: Final = 0.92  # of the limit; more is too much
_ENOUGH_MEMORY: Final = 0.90
ROOM: Final = 0.97  # of the limit, up to which bodies may grow
# Bytes that a byte of a body may take while it is read, translated and sent: a text of letters takes 4, one
# with a single character far beyond them, for which Python keeps four bytes for each, 7.
_GROWTH: Final = 8
_LATE_TICKS: Final = 4  # the ticker's, a second
_CALM_TICKS: Final = 8
_STARTS: Final = 16  # new requests in one turn of a loop that is behind
_FEW: Final = 64  # a small chat takes 0.2 to 0.4 ms of the processor: so many, about LATE
_EVENTS: Final = 1024  # libuv takes so many from the system at once; other loops take fewer


class Overload:
    """Counts what is in flight and says whether one more may come.

    Args:
        most: How many requests may be in flight.
        clock: In seconds; tests move it.
        room: How many bytes of memory may be taken.
    """

    def __init__(
        self, most: int, clock: Callable[[], float] = monotonic, room: Callable[[], float] = lambda: inf
    ) -> None:
        self.in_flight = 0
        self.behind = False
        self._is_short = False  # of memory
        self._look = room
        self._room = room()  # at the last look
        self._coming = 0  # bytes that bodies may take that have come since
        self._most = most
        self._clock = clock
        self._late_ticks = 0
        self._calm_ticks = 0
        self._turn = 0.0  # how long the last turn took that was measured
        self._turns = False  # whether the end of this turn will be noticed
        self._starts = 0  # new requests that this turn has let in, where it is noticed

    def is_full(self) -> bool:
        """Whether as many are in flight as may be."""
        return self.in_flight >= self._most

    def refuses(self) -> Reason | None:
        """Why one more request is refused; None: it may come, and counts as one that came."""
        if self._is_short:
            return "memory"
        if self.in_flight + self._starts >= self._most:
            return "in_flight"
        lags = self.behind and self.in_flight >= _FEW
        if lags or self.in_flight + _EVENTS >= self._most:
            if not self._turns:
                self._turns = True
                asyncio.get_running_loop().call_soon(self._end_turn, self._clock())
            if lags and (self._turn > LATE or self._starts >= _STARTS):
                self._calm_ticks = 0
                return "loop_lag"
            self._starts += 1
        return None

    def tick(self, lag: float) -> None:
        """The ticker has woken so late."""
        self._late_ticks = self._late_ticks + 1 if lag >= LATE else 0
        if lag >= LAG or self._late_ticks >= _LATE_TICKS:
            self.behind, self._calm_ticks = True, 0
            self._turn = max(self._turn, lag)
        elif self.behind:
            self._calm_ticks += 1
            self.behind = self._calm_ticks < _CALM_TICKS

    def memory(self, share: float) -> None:
        """So much of the memory that the process may have is in use."""
        self._is_short = share > (_ENOUGH_MEMORY if self._is_short else MEMORY)
        self._room, self._coming = self._look(), 0

    def has_room(self, size: int) -> bool:
        """Whether there is memory for so many more bytes of a body."""
        self._coming += _GROWTH * size
        return self._coming <= self._room

    def _end_turn(self, began: float) -> None:
        self._turn, self._turns, self._starts = self._clock() - began, False, 0
