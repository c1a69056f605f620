"""What is set aside without a word for how long is looked at once a second, by one request."""

import pytest

from gateway import balance
from gateway.balance import Balancer
from gateway.health import Health, conditions
from gateway.routing import Plan, Target
from gateway.settings import Settings
from tests.gateway.served import backend_settings
from translators.backends.workers_ai.catalogue import Facts

FIRST, SECOND = Target("first", "m", Facts()), Target("second", "m", Facts())
PLAN = Plan((FIRST, SECOND), route="small")


class Clocked:
    """A balancer whose time a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        backends = {name: backend_settings("http://127.0.0.1:1") for name in ("first", "second")}
        self.health = Health(Settings.model_validate({"backends": backends}).backends)
        self.balancer = Balancer(self.health)

    def asked(self) -> Target:
        """Whom a request asks now."""
        target = self.balancer.choose(PLAN)
        assert target is not None
        self.balancer.reserve(target)
        return target

    def wait(self) -> float | None:
        """Seconds until the first can be asked."""
        _first, obstacle = next(self.balancer.obstacles(PLAN))
        return None if obstacle is None else obstacle.wait


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Clocked:
    made = Clocked()
    for each in (balance, conditions):
        monkeypatch.setattr(each, "monotonic", lambda: made.now)
    return made


def long_aside(clocked: Clocked) -> None:
    """The first has been refusing for long, and nobody has said for how long it will."""
    for _ in range(6):
        clocked.now = clocked.health.set_aside("first", "m", None)
    assert clocked.health.set_aside("first", "m", None) == clocked.now + 30


def test_one_request_a_second_looks(clocked: Clocked) -> None:
    long_aside(clocked)
    assert [clocked.asked() for _ in range(5)] == [SECOND] * 5
    assert clocked.wait() == 1
    for _ in range(10):
        clocked.now += 1
        assert [clocked.asked() for _ in range(5)] == [FIRST] + [SECOND] * 4
        assert clocked.health.set_aside("first", "m", None) > clocked.now  # in vain


def test_once_it_is_well_all_ask_it(clocked: Clocked) -> None:
    long_aside(clocked)
    clocked.now += 1
    assert clocked.asked() == FIRST
    looking = clocked.health.attempt("first", "m")
    assert clocked.asked() == SECOND
    looking.end("well")
    assert [clocked.asked() for _ in range(5)] == [FIRST] * 5
    assert clocked.health.set_aside("first", "m", None) == clocked.now + 1  # the next time begins anew


def test_what_said_for_how_long_is_left_alone_until_then(clocked: Clocked) -> None:
    clocked.health.set_aside("first", None, 60)
    for _ in range(59):
        assert clocked.asked() == SECOND
        clocked.now += 1
    clocked.now += 1
    assert clocked.asked() == FIRST


def test_what_was_under_way_before_says_nothing_of_now(clocked: Clocked) -> None:
    earlier = clocked.health.attempt("first", "m")
    clocked.health.set_aside("first", "m", None)
    earlier.end("well")
    assert clocked.asked() == SECOND
