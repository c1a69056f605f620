"""Work that is done once for all who ask at once."""

import asyncio

from gateway.cli.workers.rounds import Rounds


async def test_who_asks_during_a_round_shares_the_next_one() -> None:
    begun: list[asyncio.Event] = []

    async def work() -> bytes:
        goes_on = asyncio.Event()
        begun.append(goes_on)
        await goes_on.wait()
        return str(len(begun)).encode()

    rounds = Rounds(work)
    first = asyncio.create_task(rounds.next())
    while not begun:  # noqa: ASYNC110 - turns, not time
        await asyncio.sleep(0)
    later = [asyncio.create_task(rounds.next()) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(begun) == 1  # the next one waits for it
    begun[0].set()
    assert await first == b"1"
    while len(begun) < 2:  # noqa: ASYNC110 - turns, not time
        await asyncio.sleep(0)
    begun[1].set()
    assert await asyncio.gather(*later) == [b"2"] * 5
    assert len(begun) == 2


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    goes_on = asyncio.Event()

    async def work() -> bytes:
        await goes_on.wait()
        return b"done"

    rounds = Rounds(work)
    impatient, patient = (asyncio.create_task(rounds.next()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    goes_on.set()
    assert await patient == b"done"


async def test_a_round_that_fails_is_not_the_last_one() -> None:
    answers = iter([ValueError("no"), None])

    async def work() -> bytes:
        if (error := next(answers)) is not None:
            raise error
        return b"done"

    rounds = Rounds(work)
    assert isinstance((await asyncio.gather(rounds.next(), return_exceptions=True))[0], ValueError)
    assert await rounds.next() == b"done"
