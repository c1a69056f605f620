"""A gateway with a store, and its admin API as the holders of several keys see it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.keys import Actor
from tests.gateway.conftest import *  # noqa: F403 - pytest looks for fixtures by their names here
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import Served, backend_settings, route

Json = dict[str, Any]
Asks = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def stored(serve_stored: Serve, backend: Backend) -> Served:
    """A gateway with a store, empty at first."""
    return await serve_stored(
        backends={"b": backend_settings(backend.url)},
        models={"small": route("b", limits={"rpd": 1000}), "other": route("b")},
        limits={"rpm": 5000},
    )


@pytest.fixture
def ask(stored: Served) -> Asks:
    """Asks the admin API with the master key, or with another."""

    async def asks(method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return await stored.client.request(method, f"/admin/v1{path}", json=body, headers=headers)

    return asks


@pytest.fixture
async def issue(stored: Served) -> Callable[..., Awaitable[tuple[str, str]]]:
    """Makes keys; gives their id and secret."""

    async def make(**fields: Any) -> tuple[str, str]:
        register = stored.gateway.keys.register
        assert register is not None
        key, secret = await register.create_key({"name": "ci", **fields}, Actor("master"))
        return key.id, secret

    return make
