"""Keys over the admin API: made, shown, changed, listed and ended; who may do that, and what it leaves."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.store import Store
from tests.gateway.admin.conftest import Asks, Json
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import Served, asks

Issue = Callable[..., Awaitable[tuple[str, str]]]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_key_is_made_with_its_secret_once(ask: Asks, stored: Served) -> None:
    body = {
        "name": "ci",
        "models": ["small", "@cf/*"],
        "expires_in": "30d",
        "limits": {"rpm": 60, "burst": {"seconds": 2, "requests": 5}, "per_model": {"small": {"tpm": 1000}}},
        "allowed_ips": ["127.0.0.1", "10.1.2.3/8"],
        "metadata": {"who": "ann"},
        "tags": ["nightly"],
        "defaults": {"temperature": 0.2},
    }
    answer = await ask("POST", "/keys", body)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    secret = made.pop("key")
    assert secret.startswith("sk-ps-")
    assert made["redacted"] == f"{secret[:10]}...{secret[-4:]}"
    assert made["allowed_ips"] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert made["limits"] == {
        "rpm": 60,
        "burst": {"seconds": 2.0, "requests": 5},
        "per_model": {"small": {"tpm": 1000}},
    }
    assert made["status"] == "active"
    length = _moment(made["expires_at"]) - _moment(made["created_at"])
    assert abs(length - timedelta(days=30)) <= timedelta(seconds=1)
    shown = (await ask("GET", f"/keys/{made['id']}")).json()
    shown.pop("usage")
    assert shown == made
    [listed] = (await ask("GET", "/keys")).json()["data"]
    assert listed == made
    asked = await stored.client.get("/v1/models", headers={"authorization": f"Bearer {secret}"})
    assert asked.status_code == 200


async def test_a_patch_leaves_what_it_does_not_name_clears_by_null_and_merges_objects(ask: Asks) -> None:
    body = {
        "name": "ci",
        "models": ["a", "b"],
        "expires_in": "1h",
        "limits": {"rpm": 1, "tpm": 2, "per_model": {"a": {"rpm": 3}, "b": {"rpm": 4}}},
        "metadata": {"one": "1", "two": "2"},
        "defaults": {"temperature": 1, "seed": 7},
    }
    made = (await ask("POST", "/keys", body)).json()

    async def changed(patch: Json) -> Json:
        answer = await ask("PATCH", f"/keys/{made['id']}", patch)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    assert (await changed({}))["limits"] == made["limits"]
    key = await changed({"limits": {"rpm": 10, "tpm": None}})
    assert key["limits"] == {"rpm": 10, "per_model": {"a": {"rpm": 3}, "b": {"rpm": 4}}}
    key = await changed({"limits": {"per_model": {"a": None, "c": {"rpm": 5}}}})
    assert key["limits"] == {"rpm": 10, "per_model": {"b": {"rpm": 4}, "c": {"rpm": 5}}}
    key = await changed({"metadata": {"one": None, "three": "3", "never": None}, "models": ["c"]})
    assert (key["metadata"], key["models"]) == ({"two": "2", "three": "3"}, ["c"])
    key = await changed({"defaults": {"seed": None}, "expires_at": None, "tags": ["x"]})
    assert (key["defaults"], key["expires_at"], key["tags"]) == ({"temperature": 1.0}, None, ["x"])
    key = await changed(dict.fromkeys(["limits", "metadata", "models", "defaults", "tags"]))
    assert (key["limits"], key["metadata"], key["models"], key["defaults"], key["tags"]) == (
        {},
        {},
        None,
        {},
        [],
    )
    assert key["name"] == "ci"


async def test_a_patch_is_merged_with_the_key_as_it_is_when_it_is_changed(ask: Asks, stored: Served) -> None:
    made = (await ask("POST", "/keys", {"name": "ci", "limits": {"rpm": 1}})).json()
    register = stored.gateway.keys.register
    assert register is not None
    read = register.archive.key
    meddled = False

    async def read_before_another_changes_it(key_id: str) -> Any:
        nonlocal meddled
        found = await read(key_id)
        if not meddled:
            meddled = True
            await ask("PATCH", f"/keys/{key_id}", {"limits": {"tpm": 5}})
        return found

    register.archive.key = read_before_another_changes_it  # type: ignore[method-assign]
    answer = await ask("PATCH", f"/keys/{made['id']}", {"limits": {"rpm": 2}})
    assert answer.json()["limits"] == {"rpm": 2, "tpm": 5}


async def test_an_expired_key_may_be_changed_without_a_word_about_its_expiry(ask: Asks, issue: Issue) -> None:
    key_id, _secret = await issue(expires=1.0)
    answer = await ask("PATCH", f"/keys/{key_id}", {"name": "old"})
    assert (answer.status_code, answer.json()["status"]) == (200, "expired")
    assert (await ask("PATCH", f"/keys/{key_id}", {"expires_in": "1d"})).json()["status"] == "active"


async def test_a_rotated_key_has_two_secrets_until_the_grace_is_over(ask: Asks) -> None:
    made = (await ask("POST", "/keys", {"name": "ci"})).json()
    turned = (await ask("POST", f"/keys/{made['id']}/rotate", {"grace": "1h"})).json()
    assert turned["id"] == made["id"]
    assert turned["key"] != made["key"]
    assert turned["old_secret"]["redacted"] == made["redacted"]
    for secret in (made["key"], turned["key"]):
        assert (await ask("POST", "/keys/verify", {"key": secret})).json()["valid"]
    last = (await ask("POST", f"/keys/{made['id']}/rotate", {"grace": 0})).json()
    assert last["old_secret"] is None
    verdict = (await ask("POST", "/keys/verify", {"key": turned["key"]})).json()
    assert (verdict["valid"], verdict["reason"]) == (False, "unknown")
    default = (await ask("POST", f"/keys/{made['id']}/rotate")).json()["old_secret"]["expires_at"]
    hours = (_moment(default) - datetime.now(UTC)) / timedelta(hours=1)
    assert 23.9 < hours <= 24


async def test_a_key_is_disabled_enabled_and_revoked_twice(ask: Asks) -> None:
    made = (await ask("POST", "/keys", {"name": "ci"})).json()
    place = f"/keys/{made['id']}"
    for verb, status, reason in (("disable", "disabled", "disabled"), ("enable", "active", None)):
        assert (await ask("POST", f"{place}/{verb}")).json()["status"] == status
        verdict = (await ask("POST", "/keys/verify", {"key": made["key"]})).json()
        assert (verdict["reason"], verdict["key"]["id"]) == (reason, made["id"])
    revoked = await ask("DELETE", place)
    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    again = await ask("DELETE", place)
    assert (again.status_code, again.json()) == (200, revoked.json())
    for method, path in (("PATCH", place), ("POST", f"{place}/rotate"), ("POST", f"{place}/enable")):
        refused = await ask(method, path, {"name": "x"} if method == "PATCH" else None)
        assert refused.status_code == 409
        assert "make a new one" in refused.json()["error"]["message"]
    assert (await ask("GET", "/keys")).json()["data"] == []
    [shown] = (await ask("GET", "/keys?status=revoked")).json()["data"]
    assert shown["revoked_at"] is not None


async def test_a_key_made_elsewhere_goes_on_working(ask: Asks) -> None:
    secret = "sk-Hc8wGZ0mVw2m1234"
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    refused = await ask("POST", "/keys/import", {"name": "old", "sha256": sha256[:-1]})
    assert refused.json()["error"]["param"] == "sha256"
    body = {"name": "old", "sha256": sha256, "redacted": "sk-...1234", "limits": {"rpm": 5}}
    answer = await ask("POST", "/keys/import", body)
    assert answer.status_code == 201
    assert (answer.json()["redacted"], answer.json()["limits"]) == ("sk-...1234", {"rpm": 5})
    assert "key" not in answer.json()
    verdict = (await ask("POST", "/keys/verify", {"key": secret})).json()
    assert (verdict["valid"], verdict["key"]["id"]) == (True, answer.json()["id"])
    assert (await ask("GET", "/keys", key=secret)).status_code == 403
    again = await ask("POST", "/keys/import", body)
    assert (again.status_code, "here already" in again.json()["error"]["message"]) == (409, True)


async def test_what_is_not_there_is_told_with_what_to_do(ask: Asks) -> None:
    answer = await ask("GET", "/keys/key_unknown")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "There is no key with the id 'key_unknown'. GET /admin/v1/keys lists what there is.",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }
    for body in ({"name": "x", "team": "team_none"}, {"name": "x", "team": "team_none", "tags": []}):
        refused = (await ask("POST", "/keys", body)).json()["error"]
        assert (refused["param"], "team_none" in refused["message"]) == ("team", True)
    made = (await ask("POST", "/keys", {"name": "ci"})).json()
    refused = (await ask("PATCH", f"/keys/{made['id']}", {"team": "team_none"})).json()["error"]
    assert refused["param"] == "team"
    assert (await ask("PATCH", "/keys/key_none", {"team": "team_none"})).status_code == 404


async def test_paths_and_methods_that_are_none(ask: Asks) -> None:
    assert (await ask("GET", "/kyes")).status_code == 404
    assert (await ask("GET", "x/keys")).status_code == 404
    refused = await ask("PUT", "/keys", {})
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, POST"
    assert refused.json()["error"]["code"] == "method_not_allowed"
    assert (await ask("TRACE", "/keys")).status_code == 405
    assert (await ask("HEAD", "/keys")).status_code == 200


async def test_lists_are_read_in_parts_while_others_make_and_end_keys(ask: Asks) -> None:
    names = [f"k{number}" for number in range(9)]
    for name in names:
        await ask("POST", "/keys", {"name": name})
    seen: list[Json] = []
    after = ""
    while True:
        part = (await ask("GET", f"/keys?limit=2{after}")).json()
        seen += part["data"]
        await ask("POST", "/keys", {"name": "made meanwhile"})
        await ask("DELETE", f"/keys/{seen[0]['id']}")
        if not part["has_more"]:
            break
        after = f"&after={part['next']}"
    assert [key["name"] for key in seen] == names[::-1]


@pytest.mark.parametrize("after", ["key_none", "garbage", "team_0", "{ps}:keys", "%00"])
async def test_a_list_does_not_begin_behind_what_is_not_there(ask: Asks, after: str) -> None:
    await ask("POST", "/keys", {"name": "ci"})
    for path in ("keys", "teams", "audit"):
        refused = await ask("GET", f"/{path}?after={after}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "after")


@pytest.mark.parametrize("after", ["0-0", "18446744073709551616-0", "0-99999999999999999999"])
async def test_a_cursor_that_the_store_cannot_read_is_no_failure_of_the_store(
    ask: Asks, stored: Served, after: str
) -> None:
    refused = await ask("GET", f"/audit?after={after}")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "after")
    assert isinstance(stored.gateway.store, Store)
    assert not any(count for _kind, count in stored.gateway.store.failures.items())
    last = await ask("GET", "/audit?after=18446744073709551615-18446744073709551615")
    assert last.status_code == 200


async def test_lists_are_narrowed(ask: Asks) -> None:
    team = (await ask("POST", "/teams", {"name": "web"})).json()["id"]
    one = (await ask("POST", "/keys", {"name": "Alpha", "tags": ["nightly"]})).json()["id"]
    two = (await ask("POST", "/keys", {"name": "beta", "team": team})).json()["id"]
    await ask("POST", f"/keys/{one}/disable")

    async def listed(query: str) -> list[str]:
        return [key["id"] for key in (await ask("GET", f"/keys?{query}")).json()["data"]]

    assert await listed("q=alp") == [one]
    assert await listed("q=NIGHT") == [one]
    assert await listed(f"team={team}") == [two]
    assert await listed("status=disabled") == [one]
    assert await listed("status=active&q=alp") == []
    refused = (await ask("GET", "/keys?status=actve&limt=3&limit=0")).json()["error"]
    assert refused["message"] == (
        "status: should be 'active', 'disabled', 'expired' or 'revoked' (did you mean 'active'?); "
        "limit: should be greater than or equal to 1; limt: is no field here (did you mean 'limit'?)."
    )


async def test_usage_is_shown_beside_the_limits(ask: Asks, stored: Served, backend: Backend) -> None:
    def reply(call: Call) -> None:
        call.result("Hi", prompt=10, completion=3)

    backend.reply = reply
    team = (await ask("POST", "/teams", {"name": "web", "limits": {"tpm": 50_000}})).json()["id"]
    limits = {"rpm": 10, "concurrency": 2, "per_model": {"small": {"rpd": 5}, "other": {"rpd": 5}}}
    made = (await ask("POST", "/keys", {"name": "ci", "team": team, "limits": limits})).json()
    for _ in range(2):
        answer = await stored.client.post(
            "/v1/chat/completions",
            json={**asks(), "model": "small"},
            headers={"authorization": f"Bearer {made['key']}"},
        )
        assert answer.status_code == 200
    await stored.settled()
    await stored.gateway.doors.admission.stop()
    usage = (await ask("GET", f"/keys/{made['id']}")).json()["usage"]
    shown = [
        (use["of"], use["models"], use["unit"], use["window"], use["used"], use["remaining"]) for use in usage
    ]
    assert shown == [
        ("key", None, "requests", "1m", 2, 8),
        ("key", "small", "requests", "1d", 2, 3),
        ("key", "other", "requests", "1d", 0, 5),
        ("team", None, "tokens", "1m", 26, 49_974),
        ("key", None, "concurrency", None, 0, 2),
    ]


async def test_roles_say_who_may_do_what(ask: Asks, issue: Issue) -> None:
    keys = {role: await issue(role=role) for role in ("inference", "read_only", "admin")}
    words = {"inference": "may not use the admin API", "read_only": "may only read"}
    for role, (_id, secret) in keys.items():
        read = await ask("GET", "/keys", key=secret)
        assert read.status_code == (403 if role == "inference" else 200)
        for method, path in (
            ("POST", "/keys"),
            ("POST", "/keys/verify"),
            ("DELETE", "/keys/key_x"),
            ("PATCH", "/teams/t"),
        ):
            changed = await ask(method, path, {"name": "x"}, key=secret)
            if role == "admin":
                assert changed.status_code != 403
            else:
                assert changed.status_code == 403
                assert words[role] in changed.json()["error"]["message"]
    assert (await ask("GET", "/keys", key="sk-ps-wrong")).status_code == 401


async def test_a_revoked_admin_key_changes_nothing_any_more(ask: Asks, issue: Issue, stored: Served) -> None:
    key_id, secret = await issue(role="admin")
    assert (await ask("GET", "/keys", key=secret)).status_code == 200
    stored.gateway.keys.changed = lambda _record: None  # type: ignore[method-assign]  # no word of it arrives
    assert (await ask("DELETE", f"/keys/{key_id}", key=secret)).status_code == 200
    assert (await ask("POST", "/keys", {"name": "x"}, key=secret)).status_code == 401


async def test_every_change_is_in_the_audit_log_without_a_secret(ask: Asks, issue: Issue) -> None:
    admin, secret = await issue(role="admin")

    async def does(method: str, path: str, body: Json | None = None) -> Json:
        return dict((await ask(method, path, body, key=secret)).json())

    team = (await does("POST", "/teams", {"name": "web"}))["id"]
    made = await does("POST", "/keys", {"name": "ci"})
    place = f"/keys/{made['id']}"
    await does("PATCH", place, {"team": team, "limits": {"rpm": 5}})
    turned = await does("POST", f"{place}/rotate")
    await does("POST", f"{place}/disable")
    await does("POST", f"{place}/enable")
    await does("DELETE", place)
    await does("PATCH", f"/teams/{team}", {"name": "site"})
    await does("POST", f"/teams/{team}/disable")
    await does("POST", f"/teams/{team}/enable")
    await does("DELETE", f"/teams/{team}")
    first = await does("GET", "/audit?limit=5")
    rest = await does("GET", f"/audit?after={first['next']}")
    log = [*first["data"], *rest["data"]]
    assert [change["action"] for change in reversed(log)] == [
        "key.create", "team.create", "key.create", "key.update", "key.rotate", "key.disable", "key.enable",
        "key.revoke", "team.update", "team.disable", "team.enable", "team.delete",
    ]  # fmt: skip
    assert {(change["actor"], change["address"]) for change in log[:-1]} == {(admin, "127.0.0.1")}
    assert log[8]["changes"] == {"team": [None, team], "quota": [None, {"rpm": 5}]}
    assert not any(each in str(log) for each in (secret, made["key"], turned["key"]))


async def test_teams_are_changed_like_keys_and_end_after_them(ask: Asks) -> None:
    team = (await ask("POST", "/teams", {"name": "web", "limits": {"rpm": 5}, "models": ["small"]})).json()
    place = f"/teams/{team['id']}"
    changed = (await ask("PATCH", place, {"limits": {"rpm": None, "tpm": 9}, "models": None})).json()
    assert (changed["limits"], changed["models"], changed["name"]) == ({"tpm": 9}, None, "web")
    [use] = (await ask("GET", place)).json()["usage"]
    assert (use["of"], use["unit"], use["remaining"]) == ("team", "tokens", 9)
    key = (await ask("POST", "/keys", {"name": "ci", "team": team["id"]})).json()
    await ask("POST", f"{place}/disable")
    verdict = (await ask("POST", "/keys/verify", {"key": key["key"]})).json()
    assert verdict["reason"] == "team_disabled"
    refused = await ask("DELETE", place)
    assert (refused.status_code, key["id"] in refused.json()["error"]["message"]) == (409, True)
    await ask("DELETE", f"/keys/{key['id']}")
    for _ in range(2):
        assert (await ask("DELETE", place)).json()["status"] == "revoked"
    refused = await ask("POST", "/keys", {"name": "late", "team": team["id"]})
    assert refused.json()["error"]["param"] == "team"
    assert (await ask("GET", "/teams")).json()["data"] == []


async def test_without_a_store_the_words_say_so(serve: Any, backend: Backend) -> None:
    served = await serve(
        backends={"b": {"kind": "workers_ai", "account_id": "a", "api_token": "t", "base_url": backend.url}}
    )
    answer = await served.client.get("/admin/v1/keys")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
