"""The trials of one subject: its pairs with the baseline at each work, and its latency."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import load, report, works, wrk
from tests.bench import measure as measuring
from tests.bench.load import Amount
from tests.bench.measure import Cores, Outcome, Sample
from tests.bench.programs import Program
from tests.bench.report import BASELINE, Measurement
from tests.bench.servers import Server
from tests.bench.works import Work


@dataclass(frozen=True)
class Size:
    """How much is run: the pairs, and the length of each run."""

    pairs: int
    spare_pairs: int  # to replace those that other processes disturb
    seconds: int
    paced_streams: int  # on each connection
    warm_seconds: float
    latency_rounds: int
    latency_seconds: float


FULL = Size(5, 5, seconds=2, paced_streams=2, warm_seconds=1.0, latency_rounds=3, latency_seconds=1.0)
QUICK = Size(3, 1, seconds=1, paced_streams=1, warm_seconds=0.4, latency_rounds=1, latency_seconds=0.5)


@dataclass(frozen=True)
class Rig:
    """What all subjects are measured with."""

    cores: Cores
    upstream: Server
    baseline: Server | None
    wrk: Program | None
    size: Size


@dataclass(frozen=True)
class Generator:
    """What sends the load of a comparison: the same for both sides of its pairs."""

    name: str
    send: Callable[[Server], Outcome]


def measure(server: Server, rig: Rig, say: Callable[[str], None]) -> Iterator[Measurement]:
    """Measure a subject at each work."""
    for work in works.WORKS:
        say(f"{server.name}: {work.title}")
        generator = _generator(server, work, rig)
        baseline = partial(_sample, rig.baseline, generator, rig) if rig.baseline else None
        subject = partial(_sample, server, generator, rig)
        pairs = measuring.compare(rig.size.pairs, subject, baseline, spare=rig.size.spare_pairs)
        measurement = Measurement(work, server.name, generator.name, pairs)
        if not (work.paced or measurement.void):
            measurement.latency = _latencies(server, work, rig)
        yield measurement


def _sample(server: Server, generator: Generator, rig: Rig) -> Sample:
    return measuring.run(server.pid, rig.cores, lambda: generator.send(server))


def _generator(server: Server, work: Work, rig: Rig) -> Generator:
    """Warm the subject up, and choose by how fast it is."""
    own = Generator("own", partial(_send, work=work, amount=_amount(work, rig.size)))
    if work.paced:
        return own
    warm = load.send(server.address, work, Amount(work.connections, rig.size.warm_seconds))
    least = work.connections * wrk.LEAST_ANSWERS_PER_CONNECTION
    if rig.wrk is None or work.stream or warm.rate * rig.size.seconds < least:
        return own
    return Generator("wrk", partial(_send_with_wrk, program=rig.wrk, work=work, seconds=rig.size.seconds))


def _amount(work: Work, size: Size) -> Amount:
    if work.paced:
        return Amount(work.connections, each=size.paced_streams)
    return Amount(work.connections, size.seconds)


def _send(server: Server, *, work: Work, amount: Amount) -> Outcome:
    tally = load.send(server.address, work, amount)
    return Outcome(tally.requests, tally.seconds, tally.fault)


def _send_with_wrk(server: Server, *, program: Program, work: Work, seconds: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as place:
        outcome = wrk.send(program, server.address, work, seconds, Path(place))
    # wrk looks at statuses only, so one more answer is looked at whole.
    fault = outcome.fault or load.send(server.address, work, Amount(1, each=1)).fault
    return Outcome(outcome.requests, outcome.seconds, fault)


def _latencies(server: Server, work: Work, rig: Rig) -> dict[str, report.Latency]:
    routes = {"direct": rig.upstream, server.name: server}
    if rig.baseline:
        routes[BASELINE] = rig.baseline
    times: dict[str, list[float]] = {name: [] for name in routes}
    amount = Amount(1, rig.size.latency_seconds)
    for _ in range(rig.size.latency_rounds):
        for name, route in routes.items():
            times[name] += load.send(route.address, work, amount).first_bytes
    return {name: report.latency(values) for name, values in times.items() if values}
