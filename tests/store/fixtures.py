"""Fixtures of real servers, and of a `Store` on each kind of them."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gateway.store import Store
from tests.store.servers import Program, Server, cluster, redis_program, running, valkey_program
from tests.tools import UnavailableError

__all__ = ["redis", "redis_binary", "store", "store_url", "valkey", "valkey_binary", "valkey_cluster"]

PATIENT = 5.0  # seconds; tests that are not about time must not fail on a busy machine


def _had(find: Callable[[], Program]) -> Program:
    try:
        return find()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def valkey_binary() -> Program:
    return _had(valkey_program)


@pytest.fixture(scope="session")
def redis_binary() -> Program:
    return _had(redis_program)


@pytest.fixture(scope="session")
def _shared_valkey(valkey_binary: Program) -> Iterator[Server]:
    with running(valkey_binary) as server:
        yield server


@pytest.fixture(scope="session")
def _shared_redis(redis_binary: Program) -> Iterator[Server]:
    with running(redis_binary) as server:
        yield server


@pytest.fixture(scope="session")
def _shared_cluster(valkey_binary: Program) -> Iterator[list[Server]]:
    with cluster(valkey_binary) as servers:
        yield servers


@pytest.fixture
def valkey(_shared_valkey: Server) -> Server:
    """An empty Valkey, which all tests share: leave it running."""
    _shared_valkey.ask("FLUSHALL")
    return _shared_valkey


@pytest.fixture
def redis(_shared_redis: Server) -> Server:
    """An empty Redis, which all tests share: leave it running."""
    _shared_redis.ask("FLUSHALL")
    return _shared_redis


@pytest.fixture
def valkey_cluster(_shared_cluster: list[Server]) -> list[Server]:
    """An empty cluster of three, which all tests share: leave it running."""
    for server in _shared_cluster:
        server.ask("FLUSHALL")
    return _shared_cluster


@pytest.fixture(params=["valkey", "redis", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty store, of each kind in turn."""
    if request.param == "cluster":
        servers: list[Server] = request.getfixturevalue("valkey_cluster")
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
    server: Server = request.getfixturevalue(request.param)
    return server.url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A started `Store` on each kind of server in turn."""
    started = Store(store_url, PATIENT)
    await started.start()
    try:
        yield started
    finally:
        await started.stop()
