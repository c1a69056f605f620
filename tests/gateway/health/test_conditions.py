"""What was refused is left alone: for as long as was said, or longer with each time in vain."""

import pytest

from gateway.health import Health, conditions
from gateway.settings import Settings


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which stands still until a test moves it."""
    time = [1000.0]
    monkeypatch.setattr(conditions, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def health() -> Health:
    backends = {"own": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}}
    return Health(Settings.model_validate({"backends": backends}).backends)


def test_each_time_in_vain_doubles_the_pause(now: list[float], health: Health) -> None:
    pauses = []
    for _ in range(7):
        until = health.set_aside("own", "m", None)
        pauses.append(until - now[0])
        now[0] = until
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_what_is_refused_together_is_one_time_in_vain(now: list[float], health: Health) -> None:
    assert {health.set_aside("own", "m", None) for _ in range(32)} == {now[0] + 1}
    now[0] += 1
    assert {health.set_aside("own", "m", None) for _ in range(32)} == {now[0] + 2}


def test_what_a_backend_says_counts_beside(now: list[float], health: Health) -> None:
    health.set_aside("own", "m", None)
    assert health.set_aside("own", "m", 9) == now[0] + 9
    assert health.set_aside("own", "m", 3) == now[0] + 9
