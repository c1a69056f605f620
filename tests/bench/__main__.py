"""Measure what Penstock costs beside nginx and, with --peers, beside other gateways.

What is measured: the CPU time that the gateway's whole process tree (its workers and its supervisor) uses
per request, user and system, in microseconds. Time on the wall says little about a proxy on a shared
machine; CPU per request says how many requests a core can carry.

How: one worker of everything. The gateway has core 0 to itself; the upstream and the load share core 1.
All gateways stand before the same upstream, which answers from prepared bytes. nginx as a plain reverse
proxy (one worker, HTTP/1.1, 128 connections kept to the upstream, no buffering, no log) is the unit: each
subject runs in five pairs with nginx, one right after the other and taking turns in going first, and the
figure is the median of the five ratios, with the least and the greatest. Only ratios of one run of the
bench compare; the microseconds change with the machine and its neighbours.

Three works: a small JSON chat over 32 connections; a stream of 100 events that the upstream writes as fast
as its loop turns, one write in each turn, over 32 connections; the same stream at one event in 20 ms, 100
at once. Penstock translates between OpenAI's form and Workers AI's in all of them, with its key check,
metrics and access line on; the others speak OpenAI's form on both sides. Each answer is checked: a status
other than 2xx, a stream without its [DONE] or a wrong text voids the run. "core 0 busy" shows how close
the gateway was to its limit, "core 1 busy" whether the load was at its own. A pair in which processes of
others had more than a tenth of a core is replaced, up to five times; what stays disturbed is said.

Latency: the time to the first byte of an answer at one connection, less the same without a gateway and
less the same through nginx.

nginx and wrk come from PATH or from Debian's packages, unpacked into the user's cache folder; without nginx
the figures stand alone, without wrk the bench's own generator sends the JSON chats (it always sends the
streams, and to gateways that are too slow for wrk, which leaves its last requests unanswered). Peers come
from PyPI into environments in the same folder. What cannot be had is skipped with its reason.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import environment, gateways, peers, programs, report
from tests.bench.measure import Cores
from tests.bench.programs import Program
from tests.bench.report import Results
from tests.bench.servers import Server, UnavailableError
from tests.bench.trials import FULL, QUICK, Rig, measure

OUT = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Subject:
    """A gateway to measure, and how to run it."""

    name: str
    running: AbstractContextManager[Server]


def main() -> int:
    """Run the bench; the status is 1 where Penstock has no figure."""
    options = _options()
    cores = environment.ready()
    results = Results(environment.describe())
    with _rig(cores, results, quick=options.quick) as rig:
        for subject in _subjects(rig, with_peers=options.peers):
            _measure(subject, rig, results)
    sys.stdout.write(report.text(results) + "\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(report.as_json(results))
    _say(f"All samples: {options.out}")
    missing = "penstock" in results.skipped or any(
        one.void for one in results.measurements if one.subject == "penstock"
    )
    return 1 if missing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure LiteLLM, TensorZero and vllm-router as well"
    )
    parser.add_argument(
        "--quick", action="store_true", help="three short pairs: under a minute, wider spread"
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="FILE", help=f"where the JSON goes ({OUT.name})"
    )
    return parser.parse_args()


@contextmanager
def _rig(cores: Cores, results: Results, *, quick: bool) -> Iterator[Rig]:
    """Run what all subjects share: the upstream, and nginx where it can be had."""
    with environment.pinned(cores.load), ExitStack() as stack:
        upstream = stack.enter_context(gateways.upstream(cores))
        baseline = None
        try:
            program = programs.nginx()
            baseline = stack.enter_context(gateways.nginx(program, upstream, cores))
            results.versions["nginx"] = program.version
        except UnavailableError as error:
            results.skipped["nginx"] = f"{error}; the figures below have no ratios"
        yield Rig(cores, upstream, baseline, _wrk(results), QUICK if quick else FULL)


def _wrk(results: Results) -> Program | None:
    try:
        program = programs.wrk()
    except UnavailableError as error:
        results.skipped["wrk"] = f"{error}; the bench's own generator took its place"
        return None
    results.versions["wrk"] = program.version
    return program


def _subjects(rig: Rig, *, with_peers: bool) -> Iterator[Subject]:
    yield Subject("penstock", gateways.penstock(rig.upstream, rig.cores))
    if with_peers:
        for peer in peers.PEERS:
            yield Subject(peer.name, peer.running(rig.upstream, rig.cores))


def _measure(subject: Subject, rig: Rig, results: Results) -> None:
    _say(f"{subject.name}: starting")
    try:
        with subject.running as server:
            results.versions[subject.name] = server.version
            for measurement in measure(server, rig, _say):
                results.measurements.append(measurement)
    except UnavailableError as error:
        results.skipped[subject.name] = str(error)
        _say(f"{subject.name}: skipped: {error}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("The bench was interrupted; its servers have ended.")
