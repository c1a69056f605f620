"""What a call to the store costs this process: `python -m tests.bench.store`.

CPU of this process only, the reply's parse included, one call after the other and two under way at once, on a
Unix socket and over TCP. redis-py's own client beside it shows what is saved. Each figure is the median of
several rounds.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop
from redis.asyncio import Redis

from gateway.store import TAG, Script, Store
from tests.store.servers import Server, serving, serving_tcp, valkey

_CALLS: Final = 2000
_ROUNDS: Final = 7
_PATIENT: Final = 5.0
_KEY: Final = f"{TAG}:probe"
_GOAL: Final = 60.0  # us

Call = Callable[[], Awaitable[object]]


async def _us_per_call(call: Call, at_once: int) -> float:
    async def some() -> None:
        for _ in range(_CALLS // at_once):
            await call()

    async def one_round() -> float:
        began = time.process_time()
        await asyncio.gather(*(some() for _ in range(at_once)))
        return (time.process_time() - began) / _CALLS * 1e6

    await one_round()
    return statistics.median([await one_round() for _ in range(_ROUNDS)])


async def _measure(server: Server, where: str) -> None:
    probe = Script("probe")
    store = Store(server.url, _PATIENT)
    await store.start()
    client = Redis.from_url(server.url)
    calls: dict[str, Call] = {
        "Store.run": lambda: store.run(probe, [_KEY]),
        "redis-py's client": lambda: client.execute_command("EVALSHA", probe.sha, 1, _KEY, 0, 0),
    }
    for name, call in calls.items():
        alone, paired = await _us_per_call(call, 1), await _us_per_call(call, 2)
        _say(f"{where:12} {name:20} one by one {alone:6.1f} us, two at once {paired:6.1f} us")
    await client.aclose()
    await store.stop()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _main() -> None:
    _say(f"CPU of a call in this process; the goal is {_GOAL:.0f} us")
    with serving(valkey()) as server:
        uvloop.run(_measure(server, "Unix socket"))
    with serving_tcp(valkey()) as server:
        uvloop.run(_measure(server, "TCP"))


if __name__ == "__main__":
    _main()
