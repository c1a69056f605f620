"""What several workers have counted: no number falls, in whatever order they count, are asked and die."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.cli.workers.sums import Sums
from gateway.tallies import LINE_WAITS, Counts, Gauges, Kind, Spread, Tally, encode, spread
from tests.cli.several import counters_in, fallen

PLACES = 3
ERRORS = ("", "reset", "timeout", "overloaded", "client_left")
KINDS = [
    Kind("chat", model, "c", "5xx" if error else "2xx", stream=False, error=error, ended_by="backend")
    for model in ("a", "b")
    for error in ERRORS
]
UNEVEN = (0.1, 0.2, 0.3, 0.7, 1.1, 3.3, 17.9)  # the last digit of their sum hangs on the order


@dataclass
class Worker:
    """What one has counted."""

    tallies: dict[Kind, Tally] = field(default_factory=dict)
    waits: Spread = field(default_factory=lambda: spread(LINE_WAITS))

    def count(self, kind: Kind, seconds: float) -> None:
        tally = self.tallies.setdefault(kind, Tally())
        tally.requests += 1
        tally.durations.add(seconds)
        tally.neurons += seconds
        self.waits.add(seconds)

    def told(self) -> bytes:
        deadlines = sum(tally.requests for tally in self.tallies.values())
        counters: dict[str, list[tuple[tuple[str, ...], float]]] = {
            "penstock_deadlines_total": [(("gap",), deadlines)]
        }
        waits = [("small", self.waits)]
        return encode(Counts(list(self.tallies.items()), counters, waits, in_flight=1, loop_lag=0.5))


@pytest.mark.parametrize("seed", range(12))
def test_no_counter_ever_falls_not_even_in_its_last_digit(seed: int) -> None:
    chance = random.Random(seed)
    sums, workers = Sums(PLACES), [Worker() for _ in range(PLACES)]
    before = counters_in(sums.page()().decode())
    for _ in range(40):
        place = chance.randrange(PLACES)
        if chance.random() < 0.25:
            sums.bury(place)
            workers[place] = Worker()
        else:
            workers[place].count(chance.choice(KINDS), chance.choice(UNEVEN))
            if chance.random() < 0.8:
                sums.show(place, workers[place].told())
        shown = counters_in(sums.page()().decode())
        assert fallen(before, shown) == {}
        before = shown


def _gauges(page: Callable[[], bytes]) -> dict[str, float]:
    lines = [line.split() for line in page().decode().splitlines() if line[0] != "#"]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}


def test_what_the_dead_were_doing_is_forgotten_and_what_they_did_is_not() -> None:
    sums, worker = Sums(PLACES), Worker()
    worker.count(KINDS[0], 1.0)
    for place in range(PLACES):
        sums.show(place, worker.told())
    alive = _gauges(sums.page())
    assert (alive["penstock_workers"], alive["penstock_inflight_requests"]) == (PLACES, PLACES)
    assert alive["penstock_event_loop_lag_seconds"] == 0.5
    for place in range(PLACES):
        sums.bury(place)
    sums.restarts = PLACES
    dead = _gauges(sums.page())
    assert (dead["penstock_workers"], dead["penstock_inflight_requests"]) == (0, 0)
    assert dead["penstock_event_loop_lag_seconds"] == 0
    assert dead["penstock_worker_restarts_total"] == PLACES
    assert dead['penstock_deadlines_total{reason="gap"}'] == PLACES


def _stands(in_flight: int, state: str, *, drained: int) -> bytes:
    """What a worker tells that has counted nothing."""
    sums = {
        "penstock_backend_inflight_requests": [(("b",), float(in_flight))],
        "penstock_breaker_state": [(("b", "", state), 1.0)],
    }
    peaks = {"penstock_backend_drained": [(("b", ""), float(drained))]}
    return encode(Counts([], {}, gauges=Gauges(sums, peaks)))


def test_of_the_living_gauges_add_up_flags_do_not_and_each_breaker_is_in_one_state() -> None:
    sums = Sums(PLACES)
    sums.show(0, _stands(2, "open", drained=1))
    sums.show(1, _stands(3, "closed", drained=1))
    sums.show(2, _stands(4, "half_open", drained=0))
    alive = _gauges(sums.page())
    assert alive['penstock_backend_inflight_requests{backend="b"}'] == 9
    assert alive['penstock_backend_drained{backend="b",model=""}'] == 1
    assert _states(alive) == {"closed": 1, "open": 1, "half_open": 1}
    sums.bury(0)
    alive = _gauges(sums.page())
    assert alive['penstock_backend_inflight_requests{backend="b"}'] == 7
    assert _states(alive) == {"closed": 1, "open": 0, "half_open": 1}
    sums.bury(1)
    sums.bury(2)
    assert not [name for name in _gauges(sums.page()) if 'backend="b"' in name]


def test_a_worker_that_tells_nothing_of_a_models_breaker_has_it_closed() -> None:
    sums = Sums(PLACES)
    sums.show(0, encode(Counts([], {}, gauges=Gauges({"penstock_breaker_state": [(("b", "m", "open"), 1)]}))))
    sums.show(1, encode(Counts([], {})))
    sums.show(2, encode(Counts([], {})))
    assert _states(_gauges(sums.page()), "m") == {"closed": 2, "open": 1, "half_open": 0}


def _states(gauges: dict[str, float], model: str = "") -> dict[str, float]:
    return {
        state: gauges[f'penstock_breaker_state{{backend="b",model="{model}",state="{state}"}}']
        for state in ("closed", "open", "half_open")
    }


def test_what_waited_in_line_of_the_dead_stays() -> None:
    sums, worker = Sums(PLACES), Worker()
    worker.count(KINDS[0], 0.3)
    sums.show(0, worker.told())
    sums.bury(0)
    sums.show(0, worker.told())
    shown = _gauges(sums.page())
    assert shown['penstock_queue_wait_seconds_count{route="small"}'] == 2
    assert shown['penstock_queue_wait_seconds_sum{route="small"}'] == 0.6
    assert shown['penstock_queue_wait_seconds_bucket{le="0.25",route="small"}'] == 0


def test_a_page_is_of_the_moment_when_it_was_asked_for() -> None:
    sums, worker = Sums(1), Worker()
    page = sums.page()
    worker.count(KINDS[0], 1.0)
    sums.show(0, worker.told())
    assert _gauges(page)["penstock_workers"] == 0
    assert _gauges(sums.page())["penstock_workers"] == 1
