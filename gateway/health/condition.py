"""How a backend and its models are doing, as one worker sees it.

That is what is in flight there, how fast answers begin, what a server says of its own load, and whether it is
left alone.
"""

from dataclasses import dataclass, field
from math import exp, inf
from typing import Final, Literal

from gateway.health.breaker import Breaker

# What came of an attempt, for its health: well; it failed; it was refused without work; nothing is known.
Sign = Literal["well", "failed", "refused", "unknown"]

_MEMORY: Final = 30.0  # seconds after which an old time to the first token counts a third


@dataclass(slots=True)
class Speed:
    """The time to the first token, its recent values counting most."""

    seconds: float | None = None
    _at: float = 0.0

    def note(self, seconds: float, now: float) -> None:
        """One more."""
        if self.seconds is None:
            self.seconds = seconds
        else:
            old = min(0.9, exp((self._at - now) / _MEMORY))
            self.seconds = old * self.seconds + (1 - old) * seconds
        self._at = now


@dataclass(slots=True)
class Told:
    """What a server says of its own load.

    Attributes:
        requests: In work and waiting, of all who ask it.
        saturation: How full its memory of keys and values is, from 0 to 1.
        own: How many of ours were in flight when it said so.
    """

    requests: int = 0
    saturation: float = 0.0
    own: int = 0


@dataclass(slots=True, eq=False)
class Condition:
    """Of a backend, or of one model there.

    Attributes:
        breaker: Keeps requests away where attempts fail.
        most: The most requests in flight; then it is full.
        in_flight: Ours, from this worker.
        aside_until: Until when it is set aside, in seconds of the monotonic clock.
        look_at: From when on one request may look whether it is well again, though it is set aside; never,
            where somebody said for how long it is.
        pause: For how long it was set aside last, where nobody said for how long.
        drained: Whether an operator has it take nothing new.
        speed: How fast answers begin.
        told: What it says of itself.
    """

    breaker: Breaker
    most: int | None = None
    in_flight: int = 0
    aside_until: float = 0.0
    look_at: float = inf
    pause: float = 0.0
    drained: bool = False
    speed: Speed = field(default_factory=Speed)
    told: Told | None = None

    def is_aside(self, now: float) -> bool:
        """Whether it is left alone, and no request may look either."""
        return self.aside_until > now and now < self.look_at

    def is_back(self) -> None:
        """It is well, though it was set aside."""
        self.aside_until, self.look_at = 0.0, inf

    @property
    def is_full(self) -> bool:
        """Whether as much is in flight there as may be."""
        return self.most is not None and self.in_flight >= self.most

    @property
    def load(self) -> float:
        """How many requests are there: ours, or what the server said and what we have sent since."""
        if self.told is None:
            return self.in_flight
        return max(self.in_flight, self.told.requests + self.in_flight - self.told.own)
