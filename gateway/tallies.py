"""Counts of what a process has done, as plain numbers: noting an exchange is one look-up and some additions.

A metrics library counts each of ten series by itself, behind a lock, which would be a twentieth of what a
request costs. Here exchanges that are alike in every label share one tally, and the series are views of the
tallies, made when somebody asks (`metrics`).
"""

from bisect import bisect_left
from typing import Final

import msgspec

from gateway.exchange import Exchange

DURATIONS: Final = tuple(0.01 * 2**k for k in range(17))
FIRST_TOKEN: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60,
)  # fmt: skip


class Kind(msgspec.Struct, frozen=True):
    """What exchanges have in common that share a tally: the labels of all series.

    Attributes:
        model: Empty where the request named none that could be read.
        backend: Empty where none was asked.
        ended_by: Who ended the answer; empty where nobody is to be named.
    """

    operation: str
    model: str
    backend: str
    status_class: str
    stream: bool
    error: str
    ended_by: str


class Spread(msgspec.Struct):
    """How many values fell into each bucket, the last of which has no upper bound; and their sum."""

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    def add(self, value: float) -> None:
        """Note a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def merge(self, other: "Spread") -> None:
        """Add the values of another one with the same bounds."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


def spread(bounds: tuple[float, ...]) -> Spread:
    """One without values."""
    return Spread(bounds, [0] * (len(bounds) + 1))


class Tally(msgspec.Struct):
    """What exchanges of one kind add up to. Times in seconds."""

    requests: int = 0
    durations: Spread = msgspec.field(default_factory=lambda: spread(DURATIONS))
    first_tokens: Spread = msgspec.field(default_factory=lambda: spread(FIRST_TOKEN))
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    neurons: float = 0.0

    def add(self, exchange: Exchange, now: float) -> None:
        """Note an exchange that ends now."""
        self.requests += 1
        self.durations.add(now - exchange.started)
        if exchange.first_token is not None:
            self.first_tokens.add(exchange.first_token - exchange.started)
        usage = exchange.usage
        if usage is not None:
            # What a backend reports may be nonsense, and a counter never falls.
            self.input += max(0, usage.prompt)
            self.output += max(0, usage.completion)
            if usage.cached:
                self.cached += max(0, usage.cached)
            if usage.reasoning:
                self.reasoning += max(0, usage.reasoning)
            if usage.neurons and 0 < usage.neurons < _ABSURD:
                self.neurons += usage.neurons


# More than an account could use up in a lifetime; infinity is above it, and no number is not below.
_ABSURD: Final = 1e15
