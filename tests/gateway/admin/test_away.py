"""While the store is away every operation says so in words, at once, and changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.admin.document import document
from gateway.app import State
from tests.gateway.scripted import PATIENCE, Backend
from tests.gateway.served import Served, backend_settings, serving_gateway
from tests.store.servers import Server, serving, valkey

OPERATIONS = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]


@pytest.fixture
def server() -> Iterator[Server]:
    """A store of the test's own, to be stopped."""
    with serving(valkey()) as server:
        yield server


@pytest.fixture
async def lonely(server: Server, backend: Backend, tmp_path: Path) -> AsyncIterator[Served]:
    """A gateway whose store is gone."""
    settings = {
        "data_dir": tmp_path,
        "backends": {"b": backend_settings(backend.url)},
        "limits": {"rpm": 5},
        "store": {"timeout": 0.2},
    }
    async with serving_gateway(settings, State(server.url, b"a pepper of the tests")) as served:
        assert (await served.client.get("/admin/v1/limits")).status_code == 200
        server.kill()
        yield served


async def test_every_operation_says_so(lonely: Served) -> None:
    for method, path in OPERATIONS:
        place = path.format(key_id="key_0", team_id="team_0")
        body: Any = None
        if method == "POST" and place.rpartition("/")[2] in {"keys", "teams"}:
            body = {"name": "ci"}
        elif place.endswith("/import"):
            body = {"name": "ci", "sha256": "0" * 64}
        elif place.endswith("/verify"):
            body = {"key": "sk-made-elsewhere-0123"}
        async with asyncio.timeout(PATIENCE):
            answer = await lonely.client.request(method, place, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "store_unavailable"), (method, path, error)
        assert "does not answer" in error["message"]
        assert answer.headers["retry-after"] == "1"


async def test_mistakes_are_told_before_the_store_is_asked(lonely: Served) -> None:
    refused = await lonely.client.post("/admin/v1/keys", json={"nmae": "ci"})
    assert refused.status_code == 400
