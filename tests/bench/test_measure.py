"""The figures: CPU of a process tree, pairs and their ratios, and what the table says of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.bench import measure, report, works, wrk
from tests.bench.measure import Cores, Outcome, Pair, Sample, Spread
from tests.bench.report import Latency, Measurement, Results

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the bench reads /proc")

# A parent whose reaped child and live child each use 50 ms, and which then waits.
FAMILY = """
import subprocess, sys
burn = "import time\\nwhile time.process_time() < 0.05: pass\\nprint(flush=True)\\ninput()"
for stays in (False, True):
    child = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    if not stays:
        child.communicate(b"\\n")
print(flush=True)
input()
child.communicate(b"\\n")
"""


def sample(cpu_us: float, void: str | None = None, foreign: float = 0.02) -> Sample:
    return Sample(
        1000,
        2.0,
        cpu_us,
        gateway_busy=0.9,
        load_busy=0.5,
        gateway_foreign=foreign,
        load_foreign=0.0,
        void=void,
    )


def replay(*samples: Sample) -> Iterator[Sample]:
    return iter(samples)


@linux_only
def test_a_tree_counts_children_that_live_and_that_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        spent = measure.tree_nanoseconds(parent.pid)
        parent.communicate(b"\n")
    assert spent >= 100_000_000


@linux_only
def test_a_run_costs_what_the_process_used_per_request() -> None:
    core = min(os.sched_getaffinity(0))
    seen = measure.run(os.getpid(), Cores(core, core), lambda: Outcome(sum(range(300_000)) and 10, 0.5, None))
    assert seen.void is None
    assert seen.cpu_us > 0
    assert 0 <= seen.gateway_busy <= 1


@linux_only
@pytest.mark.parametrize(
    ("outcome", "void"),
    [
        (Outcome(5, 1.0, "status 500: no"), "status 500: no"),
        (Outcome(0, 1.0, None), "no request was answered"),
    ],
)
def test_a_fault_or_no_answer_voids_a_run(outcome: Outcome, void: str) -> None:
    core = min(os.sched_getaffinity(0))
    assert measure.run(os.getpid(), Cores(core, core), lambda: outcome).void == void


def test_pairs_take_turns_in_going_first() -> None:
    order: list[str] = []

    def one(name: str) -> Sample:
        order.append(name)
        return sample(20)

    measure.compare(3, lambda: one("subject"), lambda: one("nginx"))
    assert order == ["nginx", "subject", "subject", "nginx", "nginx", "subject"]


def test_the_figure_is_the_median_of_the_pair_ratios() -> None:
    subjects, baselines = replay(sample(100), sample(240), sample(130)), replay(*[sample(20)] * 3)
    pairs = measure.compare(3, lambda: next(subjects), lambda: next(baselines))
    found = Measurement(works.CHAT, "penstock", "own", pairs).ratio
    assert found == Spread(median=6.5, least=5.0, greatest=12.0)


def test_a_void_run_is_taken_again_once() -> None:
    subjects = replay(sample(100, "status 500"), sample(100), sample(100))
    pairs = measure.compare(2, lambda: next(subjects), lambda: sample(20))
    assert [pair.ratio for pair in pairs] == [5.0, 5.0]


def test_a_second_void_run_ends_the_comparison_without_a_figure() -> None:
    pairs = measure.compare(5, lambda: sample(100, "status 500"), lambda: sample(20))
    assert len(pairs) == 1
    assert (pairs[0].void, pairs[0].ratio) == ("status 500", None)


def test_a_disturbed_pair_is_replaced_while_there_are_spare_ones() -> None:
    subjects = replay(sample(40, foreign=0.5), sample(100), sample(100))
    pairs = measure.compare(2, lambda: next(subjects), lambda: sample(20), spare=1)
    assert [pair.ratio for pair in pairs] == [5.0, 5.0]


def test_a_disturbed_pair_stays_where_there_are_no_more_spare_ones() -> None:
    subjects = replay(sample(40, foreign=0.5), sample(100), sample(60, foreign=0.5))
    pairs = measure.compare(2, lambda: next(subjects), lambda: sample(20), spare=1)
    assert [(pair.ratio, pair.disturbed) for pair in pairs] == [(5.0, False), (2.0, True)]


def test_a_void_baseline_voids_the_pair() -> None:
    assert Pair(sample(20, "timeouts"), sample(100)).void == "timeouts"


def test_latency_is_the_median_and_the_99th_of_a_hundred() -> None:
    found = report.latency([number / 1e6 for number in range(100, 0, -1)])
    assert found.p50 == pytest.approx(50.5)
    assert found.p99 == pytest.approx(100)


@pytest.fixture
def results() -> Results:
    good = Measurement(works.CHAT, "penstock", "wrk", [Pair(sample(20), sample(250))])
    good.latency = {"direct": Latency(30, 90), "nginx": Latency(80, 200), "penstock": Latency(400, 900)}
    bad = Measurement(works.BURST, "penstock", "own", [Pair(sample(20), sample(1, "status 500: no"))])
    return Results({}, {}, {"litellm": "cannot be installed"}, [good, bad])


def test_the_table_has_cost_ratio_and_added_latency(results: Results) -> None:
    rows = [" ".join(line.split()) for line in report.text(results).splitlines()]
    assert "JSON chat, 32 connections nginx 20 1 500 90% 50%" in rows
    assert "penstock 250 12.50 [12.50-12.50] 500 90% 50% wrk" in rows
    assert "JSON chat penstock +370 +810 +320 +700 30 90" in rows


def test_what_is_missing_is_said_with_its_reason(results: Results) -> None:
    text = report.text(results)
    assert "litellm: skipped: cannot be installed" in text
    assert f"penstock: {works.BURST.title}: void: status 500: no" in text


def test_without_nginx_the_figures_stand_without_ratios() -> None:
    alone = Measurement(works.CHAT, "penstock", "own", [Pair(None, sample(250))])
    rows = [" ".join(line.split()) for line in report.text(Results({}, measurements=[alone])).splitlines()]
    assert "JSON chat, 32 connections penstock 250 - 500 90% 50% own" in rows


def test_figures_that_neighbours_disturbed_are_pointed_out(results: Results) -> None:
    assert "disturbed" not in report.text(results)
    pairs = [Pair(sample(20), sample(250)), Pair(sample(20, foreign=0.4), sample(250))]
    results.measurements.append(Measurement(works.CHAT, "penstock", "wrk", pairs))
    assert f"penstock: {works.CHAT.title}: other processes disturbed 1 of 2 pairs" in report.text(results)


def test_the_json_has_every_sample(results: Results) -> None:
    first = json.loads(report.as_json(results))["measurements"][0]
    assert first["pairs"][0]["subject"]["cpu_us"] == 250
    assert first["ratio"]["median"] == 12.5


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        ("RESULT 9000 2000000 0 0 0 0 0\n", Outcome(9000, 2.0, None)),
        ("RESULT 9000 2000000 3 0 0 0 1\n", Outcome(9000, 2.0, "3 non-2xx answers, 1 timeouts")),
        ("", Outcome(0, 0.0, "wrk gave no result: no such file")),
    ],
)
def test_wrk_is_read(output: str, outcome: Outcome) -> None:
    assert wrk._outcome(output, "no such file") == outcome
