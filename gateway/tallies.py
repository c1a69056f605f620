"""Counts of what a process has done, as plain numbers: noting an exchange is one look-up and some additions.

A metrics library counts each of ten series by itself, behind a lock, which would be a twentieth of what a
request costs. Here exchanges that are alike in every label share one tally, and the series are views of the
tallies, made when somebody asks (`metrics`).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import add, itemgetter
from typing import Final

import msgspec

from gateway.exchange import Exchange

Labels = tuple[str, ...]

DURATIONS: Final = tuple(0.01 * 2**k for k in range(17))
FIRST_TOKEN: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
LINE_WAITS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class Kind(msgspec.Struct, frozen=True, order=True):
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


# More than an account could use up in a lifetime; infinity is above it, and no number is not below.
_ABSURD: Final = 1e15


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

    def merge(self, other: "Tally") -> None:
        """Add what another one has counted."""
        self.requests += other.requests
        self.durations.merge(other.durations)
        self.first_tokens.merge(other.first_tokens)
        self.input += other.input
        self.output += other.output
        self.cached += other.cached
        self.reasoning += other.reasoning
        self.neurons += other.neurons

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


Series = dict[str, list[tuple[Labels, float]]]  # name -> labels' values, and count or figure


class Gauges(msgspec.Struct):
    """How things stand with a process.

    Attributes:
        sums: Of these the figures of several processes add up.
        peaks: Of these the greatest one counts: flags, and what all processes see alike.
    """

    sums: Series = msgspec.field(default_factory=dict)
    peaks: Series = msgspec.field(default_factory=dict)


class Counts(msgspec.Struct):
    """All that a process has counted, and how things stand with it, as processes tell it each other.

    Attributes:
        tallies: Of exchanges, by kind.
        counters: Whatever else is counted.
        waits: For how long requests have waited in the line of each route, in seconds.
        gauges: How things stand.
        in_flight: Requests that are being answered.
        loop_lag: How late the event loop's last timer was, in seconds.
        store_is_up: Whether the store answers; None where there is none.
        workers: How many processes this is of.
    """

    tallies: list[tuple[Kind, Tally]]
    counters: Series
    waits: list[tuple[str, Spread]] = msgspec.field(default_factory=list)
    gauges: Gauges = msgspec.field(default_factory=Gauges)
    in_flight: int = 0
    loop_lag: float = 0.0
    store_is_up: bool | None = None
    workers: int = 1


def together(many: Iterable[Counts]) -> Counts:
    """The counts of several processes: what they have counted is added up, and how things stand with them.

    The tallies are in an order of their own, for they are added up again to series, and the last digit of a
    sum of seconds hangs on the order: it must not change with who has counted something first.
    """
    tallies: dict[Kind, Tally] = {}
    waits: dict[str, Spread] = {}
    counters, sums, peaks = _Joined(add), _Joined(add), _Joined(max)
    total = Counts([], {}, workers=0)
    for counts in many:
        for kind, tally in counts.tallies:
            tallies.setdefault(kind, Tally()).merge(tally)
        for route, each in counts.waits:
            waits.setdefault(route, spread(each.bounds)).merge(each)
        counters.join(counts.counters)
        sums.join(counts.gauges.sums)
        peaks.join(counts.gauges.peaks)
        total.in_flight += counts.in_flight
        total.workers += counts.workers
        total.loop_lag = max(total.loop_lag, counts.loop_lag)
        if counts.store_is_up is not None:
            total.store_is_up = counts.store_is_up and total.store_is_up is not False
    total.tallies = sorted(tallies.items(), key=itemgetter(0))
    total.waits = sorted(waits.items(), key=itemgetter(0))
    total.counters = counters.series()
    total.gauges = Gauges(sums.series(), peaks.series())
    return total


class _Joined:
    """Series of several processes; where two have the same labels, one figure is made of theirs."""

    def __init__(self, of_two: Callable[[float, float], float]) -> None:
        self._of_two = of_two
        self._figures: dict[str, dict[Labels, float]] = {}

    def join(self, series: Series) -> None:
        """Those of one more process."""
        for name, values in series.items():
            figures = self._figures.setdefault(name, {})
            for labels, figure in values:
                known = figures.get(labels)
                figures[labels] = figure if known is None else self._of_two(known, figure)

    def series(self) -> Series:
        """Those of all."""
        return {name: list(figures.items()) for name, figures in self._figures.items()}


def of_the_dead(counts: Counts) -> Counts:
    """What stays of a process that has ended: it answers nothing any more."""
    return Counts(counts.tallies, counts.counters, counts.waits, workers=0)


encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(Counts).decode
