"""Keys and teams are made, changed and ended in the store, each change once and in the audit log."""

import asyncio
import hashlib
import re
from pathlib import Path
from time import time
from typing import Any

import msgspec
import pytest

from gateway.keys import Actor, ConflictError, FirstKey, Register, SetLimits, UnknownRecordError, Verdict
from gateway.keys.archive import place
from gateway.keys.secrets import digest, is_well_formed, new_secret
from gateway.quota import Burst, Quota
from gateway.store import Store, StoreAwayError
from tests.gateway.keys.counted import CountedStore
from tests.store.fixtures import PATIENT
from tests.store.servers import serving_tcp, valkey

PEPPER = b"pepper"
ROOT = Actor("master", "127.0.0.1")
GATEWAY = Path(__file__).parents[3] / "gateway"


@pytest.fixture
def register(any_store: Store) -> Register:
    return Register(any_store, PEPPER)


@pytest.fixture
def one(store: Store) -> Register:
    """On one kind of store, where the kind makes no difference."""
    return Register(store, PEPPER)


async def _owner(register: Register, secret: str) -> str | None:
    return key.id if (key := (await register.verify(secret)).key) else None


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
    read = await register.get_key(key.id)
    assert (read, read.version) == (key, 1)
    assert read.quota == Quota(rpm=60, burst=Burst(2.0, requests=5))
    assert read.per_model == {"@cf/*": Quota(tpm=1000)}
    assert (await register.list_keys()).items == (key,)


async def test_every_change_has_a_version_and_an_entry(register: Register) -> None:
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    await register.update_key(key.id, {"name": "new", "quota": {"rpm": 5}}, Actor("key_admin"))
    await register.disable_key(key.id, ROOT)
    await register.enable_key(key.id, ROOT)
    await register.revoke_key(key.id, ROOT)
    assert (await register.get_key(key.id)).version == 5
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
    assert digest(PEPPER, secret) not in repr(entries)
    assert [entry.id for entry in await register.audit(2, after=entries[1].id)] == [
        entry.id for entry in entries[2:4]
    ]


