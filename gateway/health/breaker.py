"""A breaker: leaves alone for a while what fails, and lets one request look whether it is well again.

It opens at a number of failures in a row, or at a share of failures among the attempts of the last ten
seconds. Its pause doubles with every look in vain. What has come back gets its full share of requests only
after a while: an engine that has just started is slow, and would fail again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.settings import Breaker as Marks

# Half-open: the next request, or the one that is under way, looks whether it is well again.
State = Literal["closed", "half_open", "open"]

_SPAN: Final = 10  # seconds over which the share of failures is taken
_LEAST_ATTEMPTS: Final = 20  # fewer say nothing about a share
_LONGEST_PAUSE: Final = 30.0
_LEAST_SHARE: Final = 0.1  # of what has just come back


def _tell_nobody() -> None:
    """Of an opening."""


@dataclass(slots=True)
class _Second:
    number: int = 0
    attempts: int = 0
    failures: int = 0


@dataclass(slots=True, eq=False)
class Breaker:
    """One breaker. Times are seconds of one monotonic clock.

    Attributes:
        marks: When it opens, and for how long.
        opened: Called when it opens, but not when it stays open after a look in vain.
        until: When it may be looked at again; None while it is closed.
        back_since: Since when it gets requests again, while it does not get its whole share; else None.
    """

    marks: Marks
    opened: Callable[[], None] = _tell_nobody
    until: float | None = None
    back_since: float | None = None
    _pause: float = 0.0
    _in_a_row: int = 0
    _looking: bool = False  # whether a request is under way that looks whether it is well again
    _seconds: list[_Second] = field(default_factory=lambda: [_Second() for _ in range(_SPAN)])

    @property
    def is_open(self) -> bool:
        """Whether requests are kept away."""
        return self.until is not None

    def state(self, now: float) -> State:
        """What to tell of it."""
        if self.until is None:
            return "closed"
        return "half_open" if now >= self.until else "open"

    def lets_in(self, now: float) -> bool:
        """Whether a request may pass."""
        return self.until is None or (now >= self.until and not self._looking)

    def begin(self) -> None:
        """A request is to pass; of an open breaker, the one that looks. It ends, or has `left`."""
        if self.until is not None:
            self._looking = True

    def succeeded(self, now: float) -> None:
        """An attempt went well."""
        self._in_a_row = 0
        if self.until is None:
            self._note(now, 0)
            return
        self.until, self._looking, self._pause = None, False, 0.0
        self.back_since = now
        self._forget()

    def failed(self, now: float) -> None:
        """An attempt failed."""
        self._in_a_row += 1
        if self.until is not None:
            if self._looking:
                self._open(now)
            return
        self._note(now, 1)
        if self._in_a_row >= self.marks.failures or self._fails_often(now):
            self._open(now)

    def left(self) -> None:
        """An attempt ended without saying anything about its health."""
        self._looking = False

    def is_down(self, now: float) -> None:
        """Somebody else has looked, again and again, and found it down."""
        if self.until is None:
            self._open(now)

    def is_well(self, now: float) -> None:
        """Somebody else has looked: the next request may pass."""
        if self.until is not None:
            self.until = min(self.until, now)

    def share(self, now: float) -> float:
        """The part of its requests that it gets, from 0 to 1."""
        if self.back_since is None or self.marks.slow_start <= 0:
            return 1.0
        passed = (now - self.back_since) / self.marks.slow_start
        if passed >= 1:
            self.back_since = None
            return 1.0
        return max(_LEAST_SHARE, passed)

    def _open(self, now: float) -> None:
        if self.until is None:
            self.opened()
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause) if self._pause else self.marks.wait
        self.until, self._looking = now + self._pause, False

    def _note(self, now: float, failures: int) -> None:
        number = int(now)
        second = self._seconds[number % _SPAN]
        if second.number != number:
            second.number, second.attempts, second.failures = number, 0, 0
        second.attempts += 1
        second.failures += failures

    def _fails_often(self, now: float) -> bool:
        recent = [each for each in self._seconds if each.number > now - _SPAN]
        attempts = sum(each.attempts for each in recent)
        failures = sum(each.failures for each in recent)
        return attempts >= _LEAST_ATTEMPTS and failures >= self.marks.ratio * attempts

    def _forget(self) -> None:
        for each in self._seconds:
            each.attempts = each.failures = 0
