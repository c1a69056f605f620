"""What one worker sets aside or drains, all workers leave alone; and take up again when it is over."""

import asyncio
from math import inf
from time import time

import pytest

from gateway.health import LOOK, Aside, Asides, Health, Logged
from gateway.health.asides import Found
from gateway.settings import Settings
from gateway.store import Store, StoreAwayError
from tests.gateway.served import backend_settings
from tests.store.fixtures import *  # noqa: F403 - pytest looks for fixtures by their names here
from translators.errors import ApiError

BUSY = ApiError(429, "busy", code="rate_limit_exceeded", retry_after=100)
LOGGED = Logged("{ps}:audit", b"{}", 10)
QUOTA = ApiError(429, "none left", code="insufficient_quota", retry_after=1000)


def health() -> Health:
    backends = {name: backend_settings("http://127.0.0.1:1") for name in ("a", "b")}
    return Health(Settings.model_validate({"backends": backends}).backends)


@pytest.fixture
def workers(store: Store) -> tuple[Asides, Asides]:
    return Asides(health(), store), Asides(health(), store)


def is_aside(asides: Asides, backend: str, model: str) -> bool:
    conditions = asides._health
    now = asyncio.get_running_loop().time()
    return max(conditions.backends[backend].aside_until, conditions.of(backend, model).aside_until) > now


def drained(asides: Asides, backend: str, model: str | None) -> bool:
    condition = asides._health.condition(backend, model)
    return condition is not None and condition.drained


async def put(asides: Asides, aside: Aside) -> None:
    assert await asides.change(aside.place, await asides.find(aside.place), aside, LOGGED)


async def take_back(asides: Asides, aside: Aside) -> None:
    found = await asides.find(aside.place)
    assert found.aside is not None
    assert await asides.change(aside.place, found, None, LOGGED)


async def shared(asides: Asides) -> None:
    await asyncio.gather(*asides._tasks)


async def test_what_one_worker_sets_aside_all_leave_alone(workers: tuple[Asides, Asides]) -> None:
    one, other = workers
    one.note("a", "m", BUSY)
    await shared(one)
    await other.look()
    assert is_aside(one, "a", "m")
    assert is_aside(other, "a", "m")
    assert not is_aside(other, "a", "another")
    assert not is_aside(other, "b", "m")
    assert [each.why for each in other.all()] == ["rate_limit_exceeded"]


async def test_an_account_without_allocation_is_set_aside_with_all_its_models(
    workers: tuple[Asides, Asides],
) -> None:
    one, other = workers
    one.note("a", "m", QUOTA)
    await shared(one)
    await other.look()
    assert is_aside(other, "a", "another")


async def test_what_did_not_say_for_how_long_is_set_aside_for_longer_each_time() -> None:
    asides = Asides(health(), None)
    pauses = []
    for _ in range(7):
        before = asyncio.get_running_loop().time()
        asides.note("a", "m", ApiError(503, "busy"))
        condition = asides._health.of("a", "m")
        pauses.append(round(condition.aside_until - before))
        condition.aside_until = before  # and it is over
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


async def test_what_did_not_say_for_how_long_may_be_looked_at_and_is_taken_up_by_all_once_it_is_well(
    workers: tuple[Asides, Asides],
) -> None:
    one, other = workers
    one.note("a", "m", ApiError(503, "busy"))
    await shared(one)
    await other.look()
    for each in workers:
        condition = each._health.of("a", "m")
        now = asyncio.get_running_loop().time()
        assert now < condition.look_at <= now + LOOK
        assert condition.is_aside(now)
    looking = one._health.attempt("a", "m")
    looking.end("well")
    assert not is_aside(one, "a", "m")
    await one.look()
    await other.look()
    assert not is_aside(one, "a", "m")
    assert not is_aside(other, "a", "m")
    assert other._health.of("a", "m").look_at == inf
    assert one.all() == other.all() == []


async def test_what_said_for_how_long_is_not_looked_at(workers: tuple[Asides, Asides]) -> None:
    one, other = workers
    one.note("a", "m", ApiError(503, "busy"))
    one.note("a", "m", BUSY)
    await shared(one)
    await other.look()
    assert [each._health.of("a", "m").look_at for each in workers] == [inf, inf]


