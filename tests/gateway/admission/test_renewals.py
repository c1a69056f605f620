"""What living exchanges hold is renewed in time and no longer; all that nobody renews is given back."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from gateway.admission import Ticket
from gateway.admission.batch import ENTRIES, OPEN, Ask
from gateway.errors import LimitError
from gateway.quota import Quota
from gateway.store import Reason, Script, Store, StoreAwayError
from tests.gateway.admission.gate import LEASE, Gate, bill_of

Before = Callable[[str, int, Callable[[], Awaitable[object]]], None]


@pytest.fixture
def before(store: Store, monkeypatch: pytest.MonkeyPatch) -> Before:
    """Has something done just before a script is run, when it is run for the so-manieth time."""
    run, calls = store.run, Counter[str]()
    acts: dict[tuple[str, int], Callable[[], Awaitable[object]]] = {}

    async def after_act(script: Script, *arguments: Any) -> list[Any]:
        calls[script.name] += 1
        act = acts.get((script.name, calls[script.name]))
        if act is not None:
            await act()
        return await run(script, *arguments)

    def put(name: str, call: int, act: Callable[[], Awaitable[object]]) -> None:
        acts[name, calls[name] + call] = act

    monkeypatch.setattr(store, "run", after_act)
    return put


@pytest.mark.parametrize(("others", "call"), [(0, 1), (0, 2), (1500, 2), (1500, 3), (1500, 4)])
async def test_what_ends_while_it_is_renewed_holds_nothing(
    store: Store, before: Before, others: int, call: int
) -> None:
    gate = Gate(store)
    made, other = bill_of(Quota(concurrency=1)), bill_of(Quota(concurrency=10_000), "other")
    ticket = await gate.admits(made)
    assert ticket is not None
    await asyncio.gather(*(gate.admits(other) for _ in range(others)))

    async def end() -> None:
        gate.workers[0].settle(ticket, 0)
        await gate.told()

    before("renew", call, end)
    await gate.workers[0]._renew()
    await gate.told()
    assert await gate.used(made) == [0]
    assert await gate.used(other) == [others]
    assert await gate.admits(made)


async def test_what_ends_while_it_is_renewed_and_the_answer_is_lost_holds_nothing(
    store: Store, before: Before, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(store)
    made = bill_of(Quota(concurrency=1))
    ticket = await gate.admits(made)
    assert ticket is not None

    async def end() -> None:
        gate.workers[0].settle(ticket, 0)
        await gate.told()

    before("renew", 2, end)
    run = store.run

    async def lose_answer(script: Script, *arguments: Any) -> list[Any]:
        answer = await run(script, *arguments)
        if script.name == "renew" and ticket.settled:
            raise StoreAwayError("refused")
        return answer

    monkeypatch.setattr(store, "run", lose_answer)
    with pytest.raises(StoreAwayError):
        await gate.workers[0]._renew()
    await gate.told()
    assert await gate.used(made) == [0]


@pytest.mark.parametrize("lease", [1.0, 2.0, 5.0, LEASE])
async def test_leases_of_any_length_are_renewed_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch, lease: float
) -> None:
    gate = Gate(store, workers=2, lease=lease)
    made = bill_of(Quota(concurrency=1, tpd=100))
    assert await gate.admits(made, 60)  # by the second worker
    used: list[Sequence[int]] = []

    async def pass_time(seconds: float) -> None:
        gate.move(int(seconds * 1000))
        used.append(await gate.used(made))
        await gate.workers[0]._clear_up()
        if len(used) == 60:
            raise asyncio.CancelledError

    monkeypatch.setattr("gateway.admission.asyncio.sleep", pass_time)
    with suppress(asyncio.CancelledError):
        await gate.workers[1].run()
    assert used == [[60, 1]] * 60


async def test_leases_are_renewed_though_workers_cannot_be_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(store)
    made = bill_of(Quota(concurrency=1))
    assert await gate.admits(made)
    await store.command("SET", "{ps}:workers", "something else")
    gate.move(int(LEASE * 1000) - 5_000)

    async def end(_seconds: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("gateway.admission.asyncio.sleep", end)
    with suppress(asyncio.CancelledError):
        await gate.workers[0].run()
    gate.move(10_000)
    assert await gate.used(made) == [1]


async def test_what_a_dead_worker_held_is_given_back_however_much_it_is(store: Store) -> None:
    gate = Gate(store, workers=2)
    made = bill_of(Quota(tpd=10**15))
    dead, living = gate.workers
    await asyncio.gather(*(dead.admit(f"e{number}", made, 2 * 10**12) for number in range(400)))
    gate.move(int(LEASE * 1000) + 1_000)
    await store.command("ZADD", OPEN, 1, "garbage")
    await store.command("HSET", ENTRIES, "garbage", "is no entry")
    await living._clear_up()
    assert await gate.used(made) == [0]
    assert await store.command("HLEN", ENTRIES) == 0
    assert await store.command("ZCARD", OPEN) == 0


async def test_all_tokens_of_a_great_limit_are_given_back(store: Store) -> None:
    gate = Gate(store)
    made = bill_of(Quota(tpd=10**15))
    assert await gate.admits(made, 10**15)
    assert await gate.used(made) == [10**15]
    gate.move(int(LEASE * 1000) + 1_000)
    await gate.workers[0]._clear_up()
    assert await gate.used(made) == [0]


@pytest.mark.parametrize("tokens", [10**15 + 1, 2**63, 2**64, 10**30])
async def test_who_asks_for_more_than_can_be_counted_is_refused_alone(store: Store, tokens: int) -> None:
    gate = Gate(store)
    made = bill_of(Quota(tpm=10**15))
    refused, admitted = await asyncio.gather(
        gate.workers[0].admit("refused", made, tokens),
        gate.workers[0].admit("admitted", made, 5),
        return_exceptions=True,
    )
    assert isinstance(refused, LimitError)
    assert refused.is_hopeless
    assert isinstance(admitted, Ticket)
    assert await gate.used(made) == [5]


@pytest.mark.parametrize(("reason", "used"), [("timeout", 3), ("late", 3), ("full", 3), ("refused", 0)])
async def test_what_was_used_without_the_store_is_told_again_unless_it_may_have_been_heard(
    store: Store, before: Before, reason: Reason, used: int
) -> None:
    gate = Gate(store)
    worker, made = gate.workers[0], bill_of(Quota(rpm=100))
    worker._share.workers = 1
    for number in range(3):
        worker.settle(worker._admit_alone(Ask(f"alone-{number}", made, 0)), 0)

    async def fail() -> None:
        raise StoreAwayError(reason)

    before("settle", 1, fail)
    worker.returned()
    async with asyncio.timeout(20):
        while worker._is_catching_up:  # noqa: ASYNC110 - turns, not time
            await asyncio.sleep(0)
    worker._settle_now()
    await gate.told()
    assert await gate.used(made) == [used]
