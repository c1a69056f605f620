"""A gateway whose memory is limited by its control group refuses new requests before the kernel ends it."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.chaos_client import Answer, ChaosClient, chaos_client, request
from tests.faults.chaos_server import GOOD_WHOLE, PATIENCE, ChaosServer, chaos_server
from tests.faults.test_process import Process, serving

LIMIT = 320 * 1024 * 1024  # bytes
MOST = 600  # requests of more than a megabyte each: far more than there is room for
LONG = "word " * 200_000
UNLISTED = "@cf/somebody/of-any-window"


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with a limit, in version 2 or 1 of Linux."""
    own = {names: path for _, names, path in (line.split(":", 2) for line in _own_groups())}
    version_1 = "memory" in own
    root = Path("/sys/fs/cgroup/memory") if version_1 else Path("/sys/fs/cgroup")
    folder = root / f"penstock-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(LIMIT))
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    _remove(folder)


def _remove(group: Path) -> None:
    """Once all its processes have ended: the store's ends by itself, a moment after its gateway."""
    for _ in range(100 * PATIENCE):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"processes are left in {group}")


def _own_groups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []


async def test_little_memory_refuses_what_is_new_and_ends_nothing(tmp_path: Path, group: Path) -> None:
    go_on = asyncio.Event()
    joins = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    waits = {"total": 600, "first_byte": 600}
    async with (
        chaos_server((go_on, *GOOD_WHOLE)) as chaos,
        serving(tmp_path, chaos, limits=joins, deadlines=waits) as process,
        AsyncExitStack() as stack,
    ):
        waiting: list[ChaosClient] = []
        refused = None
        while refused is None and len(waiting) < MOST:
            client = await stack.enter_async_context(chaos_client(process.port))
            await client.send(request(messages=[{"role": "user", "content": LONG}], model=UNLISTED))
            refused = await _refused(client, chaos, len(waiting))
            waiting += [client] if refused is None else []
        assert refused is not None
        assert refused.status == 503, refused
        assert refused.headers["retry-after"]
        assert refused.error["code"] == "overloaded"
        go_on.set()
        for client in waiting:
            assert (await client.answer()).status == 200
        for client in waiting:
            client.leave()
        await _answers_again(process)
        assert await process.metric("penstock_shed_requests_total") > 0


async def _refused(client: ChaosClient, chaos: ChaosServer, asked: int) -> Answer | None:
    """The answer of a request that does not get to the backend; None where it does."""
    answer = asyncio.ensure_future(client.answer())
    async with asyncio.timeout(PATIENCE):
        while len(chaos.requests) <= asked and not answer.done():  # noqa: ASYNC110 - either of two sides
            await asyncio.sleep(0.005)
    if answer.done():
        return await answer
    answer.cancel()
    return None


async def _answers_again(process: Process) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            async with chaos_client(process.port) as client:
                await client.send(request())
                if (await client.answer()).status == 200:
                    return
                await asyncio.sleep(0.1)
