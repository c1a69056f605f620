"""Each policy asks the target that its name promises."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from gateway.balance.needs import Needs
from gateway.balance.policies import Policies
from gateway.health import Condition, Told
from gateway.health.breaker import Breaker
from gateway.routing import Target
from gateway.settings import Breaker as Marks
from translators.backends.workers_ai.catalogue import Facts

Pick = Callable[..., Target]


def condition() -> Condition:
    return Condition(Breaker(Marks()))


class Fleet:
    """Targets, each at a backend of its own."""

    def __init__(self, *weights: float) -> None:
        self.targets = [Target(f"b{i}", "m", Facts(), weight=weight) for i, weight in enumerate(weights)]
        self.conditions = {target.backend: condition() for target in self.targets}
        self.shares = {target.backend: 1.0 for target in self.targets}
        self.policies = Policies(
            lambda target: self.conditions[target.backend], lambda target: self.shares[target.backend]
        )

    def pick(self, balance: str, opening: int = 0, targets: Sequence[Target] | None = None) -> str:
        chosen = self.targets if targets is None else targets
        return self.policies.pick(balance, "route", chosen, Needs(opening=opening)).backend


def test_ordered_asks_the_first() -> None:
    fleet = Fleet(1, 1, 1)
    assert {fleet.pick("ordered") for _ in range(9)} == {"b0"}


def test_weighted_asks_each_by_its_weight_and_as_evenly_as_can_be() -> None:
    fleet = Fleet(5, 1, 1)
    assert [fleet.pick("weighted") for _ in range(7)] == ["b0", "b0", "b1", "b0", "b2", "b0", "b0"]


def test_weighted_asks_less_of_what_has_just_come_back() -> None:
    fleet = Fleet(1, 1)
    fleet.shares["b1"] = 0.1
    assert Counter(fleet.pick("weighted") for _ in range(110))["b1"] == 10


def test_least_loaded_asks_where_the_fewest_requests_are() -> None:
    fleet = Fleet(1, 1, 1)
    for backend, count in (("b0", 3), ("b1", 1), ("b2", 2)):
        fleet.conditions[backend].in_flight = count
    assert fleet.pick("least_loaded") == "b1"


def test_least_loaded_counts_what_others_have_sent_there_and_what_we_have_since() -> None:
    fleet = Fleet(1, 1)
    fleet.conditions["b0"].told = Told(requests=10, own=0)
    fleet.conditions["b1"].in_flight = 5
    assert fleet.pick("least_loaded") == "b1"
    fleet.conditions["b0"].told = Told(requests=4, own=4)
    fleet.conditions["b0"].in_flight = 4
    assert fleet.pick("least_loaded") == "b0"


def test_least_loaded_avoids_a_server_whose_memory_is_full() -> None:
    fleet = Fleet(1, 1)
    fleet.conditions["b0"].told = Told(requests=4, saturation=1.0)
    fleet.conditions["b1"].told = Told(requests=5, saturation=0.5)
    assert fleet.pick("least_loaded") == "b1"


def test_least_loaded_spreads_over_equals() -> None:
    fleet = Fleet(1, 1, 1)
    assert {fleet.pick("least_loaded") for _ in range(100)} == {"b0", "b1", "b2"}


def test_a_heavier_target_takes_more_at_once() -> None:
    fleet = Fleet(4, 1)
    fleet.conditions["b0"].in_flight = 2
    assert fleet.pick("least_loaded") == "b0"


def test_fastest_asks_whom_nobody_has_asked_yet() -> None:
    fleet = Fleet(1, 1)
    fleet.conditions["b0"].speed.note(0.1, 0)
    assert {fleet.pick("fastest") for _ in range(9)} == {"b1"}


def test_fastest_asks_the_fastest_and_looks_at_the_others_now_and_then() -> None:
    fleet = Fleet(1, 1, 1)
    for backend, seconds in (("b0", 0.5), ("b1", 0.1), ("b2", 0.4)):
        fleet.conditions[backend].speed.note(seconds, 0)
    asked = Counter(fleet.pick("fastest") for _ in range(1000))
    assert asked["b1"] > 900
    assert set(asked) == {"b0", "b1", "b2"}


def test_fastest_does_not_send_everybody_to_one() -> None:
    fleet = Fleet(1, 1)
    fleet.conditions["b0"].speed.note(0.1, 0)
    fleet.conditions["b1"].speed.note(0.2, 0)
    fleet.conditions["b0"].in_flight = 3
    assert Counter(fleet.pick("fastest") for _ in range(100))["b1"] > 80


def test_prefix_keeps_a_conversation_at_one_server_and_spreads_conversations() -> None:
    fleet = Fleet(1, 1, 1)
    first = {opening: fleet.pick("prefix", opening) for opening in range(3000)}
    assert {opening: fleet.pick("prefix", opening) for opening in first} == first
    assert max(Counter(first.values()).values()) < 1.1 * 1000


def test_prefix_ranks_alike_on_all_workers() -> None:
    assert [Fleet(1, 1, 1).pick("prefix", n) for n in range(50)] == [
        Fleet(1, 1, 1).pick("prefix", n) for n in range(50)
    ]


def test_prefix_moves_only_the_conversations_of_a_server_that_is_gone() -> None:
    fleet = Fleet(1, 1, 1)
    first = {opening: fleet.pick("prefix", opening) for opening in range(300)}
    rest = fleet.targets[:2]
    then = {opening: fleet.pick("prefix", opening, rest) for opening in first}
    assert all(then[opening] == first[opening] for opening in first if first[opening] != "b2")


def test_prefix_leaves_a_server_that_has_much_more_to_do_than_the_others() -> None:
    fleet = Fleet(1, 1, 1)
    home = fleet.pick("prefix", 7)
    fleet.conditions[home].in_flight = 30
    other = fleet.pick("prefix", 7)
    assert other != home
    fleet.conditions[home].in_flight = 0
    assert fleet.pick("prefix", 7) == other  # which has the conversation now


def test_what_prefix_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.balance.policies._REMEMBERED", 10)
    fleet = Fleet(1, 1)
    for opening in range(100):
        fleet.pick("prefix", opening)
    assert len(fleet.policies._last) == 10
