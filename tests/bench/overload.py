"""Measure what is left of a gateway's goodput when three times as much is asked of it.

Run as `python -m tests.bench.overload`. For each work it finds the peak, which is the most whole answers a
second at any rate that is offered in an open loop, then offers three times that, and prints how much of the
peak still comes back whole and how long the refused ones waited for their 503. Half of the peak is offered
as well, to Penstock and to the upstream itself: the difference of their first bytes is what Penstock adds
at half load.

A stream costs far more than refusing one does. A whole chat that the backend answers at once costs but a few
times as much, so its row is the worst there is. The load and the upstream share a core, so that more in
flight would wait for the upstream, and not for Penstock.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench import environment, gateways, load, works
from tests.bench.load import Amount
from tests.bench.measure import Cores
from tests.bench.open_loop import Answers, Offer, offer
from tests.bench.servers import Server
from tests.bench.works import Work

TIMES = 3
SECONDS = 6.0
WARM_SECONDS = 3.0
PEAK_SECONDS = 2.0
STEP = 1.25
MOST_STEPS = 8


@dataclass(frozen=True)
class Case:
    """A work, and the most that may be in flight: twice what keeps a core busy, or what limits the work."""

    work: Work
    max_in_flight: int

    @property
    def title(self) -> str:
        """What the row is called."""
        return f"{self.work.title.split(',')[0]}, max_in_flight {self.max_in_flight}"


CASES = {
    "burst": Case(works.BURST, max_in_flight=64),
    "paced": Case(works.PACED, max_in_flight=250),
    "chat": Case(works.CHAT, max_in_flight=64),
}


def main() -> int:
    """Measure the cases that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help="burst, paced, chat (default: all)")
    names = parser.parse_args().case or list(CASES)
    cores = environment.ready()
    with environment.pinned(cores.load), gateways.upstream(cores) as upstream:
        for name in names:
            for line in _measure(CASES[name], upstream, cores):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    return 0


def _measure(case: Case, upstream: Server, cores: Cores) -> Iterator[str]:
    with gateways.penstock(upstream, cores, {"max_in_flight": case.max_in_flight}) as server:
        peak = _peak(case, server)
        yield f"{case.title}: peak {peak:,.0f}/s"
        half = Offer(peak / 2, SECONDS, 1.0)
        direct = offer(upstream.address, case.work, half)
        through = offer(server.address, case.work, half)
        yield f"  half: {_half(direct, through)}"
        answers = offer(server.address, case.work, Offer(TIMES * peak, SECONDS, WARM_SECONDS))
        yield f"  {TIMES} x: {_overload(answers, peak)}"


def _peak(case: Case, server: Server) -> float:
    """The most good answers a second, whatever is offered: a little more each time until it is enough."""
    if case.work.paced:  # the limit and the length of a stream say it
        return case.max_in_flight / (works.EVENTS * works.GAP_SECONDS)
    peak, rate = 0.0, load.send(server.address, case.work, Amount(64, PEAK_SECONDS)).rate / 2
    for _ in range(MOST_STEPS):
        goodput = offer(server.address, case.work, Offer(rate, PEAK_SECONDS, 0.5)).goodput
        if goodput < peak:
            break
        peak, rate = goodput, rate * STEP
    return peak


def _half(direct: Answers, through: Answers) -> str:
    if not (direct.first_bytes and through.first_bytes):
        return f"no figure: {direct.faults} {through.faults}"
    added = [_percentile(through.first_bytes, p) - _percentile(direct.first_bytes, p) for p in (50, 99)]
    return (
        f"first byte p50 {median(through.first_bytes) * 1000:.2f} ms, added p50 {added[0] * 1000:+.2f} ms, "
        f"p99 {added[1] * 1000:+.2f} ms; refused {through.refused}, faults {through.faults or 'none'}"
    )


def _overload(answers: Answers, peak: float) -> str:
    refused = f"{_percentile(answers.refusals, 99) * 1000:.1f} ms" if answers.refusals else "-"
    return (
        f"goodput {answers.goodput:,.0f}/s = {answers.goodput / peak:.0%} of the peak; "
        f"{answers.offered:,} offered, {answers.good:,} good, {answers.refused:,} refused "
        f"(p99 {refused}), {answers.unanswered} unanswered, faults {answers.faults or 'none'}; "
        f"the load was up to {answers.latest_send * 1000:.0f} ms late"
    )


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


if __name__ == "__main__":
    sys.exit(main())
