"""Whose a key is: known without asking, else asked for once, and never believed for too long."""

import asyncio
import hashlib
from time import monotonic, time
from typing import Any

import pytest

from gateway.keys import Actor, Caller, Keys, Register
from gateway.keys.secrets import new_secret
from gateway.store import Store
from tests.gateway.keys.counted import CountedStore
from tests.store.servers import serving, valkey
from translators.errors import ApiError

PEPPER = b"pepper"
MASTER = "sk-ps-canary-master-key-0123456789"
ROOT = Actor("master")
HERE = "127.0.0.1"
PATIENCE = 20.0


@pytest.fixture
def counted(store: Store) -> CountedStore:
    return CountedStore(store)


@pytest.fixture
def register(store: Store) -> Register:
    """How another worker changes keys: what it announces is not heard here."""
    return Register(store, PEPPER)


@pytest.fixture
def keys(counted: CountedStore) -> Keys:
    return Keys(MASTER, Register(counted, PEPPER), PEPPER, stale=600)


def _given(secret: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {secret}".encode()}


def _age(caller: Caller, seconds: float = 5.0) -> None:
    """Let time pass since the store has confirmed a caller."""
    caller.confirmed -= seconds


async def _refusal(keys: Keys, secret: str, address: str = HERE) -> tuple[int, str | None, str]:
    with pytest.raises(ApiError) as raised:
        await _let_in(keys, secret, address)
    return raised.value.status, raised.value.code, raised.value.message


async def _let_in(keys: Keys, secret: str, address: str = HERE, *, is_away: bool = False) -> Caller:
    """As the adapter does it."""
    known = keys.known(_given(secret), address, is_away=is_away)
    return known if known is not None else await keys.look_up(_given(secret), address)


async def test_a_key_is_asked_for_once_and_then_known(
    keys: Keys, register: Register, counted: CountedStore
) -> None:
    team = await register.create_team({"name": "web", "models": ["@cf/*"]}, ROOT)
    key, secret = await register.create_key({"name": "ci", "team": team.id, "models": ["*llama*"]}, ROOT)
    assert keys.known(_given(secret), HERE) is None
    caller = await keys.look_up(_given(secret), HERE)
    assert (caller.key, caller.team, caller.id) == (key, team, key.id)
    assert [caller.may_use(each) for each in ("@cf/llama", "@cf/qwen", "llama")] == [True, False, False]
    assert not caller.is_admin
    calls = counted.calls.total()
    for _ in range(5):
        assert keys.known(_given(secret), HERE) is caller
    assert counted.calls.total() == calls


async def test_who_asks_for_the_same_key_at_once_asks_once(
    keys: Keys, register: Register, counted: CountedStore
) -> None:
    _key, secret = await register.create_key({"name": "ci"}, ROOT)
    callers = await asyncio.gather(*(keys.look_up(_given(secret), HERE) for _ in range(50)))
    assert len({id(caller) for caller in callers}) == 1
    assert counted.calls == {"key_find": 1, "key_read": 1}


async def test_who_leaves_while_it_is_asked_takes_the_answer_from_nobody(
    keys: Keys, register: Register, counted: CountedStore
) -> None:
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    counted.open.clear()
    first, second = (asyncio.create_task(keys.look_up(_given(secret), HERE)) for _ in range(2))
    async with asyncio.timeout(PATIENCE):
        while not counted.calls:  # noqa: ASYNC110 - turns, not time
            await asyncio.sleep(0)
    first.cancel()
    counted.open.set()
    assert (await second).key == key
    assert first.cancelled()


@pytest.mark.parametrize(
    "garbage",
    ["sk-ps-x", "sk-ps-" + "x" * 46, "sk-ps-admin-" + "0" * 46, "sk-ps-" + "x" * 600, "x" * 30_000],
)
async def test_garbage_is_refused_before_any_look_up(keys: Keys, counted: CountedStore, garbage: str) -> None:
    assert (await _refusal(keys, garbage))[:2] == (401, "invalid_api_key")
    assert not counted.calls
    counted.is_away = True
    assert (await _refusal(keys, garbage))[0] == 401


async def test_what_was_not_made_here_is_asked_for_only_where_there_are_such_keys(
    keys: Keys, register: Register, counted: CountedStore
) -> None:
    for number in range(5):
        assert (await _refusal(keys, f"sk-litellm-{number}"))[0] == 401
    assert counted.calls == {"key_find": 1}
    sha256 = hashlib.sha256(b"sk-litellm-2").hexdigest()
    key = await register.import_secret({"name": "old"}, sha256, "sk-...-2", ROOT)
    keys.changed(key.id.encode())  # announced
    assert (await _let_in(keys, "sk-litellm-2")).key == key
    assert (await _refusal(keys, "sk-litellm-3"))[0] == 401
    assert (await _refusal(keys, sha256))[0] == 401


@pytest.mark.parametrize("secret", [new_secret("inference"), "sk-from-elsewhere"], ids=["ours", "foreign"])
async def test_a_store_that_hangs_costs_a_request_one_short_wait(secret: str) -> None:
    with serving(valkey()) as server:
        store = Store(server.url, 0.1)
        await store.start()
        keys = Keys(MASTER, Register(store, PEPPER), PEPPER)
        server.pause()
        began = monotonic()
        refused = await _refusal(keys, secret)
        took = monotonic() - began
        server.go_on()
        await store.stop()
    assert refused[:2] == (503, "store_unavailable")
    assert took < 1.5  # what no request waits for has 2 s


async def test_an_unknown_key_is_asked_for_once_a_second_at_most(
    keys: Keys, register: Register, counted: CountedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("gateway.keys.monotonic", lambda: now)
    secret = new_secret("inference")
    for _ in range(5):
        assert (await _refusal(keys, secret))[0] == 401
    assert counted.calls["key_find"] == 1
    now += 1.01
    assert (await _refusal(keys, secret))[0] == 401
    assert counted.calls["key_find"] == 2
    _key, good = await register.create_key({"name": "ci"}, ROOT)
    assert (await _let_in(keys, good)).key is not None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"disabled": True}, "This key is disabled"),
        ({"expires": 1.0}, "has expired"),
        ({"allowed_ips": ["10.0.0.0/8"]}, "may not be used from this address"),
    ],
)
async def test_a_refused_key_is_told_why_and_taken_again_without_an_announcement(
    keys: Keys, register: Register, counted: CountedStore, change: dict[str, Any], word: str
) -> None:
    key, secret = await register.create_key({"name": "ci", **change}, ROOT)
    assert word in (await _refusal(keys, secret))[2]
    asked = counted.calls["key_find"]
    assert word in (await _refusal(keys, secret))[2]
    assert counted.calls["key_find"] == asked  # not for each of many
    await register.update_key(key.id, {"disabled": False, "expires": time() + 60, "allowed_ips": None}, ROOT)
    refused = keys._known.get(keys._shown(secret.encode()))
    assert refused is not None
    _age(refused)
    assert (await _let_in(keys, secret)).id == key.id


