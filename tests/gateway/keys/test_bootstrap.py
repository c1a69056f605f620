"""The first key of all is made once, over all replicas, and only where nothing has ever been changed."""

import asyncio

import pytest

from gateway.keys import Actor, FirstKey, Register
from gateway.keys.archive import Archive
from gateway.store import Store
from tests.store.servers import Server, serving, valkey

PEPPER = b"pepper"
ROOT = Actor("master")


async def test_of_many_replicas_that_start_at_once_one_makes_it(store: Store, store_url: str) -> None:
    made = await asyncio.gather(*(FirstKey(store_url, PEPPER).make() for _ in range(6)))
    [secret] = [each for each in made if each is not None]
    register = Register(store, PEPPER)
    verdict = await register.verify(secret)
    assert verdict.key is not None
    assert (verdict.is_valid, verdict.key.role, verdict.key.version) == (True, "admin", 1)
    assert secret.startswith("sk-ps-admin-")
    assert (await register.list_keys()).items == (verdict.key,)
    [entry] = await register.audit(10)
    assert (entry.action, entry.subject, entry.actor) == ("key.bootstrap", verdict.key.id, "master")
    assert secret not in repr(entry)


async def test_an_answer_that_was_lost_costs_nothing(store_url: str) -> None:
    first = FirstKey(store_url, PEPPER)
    secret = await first.make()
    assert secret is not None
    assert await first.make() == secret
    assert await FirstKey(store_url, PEPPER).make() is None


async def test_none_is_made_where_something_was_ever_changed(store: Store, store_url: str) -> None:
    register = Register(store, PEPPER)
    team = await register.create_team({"name": "web"}, ROOT)
    await register.delete_team(team.id, ROOT)
    assert await FirstKey(store_url, PEPPER).make() is None
    assert (await register.list_keys()).items == ()


async def test_none_is_made_again_where_the_first_is_gone(store: Store, store_url: str) -> None:
    secret = await FirstKey(store_url, PEPPER).make()
    assert secret is not None
    register = Register(store, PEPPER)
    key = (await register.verify(secret)).key
    assert key is not None
    await register.revoke_key(key.id, ROOT)
    await store.command("DEL", "{ps}:audit")
    assert await FirstKey(store_url, PEPPER).make() is None


async def test_the_first_key_can_be_changed_like_any_other(
    any_store: Store, any_server: list[Server]
) -> None:
    secret = await FirstKey(any_server[-1].url, PEPPER).make()
    assert secret is not None
    register = Register(any_store, PEPPER)
    key = (await register.verify(secret)).key
    assert key is not None
    _key, new = await register.rotate_key(key.id, 0, ROOT)
    assert [(await register.verify(each)).is_valid for each in (secret, new)] == [False, True]


async def test_it_is_made_as_soon_as_the_store_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = asyncio.Event()
    with serving(valkey()) as server:
        server.kill()
        first = FirstKey(server.url, PEPPER)
        is_first = first._is_first

        async def noted(archive: Archive) -> bool:
            try:
                return await is_first(archive)
            finally:
                tried.set()

        monkeypatch.setattr(first, "_is_first", noted)
        making = asyncio.create_task(first.make())
        async with asyncio.timeout(20):
            await tried.wait()
            assert not making.done()
            server.start()
            assert await making is not None
