"""The scripts decide exactly, on each kind of store: no window over its limit, nothing lost or made twice."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from gateway.admission import ChangedError, Ticket
from gateway.admission.batch import ENTRIES, OPEN
from gateway.errors import LimitError
from gateway.limits import bill
from gateway.quota import Burst, Quota
from gateway.store import Store
from tests.gateway.admission.gate import LEASE, Gate, bill_of

MINUTE = 60_000


def _over(admitted: Sequence[tuple[int, int]], length: int) -> int:
    """The most that any sliding window of this length holds."""
    return max(
        (sum(cost for at, cost in admitted if start <= at < start + length) for start, _ in admitted),
        default=0,
    )


@pytest.mark.parametrize("seed", range(6))
async def test_no_sliding_minute_is_over_however_requests_come(any_store: Store, seed: int) -> None:
    chance = random.Random(seed)
    gate = Gate(any_store, workers=3)
    made = bill_of(Quota(rpm=20, burst=Burst(seconds=3.0, requests=9)))
    admitted: list[tuple[int, int]] = []
    for _ in range(120):
        gate.move(chance.choice([0, 0, 1, 50, 999, 1000, 3_050, 20_000, 59_000, 61_000]))
        count = chance.randrange(1, 12)
        now = await gate.now()
        tickets = await asyncio.gather(*(gate.admits(made) for _ in range(count)))
        admitted += [(ticket.at or now, 1) for ticket in tickets if ticket]
    assert 0 < _over(admitted, MINUTE) <= 20
    assert 0 < _over(admitted, 3_000) <= 9


async def test_steady_demand_gets_sixty_parts_of_sixty_one(store: Store) -> None:
    gate = Gate(store)
    made = bill_of(Quota(rpm=600))
    admitted = 0
    for _ in range(6 * 60):  # six minutes, twice the limit wanted
        gate.move(1000)
        admitted += sum(ticket is not None for ticket in [await gate.admits(made) for _ in range(20)])
    assert admitted <= 600 * 6 + 600
    assert admitted / (600 * 6) >= 0.98


async def test_what_is_left_counts_down_and_comes_back(any_store: Store) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(rpm=3, tpm=100))
    lefts = []
    for _ in range(3):
        ticket = await gate.admits(made, 10)
        assert ticket is not None
        lefts.append(list(ticket.rest))
    assert lefts == [[1, 2, 2, 90], [1, 1, 2, 80], [1, 0, 2, 70]]
    gate.move(61_500)
    ticket = await gate.admits(made, 10)
    assert ticket is not None
    assert list(ticket.rest) == [1, 2, 2, 90]


async def test_a_refusal_says_exactly_when_there_is_room(any_store: Store) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(tpm=100))
    assert await gate.admits(made, 40)
    gate.move(7_000)
    assert await gate.admits(made, 50)
    with pytest.raises(LimitError) as caught:
        await gate.workers[0].admit("late", made, 60)
    wait = caught.value.retry_after
    assert wait is not None
    assert 61 >= wait > 53
    gate.move(int(wait * 1000) - 900)
    assert not await gate.admits(made, 60)
    gate.move(900)
    assert await gate.admits(made, 50)


async def test_a_refused_request_uses_up_nothing_of_its_other_limits(any_store: Store) -> None:
    gate = Gate(any_store)
    full, other = bill_of(Quota(rpm=1), "full"), bill_of(Quota(rpm=100, concurrency=5), "other")
    both = bill([("other", "o", Quota(rpm=100, concurrency=5)), ("full", "f", Quota(rpm=1))])
    assert await gate.admits(full)
    for _ in range(5):
        assert not await gate.admits(both)
    assert await gate.used(other) == [0, 0]


@pytest.mark.parametrize("seed", range(4))
async def test_settled_tokens_are_those_that_were_used(any_store: Store, seed: int) -> None:
    chance = random.Random(seed)
    gate = Gate(any_store, workers=2)
    made = bill_of(Quota(tpm=10_000, concurrency=50))
    running: list[tuple[Ticket, int]] = []
    used: list[tuple[int, int]] = []
    for _ in range(150):
        gate.move(chance.choice([0, 10, 300, 1000]))
        if running and chance.random() < 0.5:
            ticket, worker = running.pop(chance.randrange(len(running)))
            tokens = chance.randrange(0, 400)
            gate.workers[worker].settle(ticket, tokens)
            gate.workers[worker].settle(ticket, 10_000)  # a second time changes nothing
            used.append((ticket.at or 0, tokens))
        else:
            number = gate.number + 1
            ticket_ = await gate.admits(made, 250)
            if ticket_:
                running.append((ticket_, number % 2))
    await gate.told()
    now = await gate.now()
    oldest = now // 1000 - 60
    expected = sum(tokens for at, tokens in used if at // 1000 >= oldest)
    expected += sum(250 for ticket, _ in running if (ticket.at or 0) // 1000 >= oldest)
    assert await gate.used(made) == [expected, len(running)]


async def test_an_exchange_whose_worker_died_gives_back_what_it_held(any_store: Store) -> None:
    gate = Gate(any_store, workers=2)
    made = bill_of(Quota(tpm=100, rpm=10, concurrency=1))
    assert await gate.admits(made, 90)
    assert not await gate.admits(made, 5)
    gate.move(int(LEASE * 1000) - 2_000)
    await gate.workers[0]._clear_up()
    assert not await gate.admits(made, 5)
    gate.move(2_500)
    await gate.workers[0]._clear_up()
    assert await gate.used(made) == [1, 0, 0]  # of the requests it stays one
    assert await any_store.command("HLEN", ENTRIES) == 0
    assert await any_store.command("ZCARD", OPEN) == 0
    assert await gate.admits(made, 90)


async def test_a_lease_that_is_renewed_lasts(any_store: Store) -> None:
    gate = Gate(any_store, workers=2)
    made = bill_of(Quota(concurrency=1, tpd=100))
    ticket = await gate.admits(made, 60)  # by the second worker
    assert ticket is not None
    for _ in range(4):
        gate.move(int(LEASE * 1000) - 5_000)
        await gate.workers[1]._renew()
        await gate.workers[0]._clear_up()
        assert await gate.used(made) == [60, 1]
    gate.workers[1].settle(ticket, 20)
    await gate.told()
    assert await gate.used(made) == [20, 0]


async def test_a_lease_that_ran_out_while_its_exchange_lives_is_taken_again(any_store: Store) -> None:
    gate = Gate(any_store, workers=1)
    made = bill_of(Quota(concurrency=1))
    assert await gate.admits(made)
    gate.move(int(LEASE * 1000) + 1_000)
    await gate.workers[0]._renew()
    assert await gate.used(made) == [1]
    assert not await gate.admits(made)


async def test_thousands_of_exchanges_are_renewed(store: Store) -> None:
    gate = Gate(store)
    made = bill_of(Quota(concurrency=10_000))
    tickets = await asyncio.gather(*(gate.admits(made) for _ in range(5_000)))
    assert all(tickets)
    gate.move(40_000)
    await gate.workers[0]._renew()
    gate.move(40_000)
    assert await gate.used(made) == [5_000]


async def test_a_record_that_has_changed_admits_nothing(any_store: Store) -> None:
    gate = Gate(any_store)
    made = bill([("k", "key", Quota(rpm=5))], [("{ps}:key_1", 3)])
    with pytest.raises(ChangedError) as caught:
        await gate.admits(made)
    assert caught.value.key == "{ps}:key_1"
    await any_store.command("HSET", "{ps}:key_1", "v", 3)
    assert await gate.admits(made)
    assert await gate.used(made) == [1]


@pytest.mark.parametrize("place", ["{ps}:w:k:rpm", "{ps}:w:k:tpm", "{ps}:l:k", OPEN, ENTRIES])
async def test_a_key_that_holds_something_else_is_begun_anew(any_store: Store, place: str) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(rpm=5, tpm=100, concurrency=2))
    earlier = await gate.admits(made, 10)
    assert earlier is not None
    await any_store.command("SET", place, "something else")
    gate.workers[0].settle(earlier, 20)
    assert await gate.admits(made, 10)
    await gate.told()
    assert await gate.admits(made, 10)


async def test_a_clock_that_was_set_back_admits_nothing_more(any_store: Store) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(rpm=3))
    for _ in range(3):
        assert await gate.admits(made)
    gate.move(-3_600_000)
    assert not await gate.admits(made)
    gate.move(62_000)
    assert await gate.admits(made)


@pytest.mark.parametrize("used", [40, 90, 95])
async def test_what_ends_after_the_clock_was_set_back_is_settled_all_the_same(
    any_store: Store, used: int
) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(tpm=100))
    ticket = await gate.admits(made, 90)
    assert ticket is not None
    gate.move(-3_600_000)
    gate.workers[0].settle(ticket, used)
    await gate.told()
    assert not await gate.admits(made, 100 - used + 1)
    gate.move(62_000)
    assert await gate.admits(made, 100)


async def test_what_used_nothing_before_the_clock_was_set_back_leaves_nothing_behind(
    any_store: Store,
) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(tpm=100))
    tickets = [await gate.admits(made, 20) for _ in range(2)]
    for number, ticket in enumerate(tickets):
        assert ticket is not None
        gate.move(-3_600_000 * number)
        gate.workers[0].settle(ticket, 0)
        await gate.told()
    assert await gate.used(made) == [0]
    assert 0 < await any_store.command("PTTL", made.windows[0].key) <= 3_700_000


async def test_what_has_ended_leaves_nothing_behind(any_store: Store) -> None:
    gate = Gate(any_store)
    made = bill_of(Quota(rpm=5, tpm=100, concurrency=5))
    tickets = [await gate.admits(made, 10) for _ in range(5)]
    for ticket in tickets:
        assert ticket is not None
        gate.workers[0].settle(ticket, 0)
    await gate.told()
    for window in made.windows:
        assert 0 < await any_store.command("PTTL", window.key) <= 62_000
    assert await any_store.command("EXISTS", made.leases[0].key) == 0
    assert await any_store.command("HLEN", ENTRIES) == 0


async def test_someone_who_leaves_while_asking_holds_nothing(store: Store) -> None:
    gate = Gate(store)
    made = bill_of(Quota(tpm=1000, concurrency=3))
    for turns in range(12):
        asking = asyncio.create_task(gate.workers[0].admit(f"gone-{turns}", made, 100))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if not asking.cancelled():
            gate.workers[0].settle(asking.result(), 0)
        await gate.told()
    assert await gate.used(made) == [0, 0]


async def test_one_call_decides_for_many(store: Store) -> None:
    gate = Gate(store)
    made = bill_of(Quota(rpm=50))
    tickets = await asyncio.gather(*(gate.admits(made) for _ in range(200)))
    assert sum(ticket is not None for ticket in tickets) == 50


async def test_workers_are_counted_as_long_as_they_live(any_store: Store) -> None:
    gate = Gate(any_store, workers=3)
    for worker in gate.workers:
        await worker._join(6_000)
    await gate.workers[0]._join(6_000)
    assert gate.workers[0]._share.workers == 3
    await gate.workers[2].stop()
    await gate.workers[0]._join(6_000)
    assert gate.workers[0]._share.workers == 2
    gate.move(6_500)
    await gate.workers[0]._join(6_000)
    assert gate.workers[0]._share.workers == 1
