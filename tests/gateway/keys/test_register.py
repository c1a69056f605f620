"""Keys and teams are made, changed and ended in the store, each change once and in the audit log."""

import asyncio
from time import time
from typing import Any

import pytest

from gateway.keys import Actor, ConflictError, Register, UnknownRecordError
from gateway.keys.secrets import foreign_digest, is_well_formed
from gateway.quota import Burst, Quota
from gateway.store import Store

ROOT = Actor("master", "127.0.0.1")


@pytest.fixture
def register(any_store: Store) -> Register:
    return Register(any_store, b"pepper")


@pytest.fixture
def one(store: Store) -> Register:
    """On one kind of store, where the kind makes no difference."""
    return Register(store, b"pepper")


async def _owner(register: Register, secret: str) -> str | None:
    found = await register.find(register.digest(secret.encode()))
    return found[0] if found else None


async def test_a_key_is_made_found_and_read(register: Register) -> None:
    fields: dict[str, Any] = {
        "name": "ci",
        "models": ["@cf/meta/*"],
        "allowed_ips": ["10.0.0.0/8"],
        "quota": {"rpm": 60, "burst": {"seconds": 2.0, "requests": 5}},
        "per_model": {"@cf/*": {"tpm": 1000}},
        "metadata": {"who": "ann"},
        "tags": ["a"],
        "defaults": {"temperature": 0.5},
        "expires": time() + 60,
    }
    key, secret = await register.create_key(fields, ROOT)
    assert is_well_formed(secret.encode())
    assert await _owner(register, secret) == key.id
    read, version = await register.read_key(key.id)
    assert (read, version) == (key, 1)
    assert read.quota == Quota(rpm=60, burst=Burst(2.0, requests=5))
    assert read.per_model == {"@cf/*": Quota(tpm=1000)}
    assert [each.id async for each in register.all_keys()] == [key.id]


async def test_every_change_has_a_version_and_an_entry(register: Register) -> None:
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    await register.update_key(key.id, {"name": "new", "quota": {"rpm": 5}}, Actor("key_admin"))
    await register.set_disabled(key.id, ROOT, disabled=True)
    await register.set_disabled(key.id, ROOT, disabled=False)
    await register.revoke_key(key.id, ROOT)
    _key, version = await register.read_key(key.id)
    assert version == 5
    entries = await register.audit(10)
    assert [entry.action for entry in reversed(entries)] == [
        "key.create",
        "key.update",
        "key.disable",
        "key.enable",
        "key.revoke",
    ]
    update = entries[3]
    assert (update.actor, update.subject) == ("key_admin", key.id)
    assert update.changes == {"name": ("ci", "new"), "quota": (None, {"rpm": 5})}
    assert secret not in repr(entries)
    assert key.digest not in repr(entries)
    assert [entry.id for entry in await register.audit(2, after=entries[1].id)] == [
        entry.id for entry in entries[2:4]
    ]


async def test_a_change_that_changes_nothing_is_none(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    await one.update_key(key.id, {"name": "ci"}, ROOT)
    assert (await one.read_key(key.id))[1] == 1
    assert len(await one.audit(10)) == 1


async def test_changes_at_the_same_time_are_all_made(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    await asyncio.gather(
        one.update_key(key.id, {"name": "new"}, ROOT),
        one.update_key(key.id, {"tags": ["x"]}, ROOT),
        one.update_key(key.id, {"quota": {"rpm": 3}}, ROOT),
    )
    read, version = await one.read_key(key.id)
    assert (read.name, read.tags, read.quota, version) == ("new", ("x",), Quota(rpm=3), 4)


async def test_both_secrets_of_a_rotated_key_are_one_key_until_the_grace_is_over(store: Store) -> None:
    register = Register(store, b"pepper")
    key, old = await register.create_key({"name": "ci"}, ROOT)
    rotated, new = await register.rotate_key(key.id, 3600, ROOT)
    assert (await _owner(register, old), await _owner(register, new)) == (key.id, key.id)
    assert rotated.old_redacted == key.redacted
    found = await register.find(register.digest(old.encode()))
    assert found is not None
    assert found[1] is not None
    assert 3590 < found[1] - time() <= 3600
    # Rotated again, the oldest ends.
    _key, newest = await register.rotate_key(key.id, 3600, ROOT)
    assert [await _owner(register, each) for each in (old, new, newest)] == [None, key.id, key.id]
    # Without grace the one before ends at once.
    _key, last = await register.rotate_key(key.id, 0, ROOT)
    assert [await _owner(register, each) for each in (new, newest, last)] == [None, None, key.id]


async def test_a_revoked_key_is_found_no_more_and_stays_as_it_is(register: Register) -> None:
    key, old = await register.create_key({"name": "ci"}, ROOT)
    _key, new = await register.rotate_key(key.id, 3600, ROOT)
    revoked = await register.revoke_key(key.id, ROOT)
    assert revoked.revoked is not None
    assert await _owner(register, old) is None
    assert await _owner(register, new) is None
    assert await register.revoke_key(key.id, ROOT) == revoked
    with pytest.raises(ConflictError, match="revoked"):
        await register.update_key(key.id, {"name": "x"}, ROOT)


async def test_a_key_from_elsewhere_is_taken_in_once(register: Register) -> None:
    assert not await register.has_foreign()
    stored = foreign_digest(b"sk-1234")
    key = await register.import_key({"name": "old"}, stored, "sk-...1234", ROOT)
    assert await register.has_foreign()
    found = await register.find("unknown", stored)
    assert found == (key.id, None)
    with pytest.raises(ConflictError, match="here already"):
        await register.import_key({"name": "old"}, stored, "sk-...1234", ROOT)


async def test_teams_have_keys_and_end_after_them(register: Register) -> None:
    team = await register.create_team({"name": "web", "quota": {"rpm": 10}}, ROOT)
    key, _secret = await register.create_key({"name": "ci", "team": team.id}, ROOT)
    assert (await register.update_team(team.id, {"disabled": True}, ROOT)).disabled
    with pytest.raises(ConflictError, match=key.id):
        await register.revoke_team(team.id, ROOT)
    await register.revoke_key(key.id, ROOT)
    assert (await register.revoke_team(team.id, ROOT)).revoked is not None
    assert [each.id async for each in register.all_teams()] == [team.id]


@pytest.mark.parametrize("wrong", ["key_unknown", "team_unknown", "", "{ps}:audit"])
async def test_what_is_not_there_is_told(one: Register, wrong: str) -> None:
    with pytest.raises(UnknownRecordError):
        await one.key(wrong)
    with pytest.raises(UnknownRecordError):
        await one.team(wrong)
    with pytest.raises(UnknownRecordError):
        await one.create_key({"name": "x", "team": wrong or "none"}, ROOT)


async def test_a_key_s_id_is_no_team_s(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    with pytest.raises(UnknownRecordError):
        await one.team(key.id)


async def test_long_lists_are_read_from_any_place_on(one: Register) -> None:
    made = [(await one.create_key({"name": f"k{number}"}, ROOT))[0].id for number in range(230)]
    listed = [key.id async for key in one.all_keys()]
    assert sorted(listed) == sorted(made)
    assert [key.id async for key in one.all_keys(after=listed[149])] == listed[150:]
