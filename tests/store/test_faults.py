"""A store that fails in any way costs a bounded wait once, and is used again soon after it works again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic, sleep

import pytest
import uvloop

from gateway.store import TAG, Reason, Script, Store, StoreAwayError
from gateway.store.clock import Clock
from tests.store.fixtures import had
from tests.store.proxies import delayed, silent, unconnectable
from tests.store.servers import (
    Program,
    cluster,
    cluster_replica,
    owner_of,
    redis,
    sentinels,
    serving,
    serving_tcp,
    valkey,
)

PROBE = Script("probe")
JOIN = Script("join")
KEY = f"{TAG}:probe"
WORKERS = f"{TAG}:workers"
TIMEOUT = 0.1
PATIENT = 5.0
MARGIN = 0.15  # seconds; the machines that tests run on are busy
BACK = 20.0


@asynccontextmanager
async def started(url: str, within: float = TIMEOUT) -> AsyncIterator[Store]:
    store = Store(url, within)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture(params=[valkey, redis])
def program(request: pytest.FixtureRequest) -> Program:
    return had(request.param)


async def ask(store: Store) -> Reason | None:
    """Why a call failed; None where it did not. It never takes longer than it may."""
    began = monotonic()
    reason: Reason | None = None
    try:
        await store.run(PROBE, [KEY])
    except StoreAwayError as error:
        reason = error.reason
    assert monotonic() - began < TIMEOUT + MARGIN
    return reason


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    end = monotonic() + BACK
    while not await holds():
        assert monotonic() < end
        await asyncio.sleep(0.02)


async def is_used_again(store: Store) -> None:
    async def works() -> bool:
        return await ask(store) is None

    await until(works)


async def goes_away(store: Store) -> Reason:
    """Ask until asking is in vain; why it is."""
    reasons = []

    async def is_away() -> bool:
        reasons.append(await ask(store))
        return store.is_away

    await until(is_away)
    reason = next(reason for reason in reversed(reasons) if reason not in {None, "away"})
    assert reason is not None
    return reason


async def test_a_store_that_is_20_ms_away_is_used() -> None:
    with serving(valkey()) as server:
        async with delayed(server, 0.01) as delay, started(delay.url) as store:
            assert [await ask(store) for _ in range(5)] == [None] * 5


async def test_a_store_that_gets_slow_is_away_until_it_is_quick_again() -> None:
    with serving(valkey()) as server:
        async with delayed(server, 0.0) as delay, started(delay.url) as store:
            assert await ask(store) is None
            delay.seconds = 0.2
            assert await goes_away(store) == "timeout"
            delay.seconds = 0.0
            await is_used_again(store)


@pytest.mark.parametrize(
    "words", [("CLIENT", "PAUSE", "500", "ALL"), ("DEBUG", "SLEEP", "0.5")], ids=["pause", "sleep"]
)
async def test_a_store_that_pauses_is_away_meanwhile(words: tuple[str, ...]) -> None:
    with serving(valkey()) as server:
        async with started(server.url) as store:
            pausing = asyncio.create_task(asyncio.to_thread(server.ask, *words))
            assert await goes_away(store) == "timeout"
            await pausing
            await is_used_again(store)


async def test_each_outage_is_told_once_at_its_start_and_once_at_its_end() -> None:
    with serving(valkey()) as server:
        async with started(server.url) as store:
            told: list[str] = []
            store.when_away(lambda: told.append("away"))
            store.when_back(lambda: told.append("back"))
            for _ in range(2):
                server.pause()
                await asyncio.gather(*(ask(store) for _ in range(10)))
                server.go_on()
                await is_used_again(store)
            assert told == ["away", "back"] * 2


async def test_a_crowd_waits_no_longer_than_one() -> None:
    with serving(valkey()) as server:
        async with started(server.url) as store:
            server.pause()
            began = monotonic()
            reasons = await asyncio.gather(*(ask(store) for _ in range(300)))
            assert monotonic() - began < TIMEOUT + 2 * MARGIN
            assert None not in reasons
            server.go_on()
            await is_used_again(store)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_was_held_up_is_no_outage(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def hold_up(store: Store) -> None:
        for _ in range(10):
            call = asyncio.create_task(store.run(PROBE, [KEY]))
            for _ in range(3):
                await asyncio.sleep(0)
            sleep(2 * TIMEOUT)  # noqa: ASYNC251 - this is what holds the loop up
            await call

    async def main(url: str) -> None:
        async with started(url) as store:
            await hold_up(store)
            assert store.failures == {}

    with serving(valkey()) as server, asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(server.url))


async def test_connecting_that_takes_for_ever_holds_nobody_up() -> None:
    with unconnectable() as url:
        async with started(url) as store:
            assert store.is_away
            assert await ask(store) == "away"


async def test_a_call_that_must_connect_waits_no_longer_either() -> None:
    with serving_tcp(valkey()) as server:
        async with started(server.url) as store:
            server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            server.pause()
            assert await goes_away(store) in {"timeout", "refused"}
            server.go_on()
            await is_used_again(store)


async def test_one_probe_at_a_time_is_sent_to_a_silent_server() -> None:
    async with silent() as silence, started(silence.url) as store:
        before = silence.commands
        end = monotonic() + 1.5
        while monotonic() < end:
            await asyncio.gather(*(ask(store) for _ in range(50)))
            await asyncio.sleep(0.01)
        assert 0 < silence.commands - before < 15


async def test_a_master_that_becomes_a_replica_is_named_and_used_again_when_it_is_none(
    program: Program,
) -> None:
    with serving_tcp(program) as server, serving_tcp(program) as master:
        async with started(server.url) as store:
            server.ask("REPLICAOF", "127.0.0.1", master.port)
            assert await goes_away(store) == "read_only"
            assert "cannot be written to" in (await store.flaws())[0]
            server.ask("REPLICAOF", "NO", "ONE")
            await is_used_again(store)


async def test_one_connection_that_breaks_is_no_outage() -> None:
    with serving(valkey()) as server:
        async with started(server.url) as store:
            server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await ask(store)
            assert not store.is_away
            assert await ask(store) is None


async def test_who_finds_all_connections_taken_is_told_soon_and_it_is_no_outage() -> None:
    with serving(valkey()) as server:
        async with started(server.url, PATIENT) as store:
            server.pause()
            calls = [asyncio.create_task(store.run(PROBE, [KEY])) for _ in range(16)]
            await asyncio.sleep(0)
            assert await ask(store) == "pool"
            assert not store.is_away
            server.go_on()
            await asyncio.gather(*calls)


async def test_a_call_whose_caller_left_leaves_no_answer_for_the_next() -> None:
    with serving(valkey()) as server:
        async with started(server.url, PATIENT) as store:
            for number in range(50):
                leaving = asyncio.create_task(store.run(JOIN, [f"{TAG}:a"], [f"w{number}", 60_000]))
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                leaving.cancel()
                _now, count = await store.run(JOIN, [f"{TAG}:b{number}"], ["w", 60_000])
                assert count == 1


async def test_calls_back_out_of_a_full_server_and_return_when_it_has_room(program: Program) -> None:
    with serving(program) as server:
        async with started(server.url) as store:
            server.ask("CONFIG", "SET", "maxmemory", "1")
            assert await goes_away(store) == "full"
            assert "more memory" in (await store.flaws())[0]
            server.ask("CONFIG", "SET", "maxmemory", "0")
            await is_used_again(store)


async def test_scripts_that_are_forgotten_in_mid_run_fail_nobody(program: Program) -> None:
    with serving(program) as server:
        async with started(server.url, PATIENT) as store:
            for _ in range(20):
                server.ask("SCRIPT", "FLUSH")
                await asyncio.gather(*(store.run(PROBE, [KEY]) for _ in range(8)))
            assert store.failures == {}


async def test_foreign_data_under_our_keys_is_named_and_no_outage(program: Program) -> None:
    with serving(program) as server:
        async with started(server.url, PATIENT) as store:
            server.ask("SET", WORKERS, "foreign")
            for _ in range(5):
                with pytest.raises(StoreAwayError, match="wrong_type"):
                    await store.run(JOIN, [WORKERS], ["w", 1000])
            assert not store.is_away
            server.ask("FLUSHALL")
            assert (await store.run(JOIN, [WORKERS], ["w", 1000]))[1] == 1


async def test_a_wrong_password_is_named(program: Program) -> None:
    with serving_tcp(program) as server:
        server.ask("CONFIG", "SET", "requirepass", "right")
        for password in ("", ":wrong@"):
            async with started(server.url.replace("://", f"://{password}")) as store:
                assert store.is_away
                assert "password" in (await store.flaws())[0]
        async with started(server.url.replace("://", "://:right@")) as store:
            assert await store.flaws() == []


async def test_a_server_that_takes_nobody_from_elsewhere_is_named() -> None:
    async def deny(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-DENIED Redis is running in protected mode because no password is set\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(deny, "127.0.0.1", 0) as protected:
        port = protected.sockets[0].getsockname()[1]
        async with started(f"redis://127.0.0.1:{port}") as store:
            assert store.is_away
            assert "password" in (await store.flaws())[0]


async def test_a_user_that_may_not_do_all_is_named(program: Program) -> None:
    with serving_tcp(program) as server:
        server.ask("ACL", "SETUSER", "few", "on", ">p", "~*", "+evalsha", "+eval", "+set", "+time")
        async with started(server.url.replace("://", "://few:p@")) as store:
            assert store.is_away
            assert "INFO" in (await store.flaws())[0]


async def test_a_clock_that_jumps_ahead_fails_nobody() -> None:
    with serving(valkey()) as server:
        async with started(server.url, PATIENT) as store:
            clock = Clock()
            there = store.now()
            assert there is not None
            clock.heard(there - 3_600_000, monotonic(), monotonic())
            store._where.lines(TAG).clock = clock
            now = (await store.run(PROBE, [KEY]))[0]
            assert abs(now - there) < 10_000
            assert store.failures == {}


async def test_a_clock_that_is_set_back_is_believed_at_once() -> None:
    with serving(valkey()) as server:
        async with started(server.url, PATIENT) as store:
            clock = Clock()
            there = store.now()
            assert there is not None
            clock.heard(there + 3_600_000, monotonic(), monotonic())
            store._where.lines(TAG).clock = clock
            await store.run(PROBE, [KEY])
            known = store.now()
            assert known is not None
            assert abs(known - there) < 10_000


async def test_the_master_that_sentinels_choose_is_used() -> None:
    with (
        serving_tcp(valkey()) as master,
        serving_tcp(valkey(), "--replicaof", f"127.0.0.1 {master.port}") as replica,
        sentinels(valkey(), master) as watching,
    ):
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in watching)
        async with started(f"redis+sentinel://{hosts}/main") as store:
            assert await ask(store) is None
            watching[0].kill()  # one that does not answer need not be asked
            master.pause()
            assert await goes_away(store) == "timeout"
            await is_used_again(store)
            assert replica.ask("EXISTS", KEY) == 1
            master.go_on()
            await is_used_again(store)
            assert (await store.run(PROBE, [KEY]))[0] <= int(replica.ask("GET", KEY))


async def test_a_name_that_sentinels_do_not_know_is_an_outage() -> None:
    with (
        serving_tcp(valkey()) as master,
        serving_tcp(valkey(), "--replicaof", f"127.0.0.1 {master.port}"),
        sentinels(valkey(), master, 1) as watching,
    ):
        async with started(f"redis+sentinel://127.0.0.1:{watching[0].port}/other") as store:
            assert store.is_away


async def test_slots_that_move_to_another_node_are_followed() -> None:
    with cluster(valkey()) as nodes:
        async with started(nodes[0].url, PATIENT) as store:
            slot = nodes[0].ask("CLUSTER", "KEYSLOT", TAG)
            source = owner_of(TAG, nodes)
            target = next(each for each in nodes if each is not source)
            ids = {each.port: each.ask("CLUSTER", "MYID") for each in nodes}
            await store.run(JOIN, [WORKERS], ["w", 60_000])
            target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
            source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
            # A key that is not there any more is asked for at the other node (ASK).
            assert (await store.run(JOIN, [f"{TAG}:moving"], ["w", 60_000]))[1] == 1
            assert await store.command("ZCARD", f"{TAG}:moving") == 1
            keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            for each in (target, source, *nodes):
                each.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
            assert (await store.run(JOIN, [WORKERS], ["v", 60_000]))[1] == 2
            assert await store.command("ZCARD", WORKERS) == 2
            assert store.failures == {}


async def test_the_replica_of_a_cluster_s_node_that_hangs_is_used() -> None:
    with cluster(valkey()) as nodes, cluster_replica(valkey(), owner_of(TAG, nodes)) as replica:
        owner = owner_of(TAG, nodes)
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in nodes)
        async with started(f"redis+cluster://{hosts}") as store:
            assert await ask(store) is None
            owner.pause()
            assert await goes_away(store) == "timeout"
            await is_used_again(store)
            assert replica.ask("EXISTS", KEY) == 1
            owner.go_on()
