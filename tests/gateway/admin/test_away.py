"""While the store is away every operation says so in words, at once, and changes nothing.

What a worker sees by itself it tells all the same.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.admin.document import document
from gateway.app import State
from gateway.keys import Actor
from tests.gateway.scripted import PATIENCE, Backend
from tests.gateway.served import MODEL, Served, backend_settings, serving_gateway
from tests.store.servers import Server, serving, valkey

ROOT = Actor("master")

OWN_VIEWS = {("GET", "/admin/v1/backends"), ("POST", "/admin/v1/routes/explain")}
OPERATIONS = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]


@pytest.fixture
def server() -> Iterator[Server]:
    """A store of the test's own, to be stopped."""
    with serving(valkey()) as server:
        yield server


@pytest.fixture
async def lonely(server: Server, backend: Backend, tmp_path: Path) -> AsyncIterator[Served]:
    """A gateway whose store is gone."""
    async with serving_gateway(_settings(backend, tmp_path), _state(server)) as served:
        assert (await served.client.get("/admin/v1/limits")).status_code == 200
        server.kill()
        yield served


def _settings(backend: Backend, data_dir: Path) -> dict[str, Any]:
    target = {"backend": "b", "model": MODEL, "limits": {"rpm": 9}}
    return {
        "data_dir": data_dir,
        "backends": {"b": backend_settings(backend.url)},
        "models": {"small": {"targets": [target]}},
        "limits": {"rpm": 5},
        "store": {"timeout": 0.2},
    }


def _state(server: Server) -> State:
    return State(server.url, b"a pepper of the tests")


async def test_every_operation_says_so(lonely: Served) -> None:
    for method, path in sorted({*OPERATIONS} - OWN_VIEWS):
        place = path.format(key_id="key_0", team_id="team_0", backend="b")
        body: Any = None
        if method == "POST" and place.rpartition("/")[2] in {"keys", "teams"}:
            body = {"name": "ci"}
        elif place.endswith("/import"):
            body = {"name": "ci", "sha256": "0" * 64}
        elif place.endswith("/aside") and method == "POST":
            body = {"seconds": 1}
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


async def test_what_a_worker_sees_by_itself_it_tells_to_whom_it_knows(
    server: Server, backend: Backend, tmp_path: Path
) -> None:
    async with serving_gateway(_settings(backend, tmp_path), _state(server)) as served:
        register = served.gateway.keys.register
        assert register is not None
        asking, reading, unknown = [
            {"authorization": f"Bearer {(await register.create_key({'name': 'k', 'role': role}, ROOT))[1]}"}
            for role in ("inference", "read_only", "read_only")
        ]
        for headers in ({}, reading, asking):
            assert (await served.client.get("/v1/key", headers=headers)).status_code == 200
        drained = await served.client.post("/admin/v1/backends/b/drain", json={"why": "repair"})
        assert drained.status_code == 200
        server.kill()
        for headers in ({}, reading):
            async with asyncio.timeout(PATIENCE):
                backends = await served.client.get("/admin/v1/backends", headers=headers)
                explained = await served.client.post(
                    "/admin/v1/routes/explain", json={"model": "small"}, headers=headers
                )
            assert (backends.status_code, explained.status_code) == (200, 200)
            assert (backends.json()["unread"], explained.json()["unread"]) == (
                ["asides"],
                ["asides", "limits"],
            )
            assert backends.json()["data"][0]["drained"] == {"why": "repair"}
            [target] = explained.json()["targets"]
            assert (target["obstacle"]["why"], target["usage"]) == ("drained", [])
        for headers, status in ((asking, 403), (unknown, 503)):
            assert (await served.client.get("/admin/v1/backends", headers=headers)).status_code == status
        changed = await served.client.post("/admin/v1/backends/b/undrain")
        assert (changed.status_code, changed.json()["error"]["code"]) == (503, "store_unavailable")


async def test_where_the_store_answers_nothing_is_unread(
    server: Server, backend: Backend, tmp_path: Path
) -> None:
    async with serving_gateway(_settings(backend, tmp_path), _state(server)) as served:
        backends = await served.client.get("/admin/v1/backends")
        explained = await served.client.post("/admin/v1/routes/explain", json={"model": "small"})
        assert (backends.json()["unread"], explained.json()["unread"]) == ([], [])
        assert explained.json()["targets"][0]["usage"][0]["limit"] == 9


async def test_a_key_that_the_store_has_not_confirmed_for_too_long_sees_nothing(
    server: Server, backend: Backend, tmp_path: Path
) -> None:
    settings = {**_settings(backend, tmp_path), "keys": {"stale": 0}}
    async with serving_gateway(settings, _state(server)) as served:
        register = served.gateway.keys.register
        assert register is not None
        _key, secret = await register.create_key({"name": "k", "role": "admin"}, ROOT)
        headers = {"authorization": f"Bearer {secret}"}
        assert (await served.client.get("/admin/v1/backends", headers=headers)).status_code == 200
        server.kill()
        refused = [await served.client.get("/admin/v1/backends", headers=headers) for _ in range(5)]
        assert refused[-1].status_code == 503
