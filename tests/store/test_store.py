"""The store answers in time or not at all, on every kind of server, whatever becomes of that."""

import asyncio
from time import monotonic
from typing import Any

import hiredis
import hypothesis.strategies as st
import pytest
from hypothesis import given

from gateway.store import NoStore, Script, Store, StoreAwayError
from gateway.store.lines import packed, packed_call
from tests.store.servers import Server, serving, serving_tcp, valkey

JOIN = Script("join")
WORKERS = ["{ps}:workers"]
TIMEOUT = 0.1
MARGIN = 0.15  # seconds; the machines that tests run on are busy
BACK = 5.0


async def _join(store: Store, worker: str = "w", lasting: int = 6000) -> Any:
    return (await store.run(JOIN, WORKERS, [worker, lasting]))[1]


async def _is_back(store: Store) -> None:
    back = asyncio.Event()
    store.when_back(back.set)
    if store.is_away:
        async with asyncio.timeout(BACK):
            await back.wait()


async def _refusal(store: Store) -> tuple[str, float]:
    began = monotonic()
    with pytest.raises(StoreAwayError) as caught:
        await _join(store)
    return caught.value.reason, monotonic() - began


@pytest.fixture
async def hasty(valkey_server: Server) -> Any:
    """A store that waits as long as it would for a request."""
    store = Store(valkey_server.url, TIMEOUT)
    await store.start()
    yield store
    valkey_server.go_on()
    await store.stop()


async def test_scripts_run_on_every_kind_of_store(any_store: Store) -> None:
    assert [await _join(any_store, name) for name in ("a", "b", "a")] == [1, 2, 2]
    assert await any_store.flaws() == []
    assert await any_store.command("ZCARD", WORKERS[0]) == 2


async def test_a_store_that_has_forgotten_the_scripts_is_told_them_again(
    any_store: Store, any_server: list[Server]
) -> None:
    await _join(any_store)
    for server in any_server:
        with server.client() as client:
            client.script_flush()
    assert await _join(any_store, "other") == 2


async def test_time_is_moved_by_the_clock_offset(store: Store) -> None:
    assert await _join(store, "a") == 1
    store.clock_offset = 7_000
    assert await _join(store, "b") == 1
    before = store.now()
    assert before is not None


async def test_the_store_s_time_is_known_and_never_ahead(store: Store) -> None:
    for _ in range(20):
        known = store.now()
        assert known is not None
        there = (await store.run(Script("probe"), ["{ps}:probe"]))[0]
        assert known <= there + 1
        assert there - known < 1000


async def test_a_store_that_hangs_costs_one_wait_and_is_asked_again_when_it_goes_on(
    hasty: Store, valkey_server: Server
) -> None:
    await _join(hasty)
    valkey_server.pause()
    reason, seconds = await _refusal(hasty)
    assert reason == "timeout"
    assert seconds < TIMEOUT + MARGIN
    reason, seconds = await _refusal(hasty)
    assert reason == "away"
    assert seconds < 0.05
    valkey_server.go_on()
    await _is_back(hasty)
    assert await _join(hasty) == 1


async def test_what_a_hanging_store_had_received_changes_nothing_when_it_goes_on(
    hasty: Store, valkey_server: Server
) -> None:
    await hasty.command("DEL", WORKERS[0])
    valkey_server.pause()
    with pytest.raises(StoreAwayError):
        await _join(hasty, "phantom", 10**9)
    valkey_server.go_on()
    await _is_back(hasty)
    assert await hasty.command("ZRANGE", WORKERS[0], 0, -1) == []


async def test_a_store_that_dies_and_returns_is_used_again() -> None:
    with serving(valkey()) as server:
        store = Store(server.url, TIMEOUT)
        await store.start()
        await _join(store)
        server.kill()
        _reason, seconds = await _refusal(store)
        assert seconds < TIMEOUT + MARGIN
        server.start()
        await _is_back(store)
        assert await _join(store) == 1
        await store.stop()


async def test_a_store_that_is_not_there_at_the_start_is_found_later() -> None:
    with serving(valkey()) as server:
        server.kill()
        store = Store(server.url, TIMEOUT)
        began = monotonic()
        await store.start()
        assert monotonic() - began < 1
        assert store.is_away
        assert (await _refusal(store))[0] == "away"
        assert "look at redis_url" in (await store.flaws())[0]
        server.start()
        await _is_back(store)
        assert await _join(store) == 1
        await store.stop()


async def test_an_address_that_swallows_everything_costs_no_more_than_the_wait() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as hole:
        port = hole.sockets[0].getsockname()[1]
        store = Store(f"redis://127.0.0.1:{port}", TIMEOUT)
        began = monotonic()
        await store.start()
        assert monotonic() - began < 3
        assert (await _refusal(store))[0] == "away"
        await store.stop()