async def test_a_change_that_changes_nothing_is_none(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    await one.update_key(key.id, {"name": "ci"}, ROOT)
    assert (await one.get_key(key.id)).version == 1
    assert len(await one.audit(10)) == 1


async def test_changes_at_the_same_time_are_all_made(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    await asyncio.gather(
        one.update_key(key.id, {"name": "new"}, ROOT),
        one.update_key(key.id, {"tags": ["x"]}, ROOT),
        one.update_key(key.id, {"quota": {"rpm": 3}}, ROOT),
    )
    read = await one.get_key(key.id)
    assert (read.name, read.tags, read.quota, read.version) == ("new", ("x",), Quota(rpm=3), 4)


async def test_both_secrets_of_a_rotated_key_are_one_key_until_the_grace_is_over(store: Store) -> None:
    register = Register(store, PEPPER)
    key, old = await register.create_key({"name": "ci"}, ROOT)
    rotated, new = await register.rotate_key(key.id, 3600, ROOT)
    assert (await _owner(register, old), await _owner(register, new)) == (key.id, key.id)
    assert rotated.rotated is not None
    assert rotated.rotated.old_redacted == key.redacted
    assert 3590 < rotated.rotated.old_expires - time() <= 3600
    held = await register.held(digest(PEPPER, old))
    assert held is not None
    assert held.until is not None
    assert 3590 < held.until - time() <= 3600
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
    assert not await register.archive.has_foreign()
    sha256 = hashlib.sha256(b"sk-1234").hexdigest()
    key = await register.import_secret({"name": "old"}, sha256, "sk-...1234", ROOT)
    assert await register.archive.has_foreign()
    assert await register.verify("sk-1234") == Verdict(None, key)
    assert (await register.verify(sha256)).why == "unknown"  # what is stored elsewhere opens nothing
    with pytest.raises(ConflictError, match="here already"):
        await register.import_secret({"name": "old"}, sha256.upper(), "sk-...1234", ROOT)
    with pytest.raises(ConflictError, match="64 hex"):
        await register.import_secret({"name": "old"}, "sk-1234", "sk-...1234", ROOT)


async def test_of_two_who_bring_in_the_same_key_one_does(one: Register) -> None:
    sha256 = hashlib.sha256(b"sk-1234").hexdigest()
    outcomes = await asyncio.gather(
        *(one.import_secret({"name": "old"}, sha256, "sk-...1234", ROOT) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, ConflictError) for each in outcomes) == 3
    assert len((await one.list_keys()).items) == 1


async def test_teams_have_keys_and_end_after_them(register: Register) -> None:
    team = await register.create_team({"name": "web", "quota": {"rpm": 10}}, ROOT)
    key, _secret = await register.create_key({"name": "ci", "team": team.id}, ROOT)
    assert (await register.update_team(team.id, {"disabled": True}, ROOT)).disabled
    with pytest.raises(ConflictError, match=key.id):
        await register.delete_team(team.id, ROOT)
    await register.revoke_key(key.id, ROOT)
    assert (await register.delete_team(team.id, ROOT)).revoked is not None
    assert (await register.delete_team(team.id, ROOT)).revoked is not None
    assert (await register.list_teams()).items == ()
    assert [each.id for each in (await register.list_teams(status="revoked")).items] == [team.id]
    with pytest.raises(UnknownRecordError, match="deleted"):
        await register.create_key({"name": "ci", "team": team.id}, ROOT)


@pytest.mark.parametrize("wrong", ["key_unknown", "team_unknown", "", "{ps}:audit"])
async def test_what_is_not_there_is_told(one: Register, wrong: str) -> None:
    with pytest.raises(UnknownRecordError):
        await one.get_key(wrong)
    with pytest.raises(UnknownRecordError):
        await one.get_team(wrong)
    with pytest.raises(UnknownRecordError):
        await one.create_key({"name": "x", "team": wrong or "none"}, ROOT)


async def test_a_key_s_id_is_no_team_s(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    with pytest.raises(UnknownRecordError):
        await one.get_team(key.id)


async def test_long_lists_are_read_from_any_place_on(one: Register) -> None:
    made = [(await one.create_key({"name": f"k{number}"}, ROOT))[0].id for number in range(230)]
    listed: list[str] = []
    while True:
        page = await one.list_keys(limit=70, after=listed[-1] if listed else None)
        listed += [key.id for key in page.items]
        if not page.has_more:
            break
    assert listed == made[::-1]
    whole = await one.list_keys(limit=1000)
    assert ([key.id for key in whole.items], whole.has_more) == (listed, False)
    for wrong in ("key_unknown", "(", "\udc80"):
        with pytest.raises(UnknownRecordError):
            await one.list_keys(after=wrong)
        with pytest.raises(UnknownRecordError):
            await one.audit(10, after=wrong)


async def test_a_list_has_what_is_asked_for(register: Register) -> None:
    team = await register.create_team({"name": "web"}, ROOT)
    active, _secret = await register.create_key({"name": "Al/pha", "team": team.id, "tags": ["c_i"]}, ROOT)
    disabled, _secret = await register.create_key({"name": "beta"}, ROOT)
    await register.disable_key(disabled.id, ROOT)
    expired, _secret = await register.create_key({"name": "gamma", "team": team.id, "expires": 1.0}, ROOT)
    revoked, _secret = await register.create_key({"name": "delta", "team": team.id}, ROOT)
    await register.revoke_key(revoked.id, ROOT)

    async def found(**wishes: Any) -> list[str]:
        return [key.id for key in (await register.list_keys(**wishes)).items]

    assert await found() == [expired.id, disabled.id, active.id]
    assert await found(status="active") == [active.id]
    assert await found(status="disabled") == [disabled.id]
    assert await found(status="expired") == [expired.id]
    assert await found(status="revoked") == [revoked.id]
    assert await found(team=team.id) == [expired.id, active.id]
    assert await found(team=team.id, status="revoked") == [revoked.id]
    assert await found(team=team.id, after=expired.id) == [active.id]
    assert await found(query="AL/P") == await found(query="_i") == [active.id]
    assert await found(query=disabled.id) == await found(query=disabled.redacted) == [disabled.id]
    # A key that moves is on the list of one team alone.
    other = await register.create_team({"name": "app"}, ROOT)
    await register.update_key(active.id, {"team": other.id}, ROOT)
    assert (await found(team=team.id), await found(team=other.id)) == ([expired.id], [active.id])
    await register.revoke_key(expired.id, ROOT)
    await register.delete_team(team.id, ROOT)
    await register.update_key(active.id, {"team": None}, ROOT)
    assert await found(team=other.id) == []
    assert [each.id for each in (await register.list_teams(query="AP")).items] == [other.id]
    await register.delete_team(other.id, ROOT)


async def test_no_key_joins_a_team_that_ends_meanwhile(store: Store, one: Register) -> None:
    counted = CountedStore(store)
    passed = Register(counted, PEPPER)
    team = await one.create_team({"name": "web"}, ROOT)
    counted.before["key_write"] = lambda: one.delete_team(team.id, ROOT)
    with pytest.raises(UnknownRecordError, match="deleted"):
        await passed.create_key({"name": "ci", "team": team.id}, ROOT)
    other = await one.create_team({"name": "app"}, ROOT)
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    counted.before["key_write"] = lambda: one.delete_team(other.id, ROOT)
    with pytest.raises(UnknownRecordError, match="deleted"):
        await passed.update_key(key.id, {"team": other.id}, ROOT)
    assert (await one.get_key(key.id)).team is None


async def test_a_key_joins_a_team_that_is_only_changed_meanwhile(store: Store, one: Register) -> None:
    counted = CountedStore(store)
    team = await one.create_team({"name": "web"}, ROOT)
    counted.before["key_write"] = lambda: one.update_team(team.id, {"name": "new"}, ROOT)
    key, _secret = await Register(counted, PEPPER).create_key({"name": "ci", "team": team.id}, ROOT)
    assert (await one.list_keys(team=team.id)).items == (key,)


async def test_no_team_ends_that_a_key_joins_meanwhile(store: Store, one: Register) -> None:
    counted = CountedStore(store)
    team = await one.create_team({"name": "web"}, ROOT)
    counted.before["key_team"] = lambda: one.create_key({"name": "ci", "team": team.id}, ROOT)
    with pytest.raises(ConflictError, match="move them to another team or revoke them first"):
        await Register(counted, PEPPER).delete_team(team.id, ROOT)


async def test_what_is_no_field_of_a_key_is_refused_and_not_written(one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    wrong: list[dict[str, Any]] = [
        {"allowed_ips": ["10.0.0.0/33"]},
        {"role": "king"},
        {"quota": {"rpm": "x"}},
    ]
    for fields in wrong:
        with pytest.raises(msgspec.ValidationError):
            await one.create_key({"name": "x", **fields}, ROOT)
        with pytest.raises(msgspec.ValidationError):
            await one.update_key(key.id, fields, ROOT)
    assert (await one.list_keys()).items == (key,)


async def test_a_secret_is_good_or_it_is_said_why_not(one: Register) -> None:
    team = await one.create_team({"name": "web"}, ROOT)
    key, secret = await one.create_key({"name": "ci", "team": team.id}, ROOT)

    async def why() -> str | None:
        return (await one.verify(secret)).why

    assert await one.verify(secret) == Verdict(None, key)
    assert (await one.verify(secret)).is_valid
    assert (await one.verify(secret[:-1] + "!")).why == "malformed"
    assert (await one.verify(new_secret("admin"))).why == "unknown"
    assert (await one.verify("\udc80")).why == "unknown"
    await one.disable_team(team.id, ROOT)
    assert await why() == "team_disabled"
    await one.enable_team(team.id, ROOT)
    await one.disable_key(key.id, ROOT)
    assert await why() == "disabled"
    await one.enable_key(key.id, ROOT)
    await one.update_key(key.id, {"expires": time() - 1}, ROOT)
    assert await why() == "expired"
    await one.update_key(key.id, {"expires": None}, ROOT)
    assert await why() is None
    await one.revoke_key(key.id, ROOT)
    assert await why() == "unknown"


async def test_what_is_revoked_is_kept_for_ninety_days_and_then_on_no_list(
    store: Store, one: Register
) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    last, _secret = await one.create_key({"name": "last"}, ROOT)
    await one.revoke_key(key.id, ROOT)
    kept = await store.command("TTL", place(key.id))
    assert 89 * 86_400 < kept <= 90 * 86_400
    assert await store.command("TTL", place(last.id)) == -1
    await store.command("DEL", place(key.id))  # as if the time had passed
    assert (await one.list_keys(status="revoked")).items == ()
    assert await store.command("ZRANGE", "{ps}:keys", 0, -1) == [last.id.encode()]
    assert len(await one.audit(10)) == 3


async def test_all_of_it_lies_on_one_shard(store: Store, one: Register) -> None:
    team = await one.create_team({"name": "web"}, ROOT)
    key, _secret = await one.create_key({"name": "ci", "team": team.id}, ROOT)
    await one.rotate_key(key.id, 60, ROOT)
    await one.archive.note_used({key.id: 5.0})
    names = await store.command("KEYS", "*")
    assert len(names) == 10  # the store looks whether it may be written to with one of its own
    assert all(name.startswith(b"{ps}:") for name in names)


async def test_when_a_key_was_used_goes_up_and_never_down(register: Register) -> None:
    key, _secret = await register.create_key({"name": "ci"}, ROOT)
    assert key.last_used is None
    many = {f"key_{number}": 1.0 for number in range(1200)}
    await register.archive.note_used({**many, key.id: 1_000_000.0})
    await register.archive.note_used({key.id: 999_000.0})
    assert (await register.get_key(key.id)).last_used == 1_000_000.0
    assert [each.last_used for each in (await register.list_keys()).items] == [1_000_000.0]
    assert (await register.get_key(key.id)).version == 1


def test_nothing_edits_the_audit_log() -> None:
    texts = {path: path.read_text() for path in GATEWAY.rglob("*") if path.suffix in {".py", ".lua"}}
    assert not [path for path, text in texts.items() if re.search(r"\b(XDEL|XTRIM|XSETID|MINID)\b", text)]
    writing = {path.name for path, text in texts.items() if "XADD" in text}
    bounding = {path.name for path, text in texts.items() if "MAXLEN" in text}
    assert bounding == {"aside_write.lua", "key_write.lua", "key_team.lua", "limits_write.lua"}
    assert writing == {"key_first.lua", *bounding}
    naming = {path.name for path, text in texts.items() if "}:audit" in text}
    assert naming == {"archive.py"}


async def test_what_cannot_stand_in_the_audit_log_is_not_done(store: Store, one: Register) -> None:
    key, _secret = await one.create_key({"name": "ci"}, ROOT)
    team = await one.create_team({"name": "web"}, ROOT)
    await store.command("SET", "{ps}:audit", "something else")
    for change in (
        one.create_key({"name": "other"}, ROOT),
        one.revoke_key(key.id, ROOT),
        one.update_team(team.id, {"name": "other"}, ROOT),
        one.change_limits(lambda _old: SetLimits(gateway={"rpm": 1}), ROOT),
    ):
        with pytest.raises(StoreAwayError, match="wrong_type"):
            await change
    assert (await one.list_keys()).items == (key,)
    assert await one.get_team(team.id) == team
    assert await one.limits() == SetLimits()


async def test_a_user_who_may_not_publish_makes_changes_all_the_same() -> None:
    with serving_tcp(valkey()) as server:
        server.ask("ACL", "SETUSER", "mute", "on", ">p", "~{ps}:*", "resetchannels", "+@all")
        url = server.url.replace("://", "://mute:p@")
        assert await FirstKey(url, PEPPER).make()
        store = Store(url, PATIENT)
        await store.start()
        register = Register(store, PEPPER)
        key, _secret = await register.create_key({"name": "ci"}, ROOT)
        await register.rotate_key(key.id, 60, ROOT)
        team = await register.create_team({"name": "web"}, ROOT)
        await register.delete_team(team.id, ROOT)
        await register.change_limits(lambda _old: SetLimits(gateway={"rpm": 1}), ROOT)
        entries = [entry.action for entry in reversed(await register.audit(100))]
        await store.stop()
    assert entries == [
        "key.bootstrap", "key.create", "key.rotate", "team.create", "team.delete", "limits.update",
    ]  # fmt: skip


async def test_the_audit_log_keeps_so_many_entries_as_are_set_and_the_latest(any_store: Store) -> None:
    register = Register(any_store, PEPPER, entries=100)
    for number in range(150):
        team = await register.create_team({"name": f"t{number}"}, ROOT)
        await register.change_limits(lambda old: SetLimits(gateway={"rpm": old.version}), ROOT)
    await register.create_key({"name": "last", "team": team.id}, ROOT)
    entries = await register.audit(500)
    assert 100 <= len(entries) <= 200  # the store lets go of a hundred at a time
    assert [each.action for each in entries[:3]] == ["key.create", "limits.update", "team.create"]
