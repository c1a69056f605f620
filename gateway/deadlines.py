"""Deadlines of exchanges: one ticker a worker walks all of them, so no chunk needs a timer of its own.

An exchange says what it is waiting for by `Watch.wait_for`; where that takes too long, the ticker notes
the phase in `Watch.expired` and cancels the task, which tells the two apart by it. Precision is the
ticker's 250 ms.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import InitVar, dataclass, field
from math import inf
from time import monotonic
from typing import Any, Final, Literal, get_args

import msgspec

from gateway.settings import Deadlines

TICK: Final = 0.25  # seconds

Phase = Literal["connect", "first_byte", "gap", "total", "write_stall", "body_idle"]


class Allowed(msgspec.Struct, frozen=True):
    """The settings in another form: to look up an attribute of theirs costs ten times as much.

    Attributes:
        phases: Seconds for each.
        made: Seconds for a whole answer's first byte.
        hold_headers: Seconds until an answer that is slow to begin gives a sign of life.
    """

    phases: Mapping[Phase, float]
    made: float
    hold_headers: float


@dataclass(slots=True, eq=False)
class Watch:
    """What one exchange waits for.

    Attributes:
        lanes: The watches of its tasks, where it has several and each waits for something else.
    """

    task: asyncio.Task[None]
    allowed: Allowed
    total_at: float
    phase: Phase = "body_idle"
    at: float = 0.0
    expired: Phase | None = None
    quiet_at: float = 0.0
    quiet: Callable[[], Coroutine[Any, Any, None]] | None = None
    lanes: "tuple[Watch, ...]" = ()

    def wait_for(self, phase: Phase) -> None:
        """Begin to wait for something; the clock starts anew."""
        self.phase = phase
        self.at = monotonic() + self.allowed.phases[phase]

    def wait_for_answer(self, *, whole: bool) -> None:
        """Begin to wait for an answer's first byte; a whole answer has one only when all of it is made."""
        self.phase = "first_byte"
        self.at = monotonic() + (self.allowed.made if whole else self.allowed.phases["first_byte"])

    def rest(self) -> None:
        """Wait for nothing but the end of the whole."""
        self.phase, self.at = "total", inf

    def give_up(self) -> None:
        """Cancel the task for a client that has left, be it in the moment in which a deadline passed."""
        if self.expired is None:
            self.task.cancel()
        for watch in (self, *self.lanes):
            watch.expired, watch.at, watch.total_at = None, inf, inf

    def hold_headers(self, quiet: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Call `quiet` where the answer's headers have been held back for long, and again and again."""
        self.quiet, self.quiet_at = quiet, monotonic() + self.allowed.hold_headers

    def release_headers(self) -> None:
        """The answer has begun."""
        self.quiet = None

    def take_expired(self) -> Phase | None:
        """After a CancelledError: the phase that ran out, with the cancellation undone; else None.

        What comes next (the error, another target) has deadlines of its own: the clock of the phase stands
        still until the next `wait_for`, and that of the total has done its work.
        """
        phase = self.expired
        if phase is None:
            return None
        self.task.uncancel()
        self.expired, self.at = None, inf
        if phase == "total":
            self.total_at = inf
        return phase


@dataclass(slots=True)
class Ticker:
    """Walks the live exchanges four times a second."""

    deadlines: InitVar[Deadlines]
    clock: Callable[[], float] = monotonic
    woke: Callable[[float], None] | None = None  # told how late each tick is, in seconds
    _allowed: Allowed = field(init=False)
    _live: set[Watch] = field(default_factory=set)
    _quiet: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self, deadlines: Deadlines) -> None:
        phases = {phase: getattr(deadlines, phase) for phase in get_args(Phase)}
        self._allowed = Allowed(phases, deadlines.made, deadlines.hold_headers)

    def watch(self) -> Watch:
        """Watch the current task until `release`."""
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - an ASGI application always runs in a task
            raise RuntimeError("A watch needs a task.")
        watch = Watch(task, self._allowed, self.clock() + self._allowed.phases["total"])
        watch.wait_for("body_idle")
        self._live.add(watch)
        return watch

    def release(self, watch: Watch) -> None:
        """Watch no longer."""
        self._live.discard(watch)
        watch.release_headers()

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            due = self.clock() + TICK
            await asyncio.sleep(TICK)
            if self.woke is not None:
                self.woke(max(0.0, self.clock() - due))
            self.tick()

    def tick(self) -> None:
        """Cancel what is overdue and give a sign of life where an answer is slow to begin."""
        now = self.clock()
        every = [watch for each in self._live for watch in (each, *each.lanes)]
        for watch in [each for each in every if each.expired is None]:
            if now >= watch.at or now >= watch.total_at:
                watch.expired = watch.phase if now >= watch.at else "total"
                watch.task.cancel()
            elif watch.quiet is not None and now >= watch.quiet_at:
                watch.quiet_at = now + watch.allowed.hold_headers
                sign = asyncio.create_task(_give_sign(watch))
                self._quiet.add(sign)
                sign.add_done_callback(self._quiet.discard)


async def _give_sign(watch: Watch) -> None:
    if watch.quiet is not None:  # the answer may have begun since the tick
        await watch.quiet()
