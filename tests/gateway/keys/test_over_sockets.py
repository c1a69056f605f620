"""Every worker obeys a change of a key at its next request, and hears of it before."""

import asyncio
import hashlib
from typing import Any

import pytest

from gateway.keys import Actor, Register
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend
from tests.gateway.served import Served, asks, backend_settings

ROOT = Actor("master")


@pytest.fixture
async def workers(serve_stored: Serve, backend: Backend) -> list[Served]:
    backend.reply = lambda call: call.result("Hi")
    return [await serve_stored(backends={"b": backend_settings(backend.url)}) for _ in range(3)]


@pytest.fixture
def register(workers: list[Served]) -> Register:
    register = workers[0].gateway.keys.register
    assert register is not None
    return register


def _deafen(workers: list[Served], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no worker hear what is announced."""
    for each in workers:
        monkeypatch.setattr(each.gateway.keys._known, "drop_all_of", lambda _record: None)


async def _ask(served: Served, secret: str) -> int:
    answer = await served.client.post(
        "/v1/chat/completions", json=asks(), headers={"authorization": f"Bearer {secret}"}
    )
    return answer.status_code


async def _ask_all(workers: list[Served], secret: str) -> list[int]:
    return [await _ask(each, secret) for each in workers]


@pytest.mark.parametrize("quota", [{}, {"rpm": 100}], ids=["no limits", "limits"])
async def test_a_secret_retired_at_once_is_refused_at_its_next_request_everywhere(
    workers: list[Served], register: Register, monkeypatch: pytest.MonkeyPatch, quota: dict[str, Any]
) -> None:
    _deafen(workers, monkeypatch)
    key, old = await register.create_key({"name": "ci", "quota": quota}, ROOT)
    assert await _ask_all(workers, old) == [200] * 3
    _key, new = await register.rotate_key(key.id, 0, ROOT)
    assert await _ask_all(workers, old) == [401] * 3
    assert await _ask_all(workers, new) == [200] * 3


async def test_a_second_rotation_in_the_grace_ends_the_oldest_secret_everywhere(
    workers: list[Served], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deafen(workers, monkeypatch)
    key, oldest = await register.create_key({"name": "ci"}, ROOT)
    _key, old = await register.rotate_key(key.id, 3600, ROOT)
    assert await _ask_all(workers, oldest) == await _ask_all(workers, old) == [200] * 3
    _key, new = await register.rotate_key(key.id, 3600, ROOT)
    assert await _ask_all(workers, oldest) == [401] * 3
    assert await _ask_all(workers, old) == await _ask_all(workers, new) == [200] * 3


async def test_a_key_that_may_only_read_from_now_on_asks_no_model_any_more(
    workers: list[Served], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deafen(workers, monkeypatch)
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    assert await _ask_all(workers, secret) == [200] * 3
    await register.update_key(key.id, {"role": "read_only"}, ROOT)
    assert await _ask_all(workers, secret) == [403] * 3


async def test_a_key_that_is_enabled_or_prolonged_works_again(
    workers: list[Served], register: Register
) -> None:
    key, secret = await register.create_key({"name": "ci", "expires": 1.0}, ROOT)
    await register.disable_key(key.id, ROOT)
    assert await _ask_all(workers, secret) == [401] * 3
    await register.enable_key(key.id, ROOT)
    await register.update_key(key.id, {"expires": None}, ROOT)
    async with asyncio.timeout(PATIENCE):
        while await _ask_all(workers, secret) != [200] * 3:  # noqa: ASYNC110 - an announcement is on its way
            await asyncio.sleep(0.01)


async def test_what_is_announced_is_forgotten_on_every_worker(
    workers: list[Served], register: Register
) -> None:
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    given = {b"authorization": f"Bearer {secret}".encode()}
    assert await _ask_all(workers, secret) == [200] * 3
    async with asyncio.timeout(PATIENCE):
        while any(each.gateway.keys.known(given, "127.0.0.1") for each in workers):
            # Whoever listens since a moment ago has not heard of earlier ones.
            await register.update_key(key.id, {"name": f"{await _version(register, key.id)}"}, ROOT)
            await asyncio.sleep(0.01)


async def _version(register: Register, key_id: str) -> int:
    return (await register.get_key(key_id)).version


async def test_a_key_made_elsewhere_works_on_every_worker(workers: list[Served], register: Register) -> None:
    assert await _ask_all(workers, "sk-made-elsewhere") == [401] * 3
    sha256 = hashlib.sha256(b"sk-made-elsewhere").hexdigest()
    await register.import_secret({"name": "old"}, sha256, "sk-...here", ROOT)
    async with asyncio.timeout(PATIENCE):
        while await _ask_all(workers, "sk-made-elsewhere") != [200] * 3:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"expires": 1.0}, "expired"),
        ({"allowed_ips": ["10.0.0.0/8"]}, "address"),
        ({}, "disabled"),
    ],
)
async def test_a_key_that_lets_nobody_in_is_counted_by_the_reason(
    workers: list[Served], register: Register, fields: dict[str, Any], reason: str
) -> None:
    key, secret = await register.create_key({"name": "ci", **fields}, ROOT)
    if reason == "disabled":
        await register.disable_key(key.id, ROOT)
    assert await _ask(workers[0], secret) == 401
    assert await workers[0].metric("penstock_auth_failures_total", reason=reason) == 1
    assert await workers[0].metric("penstock_auth_failures_total") == 1
