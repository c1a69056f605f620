"""A breaker opens where attempts fail, lets one request look, and closes where that goes well."""

import pytest

from gateway.health.breaker import Breaker
from gateway.settings import Breaker as Marks


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(Marks(failures=3, ratio=0.5, wait=1, slow_start=10))


def open_at(breaker: Breaker, now: float) -> None:
    for _ in range(3):
        breaker.failed(now)


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    breaker.failed(100)
    breaker.failed(100)
    assert breaker.lets_in(100)
    breaker.failed(100)
    assert not breaker.lets_in(100)
    assert breaker.until == 101


def test_a_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(9):
        breaker.failed(100)
        breaker.failed(100)
        breaker.succeeded(100)
        breaker.succeeded(100)
        breaker.succeeded(100)
    assert not breaker.is_open


def test_it_opens_where_half_of_many_attempts_fail(breaker: Breaker) -> None:
    for _ in range(9):
        breaker.failed(100)
        breaker.succeeded(100)
    assert not breaker.is_open  # eighteen attempts say too little
    breaker.succeeded(100)
    breaker.failed(100)
    assert breaker.is_open


def test_failures_of_long_ago_do_not_count(breaker: Breaker) -> None:
    for second in range(40):
        breaker.succeeded(100 + second * 11)
        breaker.failed(100 + second * 11)
    assert not breaker.is_open


def test_one_request_looks_and_the_others_wait(breaker: Breaker) -> None:
    open_at(breaker, 100)
    assert not breaker.lets_in(100.9)
    assert breaker.lets_in(101)
    breaker.begin()
    assert not breaker.lets_in(101)
    breaker.succeeded(102)
    assert breaker.lets_in(102)
    assert not breaker.is_open


def test_its_pause_doubles_up_to_half_a_minute(breaker: Breaker) -> None:
    open_at(breaker, 100)
    pauses = []
    now = 100.0
    for _ in range(7):
        assert breaker.until is not None
        now = breaker.until
        breaker.begin()
        breaker.failed(now)
        pauses.append(breaker.until - now)
    assert pauses == [2, 4, 8, 16, 30, 30, 30]


def test_a_look_that_says_nothing_lets_another_one_look(breaker: Breaker) -> None:
    open_at(breaker, 100)
    breaker.begin()
    breaker.left()
    assert breaker.lets_in(101)


def test_it_tells_its_state_and_each_opening_but_no_look_in_vain() -> None:
    openings = []
    breaker = Breaker(Marks(failures=3, wait=1), lambda: openings.append(breaker.state(100)))
    assert breaker.state(100) == "closed"
    open_at(breaker, 100)
    assert (breaker.state(100.9), breaker.state(101)) == ("open", "half_open")
    breaker.begin()
    assert breaker.state(101) == "half_open"  # while somebody looks
    breaker.failed(101.5)
    assert breaker.state(102) == "open"
    breaker.is_down(102)
    assert openings == ["closed"]
    breaker.begin()
    breaker.succeeded(104)
    breaker.is_down(104)
    assert openings == ["closed"] * 2


def test_failures_of_requests_from_before_do_not_lengthen_the_pause(breaker: Breaker) -> None:
    open_at(breaker, 100)
    breaker.failed(100.5)
    assert breaker.until == 101


def test_who_has_looked_elsewhere_lets_it_be_tried_at_once(breaker: Breaker) -> None:
    open_at(breaker, 100)
    breaker.is_well(100.1)
    assert breaker.lets_in(100.1)
    breaker.begin()
    breaker.succeeded(100.2)
    breaker.is_well(100.3)
    assert not breaker.is_open


def test_what_has_come_back_gets_its_share_slowly(breaker: Breaker) -> None:
    assert breaker.share(100) == 1
    open_at(breaker, 100)
    breaker.begin()
    breaker.succeeded(101)
    assert breaker.share(101) == pytest.approx(0.1)
    assert breaker.share(106) == pytest.approx(0.5)
    assert breaker.share(111) == 1


def test_a_slow_start_can_be_switched_off() -> None:
    breaker = Breaker(Marks(failures=3, slow_start=0))
    open_at(breaker, 100)
    breaker.begin()
    breaker.succeeded(101)
    assert breaker.share(101) == 1


def test_what_is_found_down_is_left_alone_until_it_is_found_well(breaker: Breaker) -> None:
    breaker.is_down(100)
    breaker.is_down(100.5)
    assert breaker.until == 101
    breaker.is_well(100.6)
    assert breaker.lets_in(100.6)
