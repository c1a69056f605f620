"""What is known of a server's time is never later than its time is, whatever replies were under way."""

import hypothesis.strategies as st
from hypothesis import given

from gateway.store.clock import Clock

# Times in whole ms of our clock: how long after the last call, there, and back again.
CALLS = st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 500), st.integers(0, 500)), min_size=1)


@given(st.integers(-(10**12), 10**12), CALLS, st.integers(0, 60_000))
def test_the_time_there_is_never_overstated(
    offset: int, calls: list[tuple[int, int, int]], later: int
) -> None:
    clock, here = Clock(), 1_000_000
    for pause, there, back in calls:
        asked = here + pause
        told = asked + there + offset
        here = asked + there + back
        clock.heard(told, asked / 1000, here / 1000)
        known = clock.at(here / 1000)
        assert known is not None
        assert known <= here + offset
    known = clock.at((here + later) / 1000)
    assert known is not None
    assert known <= here + later + offset


@given(CALLS)
def test_it_is_understated_by_no_more_than_the_last_reply_took(calls: list[tuple[int, int, int]]) -> None:
    clock, here = Clock(), 0
    for pause, there, back in calls:
        asked = here + pause
        here = asked + there + back
        clock.heard(asked + there, asked / 1000, here / 1000)
        known = clock.at(here / 1000)
        assert known is not None
        assert known >= here - back - 1


@given(st.integers(1000, 10**9), st.integers(0, 100), st.integers(0, 100))
def test_a_clock_that_was_set_back_is_believed_with_its_first_reply(by: int, there: int, back: int) -> None:
    clock = Clock()
    clock.heard(by, 0, 0)
    here = 1 + (there + back) / 1000
    clock.heard(1000 + there, 1, here)
    known = clock.at(here)
    assert known is not None
    assert known <= 1000 + there + back


def test_before_any_reply_nothing_is_known() -> None:
    assert Clock().at(1.0) is None
