"""While the store is away each worker admits its part of every limit, beginning with what it has admitted."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gateway.admission.share import Share
from gateway.errors import LimitError
from gateway.limits import Bill, bill
from gateway.quota import Away, Burst, Quota
from translators.errors import ApiError


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def _bill(limit: int = 0, away: Away = "share", quota: Quota | None = None) -> Bill:
    return bill([("k", "key 'k'", quota or Quota(rpm=limit, away=away))])


def _lease(limit: int, away: Away = "share") -> Bill:
    return _bill(quota=Quota(concurrency=limit, away=away))


def _share(workers: int | None, clock: Clock | None = None) -> Share:
    share = Share(clock or Clock())
    share.workers = workers
    return share


def _admits(share: Share, made: Bill, tokens: int = 1) -> bool:
    try:
        share.check(made, tokens)
    except LimitError:
        return False
    share.note(made, tokens)
    return True


def test_each_worker_admits_its_part() -> None:
    share, made = _share(4), _bill(40)
    assert [_admits(share, made) for _ in range(11)] == [True] * 10 + [False]


def test_an_outage_begins_with_what_was_admitted_before_it() -> None:
    share, made = _share(4), _bill(40)
    for _ in range(7):
        share.note(made, 1)
    assert [_admits(share, made) for _ in range(4)] == [True] * 3 + [False]


def test_each_worker_admits_one_request_at_least() -> None:
    share, made = _share(10), _bill(4)
    assert [_admits(share, made) for _ in range(2)] == [True, False]


def test_a_limit_of_nothing_stays_one() -> None:
    share = _share(1)
    assert not _admits(share, _bill(0))
    assert not _admits(share, _lease(0))


@pytest.mark.parametrize(("away", "workers"), [("closed", 2), ("share", None)])
def test_where_nobody_may_pass_unchecked_that_is_an_outage(away: Away, workers: int | None) -> None:
    share = _share(workers)
    for made in (_bill(10, away), _lease(10, away)):
        with pytest.raises(ApiError) as caught:
            share.check(made, 1)
        assert (caught.value.status, caught.value.code) == (503, "store_unavailable")


def test_an_open_limit_admits_all() -> None:
    share = _share(None)
    for _ in range(100):
        share.check(_bill(1, "open"), 5)
        share.check(_lease(1, "open"), 5)


def test_concurrency_counts_this_worker_s_own() -> None:
    share, made = _share(2), _lease(4)
    share.hold(made, "a")
    share.check(made, 1)
    share.hold(made, "b")
    with pytest.raises(LimitError) as caught:
        share.check(made, 1)
    assert "Limit 2, Used 2" in caught.value.message
    share.release(made, "a")
    share.release(made, "a")
    share.check(made, 1)
    assert {key: share.holders(key) for key in share.leases()} == {made.held[0]: ["b"]}
    share.release(made, "b")
    assert share.leases() == []


def test_what_an_exchange_did_not_use_is_given_back_where_it_was_taken() -> None:
    clock = Clock()
    share = _share(1, clock)
    made = _bill(quota=Quota(tpm=100))
    share.note(made, 90)
    then = clock.ms
    clock.ms += 5_000
    assert not _admits(share, made, 50)
    share.change(made, then, -60)
    assert _admits(share, made, 50)
    clock.ms += 56_500  # the first slot is gone, the second is not
    assert not _admits(share, made, 51)
    assert _admits(share, made, 50)


def test_what_is_given_back_too_late_changes_nothing() -> None:
    clock = Clock()
    share = _share(1, clock)
    made = _bill(quota=Quota(tpm=100))
    share.note(made, 90)
    then = clock.ms
    clock.ms += 62_000
    share.note(made, 100)
    share.change(made, then, -90)
    share.change(_bill(5), then, -90)
    assert not _admits(share, made, 1)


def test_a_refusal_says_when_there_is_room() -> None:
    clock = Clock()
    share = _share(2, clock)
    made = _bill(4)
    assert _admits(share, made)
    clock.ms += 10_000
    assert _admits(share, made)
    with pytest.raises(LimitError) as caught:
        share.check(made, 1)
    wait = caught.value.retry_after
    assert wait is not None
    clock.ms += int(wait * 1000) - 1
    assert not _admits(share, made)
    clock.ms += 1
    assert _admits(share, made)


def test_more_tokens_than_a_part_are_never_admitted() -> None:
    with pytest.raises(LimitError) as caught:
        _share(4).check(_bill(quota=Quota(tpm=100)), 26)
    assert caught.value.retry_after is None
    assert caught.value.is_hopeless


@given(
    limit=st.integers(1, 20),
    workers=st.integers(1, 6),
    before=st.lists(st.integers(0, 40), max_size=20),
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=80),
)
def test_no_sliding_window_of_an_outage_is_over(
    limit: int, workers: int, before: list[int], steps: list[tuple[int, int]]
) -> None:
    """Each worker keeps to its part, what it admitted before included: so all together to the limit."""
    made = _bill(quota=Quota(burst=Burst(seconds=6.0, tokens=limit)))
    clocks = [Clock() for _ in range(workers)]
    shares = [_share(workers, clock) for clock in clocks]
    admitted: list[tuple[int, int, int]] = []
    for number, (wait, cost) in enumerate([*((wait, 1) for wait in before), *steps]):
        for clock in clocks:
            clock.ms += wait * 37
        mine = number % workers
        already = sum(1 for _, whose, _ in admitted if whose == mine)
        at_once = number < len(before) and already < limit // workers
        if at_once:
            shares[mine].note(made, cost)
        if at_once or (number >= len(before) and _admits(shares[mine], made, cost)):
            admitted.append((clocks[0].ms, mine, cost))
    for start, _whose, _cost in admitted:
        inside = sum(cost for at, _, cost in admitted if start <= at < start + 6_000)
        assert inside <= max(limit, workers)


def test_windows_of_every_length_begin_with_what_was_admitted() -> None:
    for quota in (Quota(rpm=9), Quota(rpd=9), Quota(burst=Burst(seconds=600.0, requests=9))):
        clock = Clock()
        share, made = _share(1, clock), _bill(quota=quota)
        for _ in range(7):
            share.note(made, 1)
            clock.ms += 1500
        assert [_admits(share, made) for _ in range(3)] == [True, True, False]
        share.is_back()
        assert not _admits(share, made)


def test_a_window_of_several_bills_is_one_window() -> None:
    share = _share(1)
    team = ("t", "team 't'", Quota(rpm=3))
    one, two = bill([team, ("a", "key", Quota(tpm=100))]), bill([team])
    share.note(one, 5)
    share.note(two, 5)
    assert [_admits(share, made) for made in (one, two)] == [True, False]


def test_memory_is_bounded() -> None:
    share = _share(1)
    for number in range(20_050):
        share.note(bill([(f"k{number}", "key", Quota(rpm=5))]), 1)
    assert len(share._uses) == 20_000
    assert len(share._uses_of) == 20_000