async def test_only_its_holder_is_told_that_a_key_is_disabled(keys: Keys, register: Register) -> None:
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    await register.disable_key(key.id, ROOT)
    wrong = await _refusal(keys, new_secret("inference"))
    assert wrong == await _refusal(keys, secret[:-1] + ("0" if secret[-1] != "0" else "1"))
    assert (await _refusal(keys, secret)) != wrong
    await register.revoke_key((await register.create_key({"name": "x"}, ROOT))[0].id, ROOT)
    await register.enable_key(key.id, ROOT)
    await register.revoke_key(key.id, ROOT)
    keys.changed(key.id.encode())
    assert await _refusal(keys, secret) == wrong


async def test_a_retired_secret_is_refused_when_its_holder_is_read_anew(
    keys: Keys, register: Register
) -> None:
    key, old = await register.create_key({"name": "ci"}, ROOT)
    caller = await _let_in(keys, old)
    _key, new = await register.rotate_key(key.id, 0, ROOT)
    assert keys.known(_given(old), HERE) is caller  # not announced; what admits it compares versions
    with pytest.raises(ApiError) as raised:
        await keys.refresh(caller, HERE)
    assert raised.value.status == 401
    assert (await _refusal(keys, old))[0] == 401
    assert (await _let_in(keys, new)).id == key.id


