"""Faults one after the other under load: every call ends in time, and none changes anything after its end."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from gateway.store import TAG, Script, Store, StoreAwayError
from tests.store.servers import Server, serving, valkey

JOIN = Script("join")
TIMEOUT = 0.1
MARGIN = 0.2  # seconds; the machines that tests run on are busy
LASTING = 10**9  # ms
CALLERS = 20
SECONDS = 6.0


class Callers:
    """Each call writes under a key of its own, so that what became of it can be looked up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.done: list[str] = []
        self.given_up: dict[str, float] = {}  # when, in ms of the machine's clock, which is the store's too
        self.longest = 0.0

    async def call(self, end: float, name: str) -> None:
        number = 0
        while time.monotonic() < end:
            number += 1
            key = f"{TAG}:storm:{name}:{number}"
            began = time.monotonic()
            try:
                reply = await self._store.run(JOIN, [key], [name, LASTING])
            except StoreAwayError:
                self.given_up[key] = time.time() * 1000
            else:
                assert reply[1:] == [1], "the answer to another's question"
                self.done.append(key)
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(0.005)


async def _storm(server: Server, end: float) -> None:
    chance = random.Random(7)

    def die() -> None:
        server.kill()
        server.start()

    async def pause() -> None:
        server.pause()
        await asyncio.sleep(chance.uniform(0.05, 0.3))
        server.go_on()

    def kill_connections() -> None:
        server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    faults: list[Callable[[], None]] = [die, kill_connections, lambda: server.ask("SCRIPT", "FLUSH")]
    while time.monotonic() < end:
        await asyncio.sleep(chance.uniform(0.05, 0.3))
        await pause()
        await asyncio.to_thread(chance.choice(faults))


async def _main() -> None:
    with serving(valkey(), "--appendonly", "yes", "--appendfsync", "always") as server:
        store = Store(server.url, TIMEOUT)
        await store.start()
        callers, end = Callers(store), time.monotonic() + SECONDS
        await asyncio.gather(_storm(server, end), *(callers.call(end, f"c{each}") for each in range(CALLERS)))
        await store.stop()
        assert callers.longest < TIMEOUT + MARGIN
        assert len(callers.done) > 100
        assert len(callers.given_up) > 100
        with server.client() as client:
            assert all(client.exists(key) for key in callers.done)
            late = [key for key, given_up in callers.given_up.items() if _ran(client, key) > given_up]
        assert not late


def _ran(client: Any, key: str) -> float:
    """When a call's script ran, in ms; 0: it did not."""
    ends = client.zscore(key, key.split(":")[2])
    return float(ends) - LASTING if ends else 0


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_every_call_ends_in_time_and_changes_nothing_later(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_main())
