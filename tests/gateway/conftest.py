"""A gateway between a client and backends that the test plays."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.app import State
from gateway.store import Store
from tests.gateway.scripted import Backend, serving_backend
from tests.gateway.served import Served, backend_settings, route, serving_gateway
from tests.store.fixtures import *  # noqa: F403 - pytest looks for fixtures by their names here
from tests.store.fixtures import PATIENT

Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with serving_backend() as backend:
        yield backend


@pytest.fixture
async def second() -> AsyncIterator[Backend]:
    async with serving_backend() as backend:
        yield backend


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Serves a gateway with settings of the test's own until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Served:
            return await stack.enter_async_context(serving_gateway({"data_dir": tmp_path, **settings}))

        yield start


@pytest.fixture
async def served(serve: Serve, backend: Backend) -> Served:
    """A gateway before `backend`."""
    return await serve(backends={"cloudflare": backend_settings(backend.url)})


@pytest.fixture
async def two(serve: Serve, backend: Backend, second: Backend) -> Served:
    """A gateway whose model `small` has two targets, `backend` and `second`."""
    return await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": route("first", "second")},
    )


@pytest.fixture
def access_lines(capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[[], list[dict[str, Any]]]:
    """Gives the access lines written since it was last asked, decoded."""
    return lambda: [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """No test may leave an error in the server's log, unless it takes it out with `clear`."""
    yield caplog
    errors = [each for each in caplog.get_records("call") if each.levelno >= logging.ERROR]
    assert not errors, [each.getMessage() for each in errors]


@pytest.fixture
async def serve_stored(tmp_path: Path, store: Store, store_url: str) -> AsyncIterator[Serve]:
    """Serves gateways that share a store, empty at first; the test's own `store` gives them its clock."""
    state = State(store_url, b"a pepper of the tests")
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Served:
            served = await stack.enter_async_context(
                serving_gateway({"data_dir": tmp_path, "store": {"timeout": PATIENT}, **settings}, state)
            )
            assert isinstance(served.gateway.store, Store)
            served.gateway.store.clock_offset = store.clock_offset
            return served

        yield start
