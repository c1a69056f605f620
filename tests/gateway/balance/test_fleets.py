"""What the policies do for a fleet under load, in simulated time: how long requests wait, and how even it is.

Each server works on some requests at a time, the others wait before it; nothing of this hangs on the speed of
the machine. `tests.bench.routing` shows the same over sockets.
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from statistics import fmean

import pytest

from gateway.balance.needs import Needs
from gateway.balance.policies import Policies
from gateway.health import Condition
from gateway.health.breaker import Breaker
from gateway.routing import Target
from gateway.settings import Breaker as Marks
from translators.backends.workers_ai.catalogue import Facts

SERVERS = 4
SLOTS = 4  # requests that a server works on at a time
READING = 0.02  # seconds from a request's turn to its first token


class Server:
    """Works on the first that have come, by simulated time."""

    def __init__(self) -> None:
        self.condition = Condition(Breaker(Marks()))
        self.free_at = [0.0] * SLOTS

    def take(self, now: float, seconds: float) -> tuple[float, float]:
        """When a request that comes now has its first token, and when its last."""
        began = max(now, heapq.heappop(self.free_at))
        heapq.heappush(self.free_at, began + READING + seconds)
        return began + READING, began + READING + seconds


class Fleet:
    """The servers of one route, and the requests under way."""

    def __init__(self) -> None:
        self.targets = [Target(f"s{number}", "m", Facts()) for number in range(SERVERS)]
        self.servers = {target.backend: Server() for target in self.targets}
        self.policies = Policies(lambda target: self.servers[target.backend].condition, lambda _target: 1.0)
        self._ends: list[tuple[float, int, Condition]] = []
        self._numbers = count()

    def ask(self, balance: str, now: float, seconds: float, opening: int = 0) -> tuple[str, float]:
        """Who answers a request, and after how long it begins."""
        while self._ends and self._ends[0][0] <= now:
            heapq.heappop(self._ends)[2].in_flight -= 1
        backend = self.policies.pick(balance, "route", self.targets, Needs(opening=opening)).backend
        server = self.servers[backend]
        first, last = server.take(now, seconds)
        server.condition.in_flight += 1
        server.condition.speed.note(first - now, now)
        heapq.heappush(self._ends, (last, next(self._numbers), server.condition))
        return backend, first - now


def heavy_tailed(load: float, chance: random.Random) -> Iterator[tuple[float, float]]:
    """Requests for ever: when each comes, and for how long it is worked on."""
    lengths = [min(3.0, 0.06 * chance.paretovariate(1.3)) for _ in range(20_000)]
    rate = load * SERVERS * SLOTS / (fmean(lengths) + READING)
    now = 0.0
    for length in lengths:
        now += chance.expovariate(rate)
        yield now, length


def p99_of_first_tokens(balance: str, seed: int) -> float:
    random.seed(seed)  # what the policies draw
    fleet = Fleet()
    waits = [fleet.ask(balance, now, seconds)[1] for now, seconds in heavy_tailed(0.75, random.Random(seed))]
    return sorted(waits)[int(0.99 * len(waits))]


@pytest.mark.parametrize("seed", range(5))
def test_least_loaded_has_answers_begin_a_third_sooner_than_turns_do(seed: int) -> None:
    assert p99_of_first_tokens("least_loaded", seed) <= 0.7 * p99_of_first_tokens("weighted", seed)


@pytest.mark.parametrize("seed", range(5))
def test_prefix_keeps_nine_follow_ups_of_ten_where_their_beginning_is_and_the_load_even(seed: int) -> None:
    chance = random.Random(seed)
    fleet = Fleet()
    having: dict[int, set[str]] = defaultdict(set)  # opening -> who has read it
    asked = dict.fromkeys(fleet.servers, 0)
    kept = follow_ups = 0
    for now, seconds in heavy_tailed(0.5, chance):
        opening = chance.randrange(2000)
        backend, _wait = fleet.ask("prefix", now, seconds, opening)
        asked[backend] += 1
        follow_ups += bool(having[opening])
        kept += backend in having[opening]
        having[opening].add(backend)
    assert kept >= 0.9 * follow_ups
    assert max(asked.values()) <= 1.25 * fmean(asked.values())
