"""Who waits is served in turn: first come, first served within a key, and in turn between keys."""

import asyncio

from gateway.balance.lines import Lines


async def served_in(lines: Lines, arrivals: str, *, seconds: float = 5) -> list[str]:
    """The order in which requests have their turn, each freeing the target for the next."""
    order: list[str] = []
    until = asyncio.get_running_loop().time() + seconds

    async def one(name: str) -> None:
        with lines.place("route", name[0], until) as place:
            if await place.turn():
                order.append(name)

    numbers: dict[str, int] = {}
    tasks = []
    for key in arrivals:
        numbers[key] = numbers.get(key, 0) + 1
        tasks.append(asyncio.create_task(one(f"{key}{numbers[key]}")))
        await asyncio.sleep(0)
    lines.freed()
    await asyncio.gather(*tasks)
    return order


async def test_within_a_key_the_first_to_come_is_the_first_to_go() -> None:
    assert await served_in(Lines(), "aaa") == ["a1", "a2", "a3"]


async def test_keys_take_turns_however_much_one_asks_for() -> None:
    assert await served_in(Lines(), "aaaabbc") == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_who_has_waited_for_too_long_leaves() -> None:
    lines = Lines()
    loop = asyncio.get_running_loop()
    with lines.place("route", "a", loop.time()) as place:
        assert not await place.turn()
    assert lines.waiting("route") == 0


async def test_the_first_is_woken_now_and_then_without_a_sign() -> None:
    lines = Lines()
    loop = asyncio.get_running_loop()
    with lines.place("route", "a", loop.time() + 5) as place:
        assert await place.turn()
        assert await place.turn()
        assert lines.waiting("route") == 1


async def test_who_leaves_gives_its_turn_to_the_next() -> None:
    lines = Lines()
    until = asyncio.get_running_loop().time() + 5
    turns: list[str] = []

    async def one(name: str) -> None:
        with lines.place("route", name, until) as place:
            await place.turn()
            turns.append(name)

    first, second = asyncio.create_task(one("a")), asyncio.create_task(one("b"))
    await asyncio.sleep(0)
    assert lines.waiting("route") == 2
    first.cancel()
    await second
    assert turns == ["b"]


async def in_turn_of_two(lines: Lines, second_wants: str) -> list[str]:
    """Who has his turn when a target becomes free once, and the first in line can do nothing with it."""
    turns: list[str] = []
    until = asyncio.get_running_loop().time() + 5

    async def one(name: str, wants: str) -> None:
        with lines.place("route", name, until, frozenset({("b", wants)})) as place:
            for _ in range(2):
                await place.turn()
                turns.append(name)

    tasks = [asyncio.create_task(one("first", "sees")), asyncio.create_task(one("second", second_wants))]
    await asyncio.sleep(0)
    lines.freed()
    for _ in range(5):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return turns


async def test_what_the_first_cannot_use_is_tried_by_one_who_may() -> None:
    assert set(await in_turn_of_two(Lines(), "reads")) == {"first", "second"}
    assert set(await in_turn_of_two(Lines(), "sees")) == {"first"}


async def test_who_can_use_what_nobody_else_in_line_can_need_not_wait_for_them() -> None:
    lines = Lines()
    loop = asyncio.get_running_loop()
    until = loop.time() + 5
    with (
        lines.place("route", "a", until, frozenset({("b", "sees")})),
        lines.place("route", "b", until, frozenset({("b", "reads")})) as place,
    ):
        woken = asyncio.ensure_future(place.turn())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert woken.done()