async def test_a_drain_holds_on_all_workers_until_it_is_taken_back(workers: tuple[Asides, Asides]) -> None:
    one, other = workers
    await put(one, Aside("a", why="for repair"))
    await other.look()
    assert one._health.backends["a"].drained
    assert other._health.backends["a"].drained
    await take_back(other, Aside("a"))
    await one.look()
    assert not one._health.backends["a"].drained
    assert one.all() == other.all() == []


@pytest.mark.parametrize("model", [None, "m"])
async def test_neither_a_refusal_nor_its_end_undoes_a_drain(
    workers: tuple[Asides, Asides], model: str | None
) -> None:
    one, other = workers
    await put(one, Aside("a", model, why="for repair"))
    for refusal in (BUSY, QUOTA):
        other.note("a", "m", refusal)
        await shared(other)
    for each in workers:
        await each.look()
        assert drained(each, "a", model)
        assert is_aside(each, "a", "m")
    for of in ("m", None):
        await take_back(one, Aside("a", of, until=0.0))
    for each in workers:
        await each.look()
        assert drained(each, "a", model)
        assert not is_aside(each, "a", "m")


async def test_what_is_undrained_stays_aside(workers: tuple[Asides, Asides]) -> None:
    one, _other = workers
    await put(one, Aside("a", "m"))
    one.note("a", "m", BUSY)
    await shared(one)
    await take_back(one, Aside("a", "m"))
    for each in workers:
        await each.look()
        assert not drained(each, "a", "m")
        assert is_aside(each, "a", "m")


async def test_what_an_operator_sets_aside_is_not_looked_at_nor_taken_up_by_who_has_looked_before(
    workers: tuple[Asides, Asides],
) -> None:
    one, other = workers
    one.note("a", "m", ApiError(503, "busy"))
    await shared(one)
    one._health.attempt("a", "m").end("well")
    assert one._health.of("a", "m").look_at == inf
    await put(other, Aside("a", "m", until=time() + 100, why="it restarts"))
    for each in workers:
        await each.look()
        assert is_aside(each, "a", "m")
        assert each._health.of("a", "m").look_at == inf
        assert [aside.why for aside in each.all()] == ["it restarts"]


async def test_a_shorter_refusal_does_not_end_what_an_operator_set_aside_for_longer(
    workers: tuple[Asides, Asides],
) -> None:
    one, other = workers
    await put(one, Aside("a", "m", until=time() + 1000, why="it restarts"))
    one.note("a", "m", BUSY)
    await shared(one)
    await other.look()
    assert [aside.why for aside in other.all()] == ["it restarts"]


async def test_a_change_and_its_entry_are_written_together_or_not_at_all(
    workers: tuple[Asides, Asides], store: Store
) -> None:
    one, other = workers
    drain = Aside("a", why="for repair")
    found = await one.find(drain.place)
    assert found.aside is None
    await put(other, Aside("a", why="for good"))
    assert not await one.change(drain.place, found, drain, LOGGED)
    assert await store.command("XLEN", LOGGED.log) == 1
    assert (await one.find(drain.place)).aside == Aside("a", why="for good")


def test_no_two_things_have_one_place() -> None:
    asides = [
        Aside(backend, model, until)
        for backend in ("a", "a m", "drain a")
        for model in (None, "m")
        for until in (None, 1.0)
    ]
    assert len({each.place for each in asides}) == len(asides)


async def test_what_is_over_is_forgotten_everywhere(workers: tuple[Asides, Asides], store: Store) -> None:
    one, other = workers
    await put(one, Aside("a", "m", until=1.0))
    await other.look()
    assert other.all() == []
    assert await store.command("HLEN", "{ps}:asides") == 0


async def test_without_a_store_each_worker_goes_on_with_what_it_knows() -> None:
    asides = Asides(health(), None)
    asides.note("a", "m", BUSY)
    await shared(asides)
    with pytest.raises(StoreAwayError):
        await asides.look()
    assert is_aside(asides, "a", "m")
    with pytest.raises(StoreAwayError):
        await asides.find(Aside("a").place)
    with pytest.raises(StoreAwayError):
        await asides.change(Aside("a").place, Found(), Aside("a"), LOGGED)


async def test_a_worker_looks_when_others_say_so(workers: tuple[Asides, Asides]) -> None:
    one, other = workers
    running = asyncio.create_task(other.run())
    await asyncio.sleep(0)
    await put(one, Aside("a"))
    other.changed(b"a")
    while not other._health.backends["a"].drained:  # noqa: ASYNC110 - the task's turn, not time
        await asyncio.sleep(0.001)
    running.cancel()
