"""What many faults together leave behind: no socket, no task, no slot, and hardly a byte.

The small counts run always; the full ones with the soak. Memory is that of a process of its own.
"""

import asyncio
import gc
import mmap
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.chaos_client import ChaosClient, chaos_client, request
from tests.faults.chaos_server import (
    DONE,
    END,
    EVENTS,
    GOOD,
    GOOD_WHOLE,
    LAST,
    PATIENCE,
    Act,
    Flood,
    Script,
    chaos_server,
    chunk,
    event,
    said,
    whole,
)
from tests.faults.conftest import Between
from tests.faults.outcomes import Says, check, check_nothing_left
from tests.faults.test_process import Process, serving

MIB = 2**20
AT_ONCE = 50
# The full counts, of which every test runs a part where the soak is not asked for.
CANCELS = 10_000
REQUESTS = 100_000
WARM_UP = 20_000
# Read by those who run the soak beside other work.
SHARE = float(os.environ.get("PENSTOCK_SOAK_SHARE", "1"))

SLOW_ANSWERS: tuple[Script, ...] = (
    (Act.TURN, whole(said("Hello"))),
    (
        EVENTS,
        Act.TURN,
        *[part for _ in range(5) for part in (chunk(event(response="x")), Act.TURN)],
        chunk(LAST + DONE),
        END,
    ),
    (Act.HANG,),
    (EVENTS, chunk(event(response="x")), Act.HANG),
    (whole(said("Hello")),),
    GOOD,
)


@pytest.mark.parametrize(
    "cancels", [400, pytest.param(int(CANCELS * SHARE), marks=pytest.mark.soak, id="all")]
)
async def test_clients_that_leave_at_random_moments(between: Between, cancels: int) -> None:
    choice = random.Random(1)
    served, chaos = await between(*[choice.choice(SLOW_ANSWERS) for _ in range(997)])
    await served.client.get("/healthz")
    tasks = asyncio.all_tasks()

    async def leave_at_random() -> None:
        async with chaos_client(served.port) as client:
            data = request(stream=choice.random() < 0.5)
            await client.send(data[: choice.choice([len(data), len(data), choice.randrange(len(data))])])
            await asyncio.sleep(choice.random() * 0.02)
            client.leave(by_reset=choice.random() < 0.5)

    for _ in range(0, cancels, AT_ONCE):
        chaos.requests.clear()
        await asyncio.gather(*(leave_at_random() for _ in range(AT_ONCE)))
    await check_nothing_left(served, chaos)
    async with asyncio.timeout(PATIENCE):
        while len(served.process.server_state.connections) > 1:  # noqa: ASYNC110 - the test's own stays
            await asyncio.sleep(0.001)
    [pool] = [upstream._pool for upstream in served.gateway.dispatch.upstreams.values()]
    async with asyncio.timeout(PATIENCE):
        # Those that the chaos server runs on the connections that the pool keeps stay.
        while len(asyncio.all_tasks() - tasks) > len(pool._idle):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert await served.metric("penstock_inflight_requests") == 1
    chaos.scripts = [GOOD_WHOLE]
    check(await served.chat(), Says())


@pytest.mark.parametrize("leaving", [False, True], ids=["answered", "left"])
async def test_nothing_of_ours_waits_for_the_collector(
    between: Between, caplog: pytest.LogCaptureFixture, *, leaving: bool
) -> None:
    """Rings of references would pile up until a collection, which all open streams then wait for."""
    choice = random.Random(2)
    served, chaos = await between(GOOD_WHOLE, GOOD)
    chaos.scripts = [GOOD if number % 2 else GOOD_WHOLE for number in range(1000)]
    check(await served.chat(), Says())
    with unfreed() as garbage:
        for number in range(40):
            async with chaos_client(served.port) as client:
                await client.send(request(stream=bool(number % 2)))
                if leaving:
                    await asyncio.sleep(choice.random() * 0.005)
                    client.leave(by_reset=bool(number % 4))
                else:
                    assert (await client.answer()).status == 200
        await check_nothing_left(served, chaos)
    caplog.clear()  # the chaos server's own broken pipes are told of when they are freed
    ours = {type(each) for each in garbage if type(each).__module__.startswith(("gateway", "translators"))}
    assert ours == set()


