"""While the store is away nobody hangs, each limit does what it says, and what was used is told on return."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from gateway.app import State
from gateway.keys import Actor
from gateway.limits import bill
from gateway.quota import Away, Quota
from gateway.store import Script, Store
from tests.gateway.scripted import PATIENCE, Backend, Call
from tests.gateway.served import Served, asks, backend_settings, serving_gateway
from tests.store.servers import Server, serving, valkey

ROOT = Actor("master")
MARGIN = 0.25  # seconds beside the 100 ms that a request waits for the store; two cores are shared by all


@pytest.fixture
def server() -> Iterator[Server]:
    """A store of the test's own, to be stopped."""
    with serving(valkey()) as server:
        yield server


@pytest.fixture
async def workers(server: Server, backend: Backend, tmp_path: Path) -> AsyncIterator[list[Served]]:
    """Two gateways that know of each other."""
    backend.reply = lambda call: call.result("Hi")
    state = State(server.url, b"a pepper of the tests")
    settings = {"data_dir": tmp_path, "backends": {"b": backend_settings(backend.url)}}
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(serving_gateway(settings, state)) for _ in range(2)]
        for _ in range(2):
            for each in served:
                await each.gateway.doors.admission._join(60_000)
        yield served


async def _issue(served: Served, **fields: Any) -> dict[str, str]:
    register = served.gateway.keys.register
    assert register is not None
    _key, secret = await register.create_key({"name": "ci", **fields}, ROOT)
    return {"authorization": f"Bearer {secret}"}


async def _ask(served: Served, headers: dict[str, str], **fields: Any) -> int:
    answer = await served.client.post("/v1/chat/completions", json=asks(**fields), headers=headers)
    return answer.status_code


async def _back(workers: list[Served]) -> None:
    async with asyncio.timeout(PATIENCE):
        for each in workers:
            admission = each.gateway.doors.admission
            while each.gateway.store.is_away or admission._is_catching_up:  # noqa: ASYNC110 - turns, not time
                await asyncio.sleep(0.005)


async def _used(served: Served, quota: Quota, key_id: str) -> list[int]:
    made = bill([(key_id, "", quota)])
    store = served.gateway.store
    assert isinstance(store, Store)
    packed = bytes([0x91, 0xCD]) + made.windows[0].slot.to_bytes(2, "big")
    _now, *used = await store.run(Script("used"), [made.windows[0].key], [packed])
    return used


async def test_a_store_that_hangs_costs_one_short_wait_and_each_worker_admits_its_part(
    workers: list[Served], server: Server
) -> None:
    headers = await _issue(workers[0], quota={"rpm": 20})
    for each in workers:
        assert await _ask(each, headers) == 200
    server.pause()
    for each in workers:
        began = monotonic()
        answers = await asyncio.gather(*(_ask(each, headers) for _ in range(15)))
        assert monotonic() - began < 0.1 + MARGIN
        assert answers.count(200) == 9  # a half of the limit, less the one from before
        assert answers.count(429) == 6
    server.go_on()
    await _back(workers)
    # All twenty are known there now, and nothing more.
    answers = [await _ask(workers[number % 2], headers) for number in range(4)]
    assert answers == [429] * 4


async def test_nothing_that_was_given_up_is_admitted_when_the_store_goes_on(
    workers: list[Served], server: Server
) -> None:
    register = workers[0].gateway.keys.register
    assert register is not None
    key, secret = await register.create_key({"name": "ci", "quota": {"rpm": 1000}}, ROOT)
    headers = {"authorization": f"Bearer {secret}"}
    assert await _ask(workers[0], headers) == 200
    server.pause()
    admitted = 1 + (await asyncio.gather(*(_ask(workers[0], headers) for _ in range(30)))).count(200)
    server.go_on()
    await _back(workers)
    assert await _used(workers[0], Quota(rpm=1000), key.id) == [admitted]


@pytest.mark.parametrize(("away", "status"), [("open", 200), ("closed", 503), ("share", 200)])
async def test_each_limit_says_what_holds(
    workers: list[Served], server: Server, away: Away, status: int
) -> None:
    headers = await _issue(workers[0], quota={"rpm": 1000, "concurrency": 10, "away": away})
    assert await _ask(workers[0], headers) == 200
    server.kill()
    assert [await _ask(workers[0], headers) for _ in range(5)] == [status] * 5


