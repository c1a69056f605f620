"""The budget for requests that have cost work: a share of what is in flight, the rest in turn."""

import asyncio

import pytest

from gateway.balance import Retries, retries


def yes() -> bool:
    """There is somebody to ask."""
    return True


async def taken(budget: Retries) -> int:
    """How many may ask again now, without waiting."""
    count = 0
    while True:
        asking = asyncio.create_task(budget.take(yes))
        await asyncio.sleep(0)
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            return count
        assert await asking
        count += 1


async def waiting(budget: Retries, order: list[int], number: int) -> "asyncio.Task[None]":
    """A request that stands in line by now, and notes when it is its turn."""

    async def wait() -> None:
        if await budget.take(yes):
            order.append(number)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


async def test_three_are_always_allowed() -> None:
    assert await taken(Retries()) == 3


async def test_a_fifth_of_what_is_in_flight_is_allowed_at_once() -> None:
    budget = Retries()
    budget.in_flight = 100
    assert await taken(budget) == 20
    budget.give_back()
    budget.give_back()
    assert await taken(budget) == 2


async def test_the_rest_waits_and_who_came_first_goes_first() -> None:
    budget = Retries()
    await taken(budget)
    order: list[int] = []
    tasks = [await waiting(budget, order, number) for number in range(4)]
    assert order == []
    for _ in range(4):
        budget.give_back()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3]
    assert budget.under_way == 3


async def test_who_comes_while_others_wait_stands_behind_them() -> None:
    budget = Retries()
    await taken(budget)
    order: list[int] = []
    first = await waiting(budget, order, 1)
    budget.give_back()  # there is room, but not for one who comes now
    second = await waiting(budget, order, 2)
    await first
    assert order == [1]
    budget.give_back()
    await second
    assert order == [1, 2]


async def test_one_that_leaves_the_line_holds_nobody_up() -> None:
    budget = Retries()
    await taken(budget)
    order: list[int] = []
    first = await waiting(budget, order, 1)
    second = await waiting(budget, order, 2)
    first.cancel()
    budget.give_back()
    await second
    assert order == [2]


async def test_nobody_waits_where_nobody_is_left_to_ask() -> None:
    budget = Retries()
    await taken(budget)
    is_useful = [True]
    waiting = [asyncio.create_task(budget.take(lambda: is_useful[0])) for _ in range(3)]
    await asyncio.sleep(0)
    is_useful[0] = False
    budget.look()
    assert await asyncio.gather(*waiting) == [False, False, False]
    assert budget.under_way == 3


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_PATIENCE", 0.01)
    budget = Retries()
    await taken(budget)
    assert not await budget.take(yes)
    assert budget.under_way == 3
