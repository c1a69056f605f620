"""While the store is away each worker admits its part of every limit, beginning with what it has admitted."""

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from gateway.admission.share import Share
from gateway.errors import LimitError
from gateway.limits import Lease, Window, bill
from gateway.quota import Away, Burst, Quota
from translators.errors import ApiError


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def _window(limit: int, away: Away = "share", quota: Quota | None = None) -> Window:
    return bill([("k", "key 'k'", quota or Quota(rpm=limit, away=away))]).windows[0]


def _lease(limit: int, away: Away = "share") -> Lease:
    return bill([("k", "key 'k'", Quota(concurrency=limit, away=away))]).leases[0]


def _share(workers: int | None, clock: Clock | None = None) -> Share:
    share = Share(clock or Clock())
    share.workers = workers
    return share


def _admits(share: Share, window: Window, cost: int = 1) -> bool:
    try:
        share.check_window(window, cost)
    except LimitError:
        return False
    share.note(window, cost)
    return True


def test_each_worker_admits_its_part() -> None:
    share, window = _share(4), _window(40)
    assert [_admits(share, window) for _ in range(11)] == [True] * 10 + [False]


def test_an_outage_begins_with_what_was_admitted_before_it() -> None:
    share, window = _share(4), _window(40)
    for _ in range(7):
        share.note(window, 1)
    assert [_admits(share, window) for _ in range(4)] == [True] * 3 + [False]


def test_each_worker_admits_one_request_at_least() -> None:
    share, window = _share(10), _window(4)
    assert [_admits(share, window) for _ in range(2)] == [True, False]


def test_a_limit_of_nothing_stays_one() -> None:
    share = _share(1)
    assert not _admits(share, _window(0))
    with pytest.raises(LimitError):
        share.check_lease(_lease(0))


@pytest.mark.parametrize(("away", "workers"), [("closed", 2), ("share", None)])
def test_where_nobody_may_pass_unchecked_that_is_an_outage(away: Away, workers: int | None) -> None:
    share = _share(workers)
    for check in (
        lambda: share.check_window(_window(10, away), 1),
        lambda: share.check_lease(_lease(10, away)),
    ):
        with pytest.raises(ApiError) as caught:
            check()
        assert (caught.value.status, caught.value.code) == (503, "store_unavailable")


def test_an_open_limit_admits_all() -> None:
    share = _share(None)
    for _ in range(100):
        share.check_window(_window(1, "open"), 5)
        share.check_lease(_lease(1, "open"))


def test_concurrency_counts_this_worker_s_own() -> None:
    share, lease = _share(2), _lease(4)
    share.hold(lease, "a")
    share.check_lease(lease)
    share.hold(lease, "b")
    with pytest.raises(LimitError) as caught:
        share.check_lease(lease)
    assert "Limit 2, Used 2" in caught.value.message
    share.release(lease, "a")
    share.release(lease, "a")
    share.check_lease(lease)
    assert dict(share.held()) == {lease.key: ["b"]}
    share.release(lease, "b")
    assert dict(share.held()) == {}


def test_what_an_exchange_did_not_use_is_given_back_where_it_was_taken() -> None:
    clock = Clock()
    share = _share(1, clock)
    window = _window(0, quota=Quota(tpm=100))
    share.note(window, 90)
    then = clock.ms
    clock.ms += 5_000
    assert not _admits(share, window, 50)
    share.change(window, then, -60)
    assert _admits(share, window, 50)
    clock.ms += 56_500  # the first slot is gone, the second is not
    assert not _admits(share, window, 51)
    assert _admits(share, window, 50)


def test_what_is_given_back_too_late_changes_nothing() -> None:
    clock = Clock()
    share = _share(1, clock)
    window = _window(0, quota=Quota(tpm=100))
    share.note(window, 90)
    then = clock.ms
    clock.ms += 62_000
    share.note(window, 100)
    share.change(window, then, -90)
    assert not _admits(share, window, 1)


def test_a_refusal_says_when_there_is_room() -> None:
    clock = Clock()
    share = _share(2, clock)
    window = _window(4)
    assert _admits(share, window)
    clock.ms += 10_000
    assert _admits(share, window)
    with pytest.raises(LimitError) as caught:
        share.check_window(window, 1)
    wait = caught.value.retry_after
    assert wait is not None
    clock.ms += int(wait * 1000) - 1
    assert not _admits(share, window)
    clock.ms += 1
    assert _admits(share, window)


def test_more_tokens_than_a_part_are_never_admitted() -> None:
    window = _window(0, quota=Quota(tpm=100))
    with pytest.raises(LimitError) as caught:
        _share(4).check_window(window, 26)
    assert caught.value.retry_after is None
    assert caught.value.is_hopeless


@given(
    limit=st.integers(1, 20),
    workers=st.integers(1, 6),
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=80),
)
def test_no_sliding_window_of_an_outage_is_over(
    limit: int, workers: int, steps: list[tuple[int, int]]
) -> None:
    """The window of 6 s: each worker for itself keeps to its part, so all of them to the limit, or to n."""
    quota = Quota(burst=Burst(seconds=6.0, requests=limit))
    window = _window(0, quota=quota)
    clocks = [Clock() for _ in range(workers)]
    shares = [_share(workers, clock) for clock in clocks]
    admitted: list[tuple[int, int]] = []
    for number, (wait, cost) in enumerate(steps):
        for clock in clocks:
            clock.ms += wait * 37
        if _admits(shares[number % workers], window, cost):
            admitted.append((clocks[0].ms, cost))
    for start, _cost in admitted:
        inside = sum(cost for at, cost in admitted if start <= at < start + 6_000)
        assert inside <= max(limit, workers)


def test_memory_is_bounded() -> None:
    share = _share(1)
    window = _window(5)
    for number in range(20_050):
        share.note(msgspec.structs.replace(window, key=f"w{number}"), 1)
    assert len(share._windows) == 20_000