@contextmanager
def unfreed() -> Iterator[list[object]]:
    """Holds what only the collector can free; the collector rests meanwhile."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    found: list[object] = []
    try:
        yield found
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def resident(process: Process) -> int:
    return int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]) * mmap.PAGESIZE


def sockets(process: Process) -> int:
    folder = Path(f"/proc/{process.process.pid}/fd")
    count = 0
    for each in folder.iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += str(each.readlink()).startswith("socket:")
    return count


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone has /proc")


@linux
async def test_clients_that_do_not_read_cost_a_megabyte_and_are_freed(tmp_path: Path) -> None:
    script: Script = (EVENTS, Flood(chunk(event(response="x" * 1000)), 64 * MIB), Act.HANG)
    async with (
        chaos_server(script) as chaos,
        serving(tmp_path, chaos, deadlines={"write_stall": 1}) as process,
    ):
        before, open_before = resident(process), sockets(process)
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(chaos_client(process.port, buffer=4096))
                for _ in range(AT_ONCE)
            ]
            for client in clients:
                client.stop_reading()
                await client.send(request(stream=True))
            most = 0
            for _ in range(40):
                most = max(most, resident(process))
                await asyncio.sleep(0.02)
            await eventually(lambda: sockets(process) <= open_before)
    assert (most - before) / AT_ONCE < MIB


async def mixed(process: Process, choice: random.Random, count: int) -> None:
    client: ChaosClient | None = None
    async with AsyncExitStack() as stack:
        for _ in range(count):
            if client is None:
                client = await stack.enter_async_context(chaos_client(process.port))
            streams = choice.random() < 0.5
            await client.send(request(stream=streams))
            if choice.random() < 0.2:
                await asyncio.sleep(choice.random() * 0.005)
                client.leave(by_reset=choice.random() < 0.5)
                client = None
                await stack.aclose()
            else:
                assert (await client.answer()).status == 200


FLOODS: dict[str, Script] = {
    "an event that never ends": (EVENTS, chunk(b'data: {"response":"'), Flood(chunk(b"x" * 65536), 64 * MIB)),
    "a line that never ends": (EVENTS, chunk(event(response="x")), Flood(chunk(b":" * 65536), 64 * MIB)),
    "a header that never ends": (b"HTTP/1.1 200 OK\r\nx: ", Flood(b"x" * 65536, 64 * MIB)),
    "a trailer that never ends": (
        EVENTS,
        chunk(event(response="x")),
        b"0\r\nx: ",
        Flood(b"x" * 65536, 64 * MIB),
    ),
    "events that say nothing": (EVENTS, Flood(chunk(b'data: {"response":""}\n\n' * 1000), 64 * MIB)),
    "a large event": (EVENTS, chunk(event(response="x" * 4 * MIB)), chunk(LAST + DONE), END),
}


def most_resident(process: Process) -> int:
    """Bytes, the most that there were."""
    text = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


@linux
@pytest.mark.parametrize("script", FLOODS.values(), ids=FLOODS)
async def test_a_backend_that_floods_costs_no_more_than_32_megabytes(tmp_path: Path, script: Script) -> None:
    async with (
        chaos_server(GOOD, (*script, Act.HANG)) as chaos,
        serving(tmp_path, chaos, deadlines={"gap": 1.0}) as process,
    ):
        for _ in range(2):
            before = most_resident(process)
            async with chaos_client(process.port) as client:
                await client.send(request(stream=True))
                await client.answer()
        assert most_resident(process) - before <= 32 * MIB


@linux
@pytest.mark.soak
async def test_a_hundred_thousand_requests_grow_less_than_a_megabyte(tmp_path: Path) -> None:
    """Whole, streamed and cancelled ones, after a warm-up."""
    choice = random.Random(2)
    async with chaos_server(GOOD_WHOLE, GOOD) as chaos, serving(tmp_path, chaos) as process:
        chaos.scripts = [GOOD if number % 2 else GOOD_WHOLE for number in range(1000)]

        async def round_of(count: int) -> int:
            for _ in range(10):
                chaos.requests.clear()
                await asyncio.gather(*(mixed(process, choice, count // 10 // 16) for _ in range(16)))
            return resident(process)

        warm = await round_of(WARM_UP)
        after = await round_of(int(REQUESTS * SHARE))
    grown = after - warm
    assert grown < MIB, f"{grown / MIB:.2f} MiB"
