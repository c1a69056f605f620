"""Fixtures of real servers, and of a `Store` on each kind of them."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gateway.store import Store
from tests.store.servers import Program, Server, cluster, redis, serving, valkey
from tests.tools import UnavailableError

__all__ = [
    "any_server", "any_store", "shared_cluster", "shared_redis", "shared_valkey", "store", "store_url",
    "valkey_server",
]  # fmt: skip

PATIENT = 5.0  # seconds; tests that are not about time must not fail on a busy machine


def had(find: Callable[[], Program]) -> Program:
    """A program; where there is none the test is skipped."""
    try:
        return find()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Server]:
    with serving(had(valkey)) as server:
        yield server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Server]:
    with serving(had(redis)) as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[list[Server]]:
    with cluster(had(valkey)) as servers:
        yield servers


@pytest.fixture
def valkey_server(shared_valkey: Server) -> Server:
    """An empty Valkey, which all tests share: leave it running."""
    shared_valkey.ask("FLUSHALL")
    return shared_valkey


@pytest.fixture
def store_url(valkey_server: Server) -> str:
    """The address of an empty Valkey."""
    return valkey_server.url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A `Store` on an empty Valkey."""
    async for each in _started(store_url):
        yield each


@pytest.fixture(params=["valkey", "redis", "cluster"])
def any_server(request: pytest.FixtureRequest) -> list[Server]:
    """The empty servers of a store, of each kind in turn: leave them running."""
    shared: Server | list[Server] = request.getfixturevalue(f"shared_{request.param}")
    servers = shared if isinstance(shared, list) else [shared]
    for server in servers:
        server.ask("FLUSHALL")
    return servers


@pytest.fixture
async def any_store(any_server: list[Server]) -> AsyncIterator[Store]:
    """A `Store` on each kind of server in turn; a cluster is known by one of its nodes."""
    async for each in _started(any_server[-1].url):
        yield each


async def _started(url: str) -> AsyncIterator[Store]:
    store = Store(url, PATIENT)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()