async def test_a_worker_that_never_knew_the_others_refuses(
    server: Server, backend: Backend, tmp_path: Path
) -> None:
    backend.reply = lambda call: call.result("Hi")
    server.kill()
    settings = {
        "data_dir": tmp_path,
        "backends": {"b": backend_settings(backend.url)},
        "limits": {"rpm": 100},
    }
    async with serving_gateway(settings, State(server.url, b"a pepper of the tests")) as served:
        answer = await served.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "1"
        server.start()
        await _back([served])
        assert (await served.chat()).status_code == 200


async def test_known_keys_work_on_and_unknown_ones_cannot_be_told(
    workers: list[Served], server: Server
) -> None:
    known, unknown = await _issue(workers[0]), await _issue(workers[0])
    assert await _ask(workers[0], known) == 200
    server.kill()
    assert await _ask(workers[0], known) == 200
    assert await _ask(workers[0], unknown) == 503
    assert await _ask(workers[0], {"authorization": "Bearer sk-ps-garbage"}) == 401
    assert (await workers[0].chat()).status_code == 200  # the operator's own needs no store
    server.start()
    await _back(workers)


async def test_known_keys_end_where_the_settings_say(
    server: Server, backend: Backend, tmp_path: Path
) -> None:
    backend.reply = lambda call: call.result("Hi")
    settings = {
        "data_dir": tmp_path,
        "backends": {"b": backend_settings(backend.url)},
        "keys": {"stale": 0},
    }
    async with serving_gateway(settings, State(server.url, b"a pepper of the tests")) as served:
        headers = await _issue(served)
        assert await _ask(served, headers) == 200
        server.kill()
        assert [await _ask(served, headers) for _ in range(5)] == [503] * 5


async def test_streams_hold_their_place_over_an_outage(
    workers: list[Served], server: Server, backend: Backend
) -> None:
    held: list[Call] = []
    backend.reply = held.append
    headers = await _issue(workers[0], quota={"concurrency": 4})

    async def start(served: Served) -> "asyncio.Task[int]":
        count = len(held)
        task = asyncio.create_task(_ask(served, headers, stream=True))
        async with asyncio.timeout(PATIENCE):
            while len(held) == count:  # noqa: ASYNC110 - turns, not time
                await asyncio.sleep(0.002)
        return task

    tasks = [await start(workers[0]), await start(workers[1])]
    server.pause()
    tasks.append(await start(workers[0]))  # its second of two
    assert await _ask(workers[0], headers) == 429
    server.go_on()
    await _back(workers)
    tasks.append(await start(workers[1]))
    assert await _ask(workers[0], headers) == 429
    assert await _ask(workers[1], headers) == 429
    for call in held:
        call.stream("Hi")
    assert [await task for task in tasks] == [200] * 4
    backend.reply = lambda call: call.result("Hi")
    async with asyncio.timeout(PATIENCE):
        while await _ask(workers[1], headers) != 200:  # noqa: ASYNC110 - settled a moment later
            await asyncio.sleep(0.01)


async def test_the_store_shows_in_readiness_and_in_the_metrics(workers: list[Served], server: Server) -> None:
    served = workers[0]
    headers = await _issue(served, quota={"rpm": 1})
    ready = await served.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "store": "up"})
    assert [await _ask(served, headers) for _ in range(2)] == [200, 429]
    assert await served.metric("penstock_limit_refusals_total", subject="key", unit="requests") == 1
    assert served.gateway.ticker.woke is not None
    served.gateway.ticker.woke(0)
    assert await served.metric("penstock_store_up") == 1
    other = await _issue(served)
    assert await _ask(served, other) == 200
    server.kill()
    assert [await _ask(served, other) for _ in range(5)] == [200] * 5
    served.gateway.ticker.woke(0)
    assert await served.metric("penstock_store_up") == 0
    assert await served.metric("penstock_store_failures_total") >= 1
    assert await served.metric("penstock_admitted_without_store_total") == 5
    ready = await served.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "store": "away"})


async def test_a_store_that_would_forget_is_not_ready(tmp_path: Path, backend: Backend) -> None:
    with serving(valkey(), "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as forgetful:
        settings = {"data_dir": tmp_path, "backends": {"b": backend_settings(backend.url)}}
        async with serving_gateway(settings, State(forgetful.url, b"a pepper of the tests")) as served:
            ready = await served.client.get("/readyz")
            assert ready.status_code == 503
            assert "noeviction" in ready.json()["store"][0]
