"""A service that could not be reached is asked again as soon as anybody answers there."""

import asyncio
from collections.abc import Callable
from time import monotonic

import pytest

from gateway.health import Breaker, Condition
from gateway.health.client import client_of
from gateway.health.reach import Reach
from gateway.settings import Breaker as Marks
from gateway.settings import Settings
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import TOKEN, backend_settings


class Looking:
    """A look at a backend whose breaker is open for long."""

    def __init__(self, url: str) -> None:
        backends = {"account": backend_settings(url)}
        settings = Settings.model_validate({"backends": backends}).backends["account"]
        self.condition = Condition(Breaker(Marks(wait=1000)))
        self.condition.breaker.is_down(monotonic())
        self.reach = Reach(settings, self.condition)

    async def look(self) -> bool:
        """Whether a request may pass now."""
        async with client_of(self.reach.settings) as client:
            await self.reach.look(client)
        return self.condition.breaker.lets_in(monotonic())


@pytest.mark.parametrize("status", [200, 401, 404])
async def test_whoever_answers_may_be_asked_again(backend: Backend, status: int) -> None:
    backend.reply = lambda call: call.refuse(status)
    assert await Looking(backend.url).look()
    [call] = backend.calls
    assert call.method == "GET"
    assert TOKEN not in str(call.headers)


@pytest.mark.parametrize("status", [500, 522])
async def test_who_is_in_trouble_is_left_alone(backend: Backend, status: int) -> None:
    backend.reply = lambda call: call.refuse(status)
    assert not await Looking(backend.url).look()


async def test_who_is_not_there_is_left_alone(closed_port: Callable[[], int]) -> None:
    assert not await Looking(f"http://127.0.0.1:{closed_port()}").look()


async def test_who_breaks_off_is_left_alone(backend: Backend) -> None:
    backend.reply = Call.reset
    assert not await Looking(backend.url).look()


async def test_nothing_is_asked_while_the_breaker_is_closed(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = asyncio.Semaphore(0)
    turns = asyncio.Semaphore(0)

    async def sleep(_seconds: float) -> None:
        slept.release()
        await turns.acquire()

    backend.reply = lambda call: call.refuse(404)
    looking = Looking(backend.url)
    opened = looking.condition.breaker
    looking.condition.breaker = Breaker(Marks())
    monkeypatch.setattr("gateway.health.reach.asyncio.sleep", sleep)
    running = asyncio.create_task(looking.reach.run())
    for _ in range(3):
        await slept.acquire()
        turns.release()
    await slept.acquire()
    assert not backend.calls
    looking.condition.breaker = opened
    turns.release()
    await slept.acquire()
    assert len(backend.calls) == 1
    assert opened.lets_in(monotonic())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