async def test_a_full_store_is_away() -> None:
    with serving(valkey(), "--maxmemory", "100mb") as server:
        store = Store(server.url, TIMEOUT)
        await store.start()
        await _join(store)
        with server.client() as client:
            client.config_set("maxmemory", "1")
            with pytest.raises(StoreAwayError) as caught:
                await store.run(Script("probe"), ["{ps}:probe"])
            assert caught.value.reason == "full"
            client.config_set("maxmemory", "0")
        await _is_back(store)
        assert await _join(store) == 1
        await store.stop()


async def test_a_replica_is_away_until_it_is_a_master() -> None:
    with serving_tcp(valkey()) as master, serving_tcp(valkey()) as other:
        store = Store(other.url, TIMEOUT)
        await store.start()
        await _join(store)
        with other.client() as client:
            host, _, port = master.url.removeprefix("redis://").rpartition(":")
            client.execute_command("REPLICAOF", host, port)
            assert (await _refusal(store))[0] in {"read_only", "loading"}
            client.execute_command("REPLICAOF", "NO", "ONE")
        await _is_back(store)
        assert isinstance(await _join(store), int)
        await store.stop()


async def test_connections_that_the_store_closes_are_made_anew(hasty: Store, valkey_server: Server) -> None:
    await _join(hasty)
    with valkey_server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    for _ in range(2):
        try:
            await _join(hasty)
        except StoreAwayError:
            await _is_back(hasty)
    assert await _join(hasty) == 1


async def test_a_call_that_is_given_up_mixes_up_no_answers(hasty: Store) -> None:
    for number in range(60):
        task = asyncio.create_task(hasty.command("ECHO", f"lost-{number}"))
        for _ in range(number % 6):
            await asyncio.sleep(0)
        task.cancel()
        answers = await asyncio.gather(*(hasty.command("ECHO", f"{number}-{each}") for each in range(4)))
        assert answers == [f"{number}-{each}".encode() for each in range(4)]


async def test_a_script_that_fails_is_no_outage(store: Store) -> None:
    await store.command("SET", WORKERS[0], "no sorted set")
    assert (await _refusal(store))[0] == "wrong_type"
    assert not store.is_away


async def test_announcements_are_heard_also_after_the_store_was_away() -> None:
    with serving(valkey()) as server:
        store = Store(server.url, TIMEOUT)
        await store.start()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        store.listen("news", heard.put_nowait)

        async def announced() -> bytes:
            with server.client() as client:
                async with asyncio.timeout(BACK):
                    while not client.publish("news", "hear"):  # noqa: ASYNC110 - nobody tells when one listens
                        await asyncio.sleep(0.01)
                    return await heard.get()

        assert await announced() == b"hear"
        server.kill()
        server.start()
        assert await announced() == b"hear"
        await store.stop()


async def test_what_one_announces_is_heard_on_every_kind_of_store(any_store: Store) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    any_store.listen("news", heard.put_nowait)
    async with asyncio.timeout(BACK):
        while heard.empty():
            await any_store.command("PUBLISH", "news", "hear")
            await asyncio.sleep(0.01)
    assert await heard.get() == b"hear"


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "noeviction"), ((), "")],
)
async def test_a_store_that_would_forget_is_told_of(options: tuple[str, ...], words: str) -> None:
    with serving(valkey(), *options) as server:
        store = Store(server.url, TIMEOUT)
        await store.start()
        flaws = await store.flaws()
        assert bool(flaws) == bool(words)
        assert all(words in flaw for flaw in flaws)
        await store.stop()


async def test_without_a_store_all_is_refused() -> None:
    store = NoStore()
    assert store.is_away
    with pytest.raises(StoreAwayError):
        await store.run(JOIN, WORKERS, [])


@given(st.lists(st.one_of(st.binary(), st.text(), st.integers()), min_size=1))
def test_a_command_is_packed_so_that_the_server_reads_the_same_words(words: list[bytes | str | int]) -> None:
    reader = hiredis.Reader()
    reader.feed(packed(*words))
    assert reader.gets() == [word if isinstance(word, bytes) else str(word).encode() for word in words]
    assert not reader.has_data()


@given(st.lists(st.text()), st.lists(st.one_of(st.binary(), st.text(), st.integers())))
def test_a_call_is_packed_as_its_words_are(keys: list[str], args: list[bytes | str | int]) -> None:
    expected = packed("EVALSHA", "5ca1ab1e", len(keys), *keys, *args)
    assert packed_call(("EVALSHA", "5ca1ab1e"), keys, args) == expected
