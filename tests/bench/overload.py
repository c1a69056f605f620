"""Measure what is left of a gateway's goodput when three times as much is asked of it.

Run as `python -m tests.bench.overload`. For each work it finds the peak: the most whole answers a second, and
the lowest rate in an open loop that brings about as many. Then, in pairs of runs one after the other, it
offers the rate of the peak and three times the peak, and prints how much of the peak still comes back whole
and how long the refused ones waited for their 503. In other pairs half of the peak is offered to the upstream
itself and to Penstock: the difference of their first bytes is what Penstock adds at half load. The runs of a
pair take turns in going first. The figures are medians of the pairs, with the least and the greatest, for
neighbours on a shared machine change either run of a single pair.

A stream costs far more than refusing one does. A whole chat costs but ten times as much. One that takes a
model's time meets the limit of those in flight long before the core is full. One that the backend answers at
once, as only a test's does, fills the core, so that its row is the worst there is. The load and the upstream
share a core, so that more in flight would wait for the upstream, and not for Penstock.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from tests.bench import environment, gateways, load, works
from tests.bench.load import Amount
from tests.bench.measure import Cores, spread
from tests.bench.open_loop import Answers, Offer, offer
from tests.bench.servers import Server
from tests.bench.works import Work

TIMES = 3
PAIRS = 5
SECONDS = 4.0
WARM_SECONDS = 3.0  # longer than a paced stream: as many are open from then on as the rate asks for
PEAK_SECONDS = 2.0
STEP = 1.25
MOST_STEPS = 8
ENOUGH = 0.8  # of the best so far: less was no neighbour's doing
MORE = 1.03  # in multiples of the best so far: what a higher rate brings where it is no overload already


@dataclass(frozen=True)
class Case:
    """A work, and the most that may be in flight: twice what keeps a core busy, or what limits the work."""

    work: Work
    max_in_flight: int

    @property
    def title(self) -> str:
        """What the row is called."""
        return f"{self.work.title.split(',')[0]}, max_in_flight {self.max_in_flight}"


@dataclass(frozen=True)
class Peak:
    """The most good answers a second, and how many requests a second bring them."""

    rate: float
    goodput: float


CASES = {
    "burst": Case(works.BURST, max_in_flight=64),
    "paced": Case(works.PACED, max_in_flight=250),
    "thought": Case(works.THOUGHT, max_in_flight=500),
    "chat": Case(works.CHAT, max_in_flight=64),
}


def main() -> int:
    """Measure the cases that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help=f"{', '.join(CASES)} (default: all)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"pairs of runs (default: {PAIRS})")
    arguments = parser.parse_args()
    cores = environment.ready()
    with environment.pinned(cores.load), gateways.upstream(cores) as upstream:
        for name in arguments.case or list(CASES):
            for line in _measure(CASES[name], upstream, cores, arguments.pairs):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    return 0


def _measure(case: Case, upstream: Server, cores: Cores, pairs: int) -> Iterator[str]:
    with gateways.penstock(upstream, cores, {"max_in_flight": case.max_in_flight}) as server:

        def offered(to: Server, rate: float) -> Answers:
            return offer(to.address, case.work, Offer(rate, SECONDS, WARM_SECONDS))

        peak = _peak(case, server)
        yield (
            f"{case.title}: peak {peak.goodput:,.0f}/s where {peak.rate:,.0f}/s are offered; "
            f"medians of {pairs} pairs (least to greatest)"
        )
        half, much = peak.goodput / 2, TIMES * peak.goodput
        halves = _pairs(pairs, partial(offered, upstream, half), partial(offered, server, half))
        yield f"  half: {_half(halves)}"
        overloads = _pairs(pairs, partial(offered, server, peak.rate), partial(offered, server, much))
        yield f"  {TIMES} x: {_overload(overloads)}"


def _pairs(
    number: int, first: Callable[[], Answers], second: Callable[[], Answers]
) -> list[tuple[Answers, Answers]]:
    made = []
    for each in range(number):
        if each % 2:
            its_second = second()
            made.append((first(), its_second))
        else:
            made.append((first(), second()))
    return made


def _peak(case: Case, server: Server) -> Peak:
    """The most good answers a second: a little more is offered each time until it is clearly too much."""
    if case.work.seconds:  # they and the limit say it
        rate = case.max_in_flight / case.work.seconds
        return Peak(rate, rate)
    peak = Peak(0.0, 0.0)
    rate = load.send(server.address, case.work, Amount(64, PEAK_SECONDS)).rate / 2
    for _ in range(MOST_STEPS):
        goodput = offer(server.address, case.work, Offer(rate, PEAK_SECONDS, 0.5)).goodput
        if goodput < ENOUGH * peak.goodput:
            break
        if goodput > MORE * peak.goodput:
            peak = Peak(rate, goodput)
        rate *= STEP
    return peak


def _half(pairs: list[tuple[Answers, Answers]]) -> str:
    faults = _faults(pairs)
    if not all(answers.first_bytes for pair in pairs for answers in pair):
        return f"no figure: {faults}"
    added = {
        p: [_first_byte(through, p) - _first_byte(direct, p) for direct, through in pairs] for p in (50, 99)
    }
    refused = sum(through.refused for _, through in pairs)
    return (
        f"first byte in ms, added p50: {_told(added[50])}, p99: {_told(added[99])}; refused {refused}, "
        f"faults {faults}"
    )


def _faults(pairs: list[tuple[Answers, Answers]]) -> str:
    faults: Counter[str] = Counter()
    for answers in chain.from_iterable(pairs):
        faults.update(answers.faults)
    return str(dict(faults)) if faults else "none"


def _first_byte(answers: Answers, percent: int) -> float:
    """In milliseconds."""
    return _percentile(answers.first_bytes, percent) * 1000


def _overload(pairs: list[tuple[Answers, Answers]]) -> str:
    if not all(peak.goodput for peak, _ in pairs):
        return f"no figure: {_faults(pairs)}"
    kept = [over.goodput / peak.goodput * 100 for peak, over in pairs]
    refused = [_percentile(over.refusals, 99) * 1000 for _, over in pairs if over.refusals]
    shed = sum(peak.refused for peak, _ in pairs) / sum(peak.offered for peak, _ in pairs)
    late = max(over.latest_send for _, over in pairs) * 1000
    return (
        f"goodput in % of the peak's (which refused {shed:.0%}): {_told(kept)}; "
        f"{sum(over.offered for _, over in pairs):,} offered, {sum(over.good for _, over in pairs):,} good, "
        f"{sum(over.refused for _, over in pairs):,} refused (p99 in ms: {_told(refused)}), "
        f"{sum(over.unanswered for _, over in pairs)} unanswered, faults {_faults(pairs)}; "
        f"the load was up to {late:.0f} ms late"
    )


def _told(values: list[float]) -> str:
    their = spread(values)
    if their is None:
        return "-"
    return f"{their.median:.2f} ({their.least:.2f} to {their.greatest:.2f})"


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


if __name__ == "__main__":
    sys.exit(main())