async def test_in_its_grace_an_old_secret_ends_with_it_and_the_new_one_does_not(
    keys: Keys, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, old = await register.create_key({"name": "ci"}, ROOT)
    before = await _let_in(keys, old)
    _key, new = await register.rotate_key(key.id, 60, ROOT)
    by_old, by_new = await keys.refresh(before, HERE), await _let_in(keys, new)
    assert by_old.identity == by_new.identity  # so both have one bill
    now = time()
    monkeypatch.setattr("gateway.keys.callers.time", lambda: now + 61)
    with pytest.raises(ApiError, match="expired"):
        by_old.check(HERE)
    by_new.check(HERE)


@pytest.mark.parametrize("change", ["disable", "revoke", "expire", "team"])
async def test_what_needs_no_admission_is_read_anew_after_a_second(
    keys: Keys, register: Register, counted: CountedStore, change: str
) -> None:
    team = await register.create_team({"name": "web"}, ROOT)
    key, secret = await register.create_key({"name": "ci", "team": team.id}, ROOT)
    caller = await _let_in(keys, secret)
    calls = counted.calls.total()
    assert await keys.fresh(caller, HERE) is caller
    assert counted.calls.total() == calls
    match change:
        case "disable":
            await register.disable_key(key.id, ROOT)
        case "revoke":
            await register.revoke_key(key.id, ROOT)
        case "expire":
            await register.update_key(key.id, {"expires": 1.0}, ROOT)
        case _:
            await register.disable_team(team.id, ROOT)
    _age(caller)
    with pytest.raises(ApiError) as raised:
        await keys.fresh(caller, HERE)
    assert raised.value.status == 401


async def test_a_team_s_change_is_heard_by_its_keys(keys: Keys, register: Register) -> None:
    team = await register.create_team({"name": "web"}, ROOT)
    _key, secret = await register.create_key({"name": "ci", "team": team.id}, ROOT)
    _key, other = await register.create_key({"name": "other"}, ROOT)
    await _let_in(keys, secret)
    await _let_in(keys, other)
    await register.update_team(team.id, {"models": ["a"]}, ROOT)
    keys.changed(team.id.encode())
    assert keys.known(_given(secret), HERE) is None
    assert keys.known(_given(other), HERE) is not None
    assert not (await _let_in(keys, secret)).may_use("b")
    keys.changed(b"\xff")


async def test_without_the_store_a_known_key_works_for_its_time_and_an_unknown_one_is_not_told(
    keys: Keys, register: Register, counted: CountedStore
) -> None:
    _key, secret = await register.create_key({"name": "ci"}, ROOT)
    _key, unknown = await register.create_key({"name": "never seen"}, ROOT)
    caller = await _let_in(keys, secret)
    counted.is_away = True
    assert await _let_in(keys, secret, is_away=True) is caller
    for other in (unknown, "sk-from-elsewhere"):
        with pytest.raises(ApiError) as raised:
            await _let_in(keys, other, is_away=True)
        assert (raised.value.status, raised.value.code) == (503, "store_unavailable")
    _age(caller, 599)
    assert await keys.fresh(caller, HERE) is caller
    _age(caller, 2)
    for ask in (keys.fresh(caller, HERE), keys.refresh(caller, HERE), _let_in(keys, secret, is_away=True)):
        with pytest.raises(ApiError) as raised:
            await ask
        assert (raised.value.status, raised.value.code) == (503, "store_unavailable")
    assert (await _let_in(keys, MASTER, is_away=True)).is_admin


async def test_the_operator_has_no_limits_and_an_admin_s_key_is_one(keys: Keys, register: Register) -> None:
    operator = await _let_in(keys, MASTER)
    assert (operator.id, operator.is_admin, operator.records) == ("master", True, ())
    assert operator.may_use("anything")
    assert await keys.fresh(operator, HERE) is operator
    assert await keys.refresh(operator, HERE) is operator
    _key, secret = await register.create_key({"name": "ops", "role": "admin"}, ROOT)
    assert (await _let_in(keys, secret)).is_admin


async def test_without_a_master_key_none_is_taken_for_it(register: Register) -> None:
    keys = Keys(None, register, PEPPER)
    assert (await _refusal(keys, MASTER))[0] == 401
    assert (await _refusal(keys, "None"))[0] == 401


async def test_when_keys_were_used_is_noted_and_kept_while_the_store_is_away(
    keys: Keys, register: Register, counted: CountedStore
) -> None:
    key, secret = await register.create_key({"name": "ci"}, ROOT)
    began = time()
    await _let_in(keys, secret)
    counted.is_away = True
    await keys.note()
    counted.is_away = False
    await keys.note()
    used = (await register.get_key(key.id)).last_used
    assert used is not None
    assert began - 1 <= used <= time() + 1
    calls = counted.calls["ZADD"]
    await keys.note()
    assert counted.calls["ZADD"] == calls


async def test_addresses_are_looked_at_as_networks(keys: Keys, register: Register) -> None:
    networks = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
    _key, secret = await register.create_key({"name": "ci", "allowed_ips": networks}, ROOT)
    for address in ("10.1.2.3", "2001:db8::5", "192.0.2.7", "::ffff:10.1.2.3"):
        assert await _let_in(keys, secret, address)
    for address in ("11.0.0.1", "192.0.2.8", "2001:db9::1", "", "unix:", "::ffff:11.0.0.1"):
        assert (await _refusal(keys, secret, address))[:2] == (401, "ip_not_authorized")


async def test_a_long_name_of_a_model_is_judged_and_not_remembered(keys: Keys, register: Register) -> None:
    _key, secret = await register.create_key({"name": "ci", "models": ["a*"]}, ROOT)
    caller = await _let_in(keys, secret)
    assert caller.may_use("a" * 1000)
    assert not caller.may_use("b" * 1000)


async def test_what_is_no_name_of_a_model_for_its_length_costs_nothing(
    keys: Keys, register: Register
) -> None:
    globs = [f"*a{number}*" for number in range(100)]
    _key, secret = await register.create_key({"name": "ci", "models": globs}, ROOT)
    caller = await _let_in(keys, secret)
    assert caller.may_use("name-a7-b")
    began = monotonic()
    assert not caller.may_use("a" * 10_000_000)
    assert monotonic() - began < 1  # looked at, it takes half a minute
    _key, open_to_all = await register.create_key({"name": "ci"}, ROOT)
    assert (await _let_in(keys, open_to_all)).may_use("a" * 10_000_000)


async def test_another_pepper_than_that_of_the_others_is_told_and_never_a_wrong_key(
    store: Store, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    await keys.compare()
    other = Keys(MASTER, Register(store, b"another"), b"another", stale=600)
    await other.compare()
    await other.compare()
    assert not keys.flaw
    assert [record.getMessage() for record in caplog.records] == [f"Keys: {other.flaw}."]
    assert "keys.pepper" in other.flaw
    caplog.clear()
    with pytest.raises(ApiError) as caught:
        await other.look_up(_given(new_secret("inference")))
    assert (caught.value.status, caught.value.code) == (503, "keys_unreadable")
    with pytest.raises(ApiError) as caught:
        await keys.look_up(_given(new_secret("inference")))
    assert caught.value.status == 401


async def test_a_store_that_is_away_is_compared_with_when_it_is_back(
    store: Store, quiet_log: pytest.LogCaptureFixture
) -> None:
    counted = CountedStore(store)
    await Keys(MASTER, Register(store, PEPPER), PEPPER).compare()
    other = Keys(MASTER, Register(counted, b"another"), b"another")
    counted.is_away = True
    await other.compare()
    assert not other.flaw
    counted.is_away = False
    await other.compare()
    assert other.flaw
    quiet_log.clear()
