"""`GET /v1/key`: what the holder of a key may know of it."""

from collections.abc import Awaitable, Callable
from time import time
from typing import Any

import jsonschema_rs
import pytest

from gateway.api.openapi import document
from tests.gateway.admin.conftest import Asks
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MASTER, Served, asks

Issue = Callable[..., Awaitable[tuple[str, str]]]


async def _own(stored: Served, secret: str, path: str = "/v1/key") -> Any:
    answer = await stored.client.get(path, headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    schema = {"$ref": "#/components/schemas/OwnKeyAnswer", "components": document()["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
    assert secret not in answer.text
    return answer.json()["data"]


async def test_a_holder_sees_limits_used_and_remaining_and_no_secret(
    stored: Served, ask: Asks, issue: Issue, backend: Backend
) -> None:
    def reply(call: Call) -> None:
        call.result("Hi", prompt=10, completion=3)

    backend.reply = reply
    team = (await ask("POST", "/teams", {"name": "web", "models": ["small"], "limits": {"rpd": 9}})).json()
    key_id, secret = await issue(
        team=team["id"], models=["s*"], allowed_ips=["127.0.0.0/8"], quota={"rpm": 5}, expires=time() + 100
    )
    headers = {"authorization": f"Bearer {secret}"}
    answer = await stored.client.post(
        "/v1/chat/completions", json={**asks(), "model": "small"}, headers=headers
    )
    assert answer.status_code == 200
    own = await _own(stored, secret)
    assert (own["id"], own["label"]) == (key_id, f"{secret[:10]}...{secret[-4:]}")
    assert own["team"] == {"id": team["id"], "name": "web", "models": ["small"]}
    assert (own["models"], own["allowed_ips"]) == (["s*"], ["127.0.0.0/8"])
    assert own["expires_at"] is not None
    assert (own["role"], own["is_management_key"], own["limit"]) == ("inference", False, None)
    assert [(use["of"], use["window"], use["used"], use["remaining"]) for use in own["limits"]] == [
        ("key", "1m", 1, 4),
        ("team", "1d", 1, 8),
        ("gateway", "1m", 1, 4999),
        ("model", "1d", 1, 999),
    ]
    assert own["limits"][3]["models"] == "small"


async def test_who_has_no_limits_sees_the_teams_and_those_of_all(
    stored: Served, ask: Asks, issue: Issue
) -> None:
    """Those of the models that it may use, that is; what is set at run time as well."""
    limits = {"tpm": 50, "concurrency": 2, "per_model": {"o*": {"rpm": 3}}}
    team = (await ask("POST", "/teams", {"name": "web", "limits": limits})).json()
    await ask("PATCH", "/limits", {"gateway": {"rpm": None, "tpd": 7}, "models": {"other": {"rpm": 8}}})
    _id, secret = await issue(team=team["id"], models=["other"])
    own = await _own(stored, secret)
    assert [(use["of"], use["models"], use["unit"], use["limit"]) for use in own["limits"]] == [
        ("team", None, "tokens", 50),
        ("team", "o*", "requests", 3),
        ("gateway", None, "requests", 5000),
        ("gateway", None, "tokens", 7),
        ("model", "other", "requests", 8),
        ("team", None, "concurrency", 2),
    ]
    assert all(use["remaining"] == use["limit"] for use in own["limits"])


@pytest.mark.parametrize("path", ["/v1/key", "/key", "/v1/v1/key"])
@pytest.mark.parametrize("role", ["read_only", "admin"])
async def test_every_holder_may_ask_at_every_path(stored: Served, issue: Issue, path: str, role: str) -> None:
    _id, secret = await issue(role=role)
    own = await _own(stored, secret, path)
    assert (own["role"], own["is_management_key"]) == (role, True)
    assert [use["of"] for use in own["limits"]] == ["gateway", "model"]
    assert own["expires_at"] is None


async def test_the_old_secret_of_a_rotated_key_says_when_it_ends(
    stored: Served, ask: Asks, issue: Issue
) -> None:
    key_id, old = await issue()
    new = (await ask("POST", f"/keys/{key_id}/rotate", {"grace": "1h"})).json()
    own = await _own(stored, old)
    assert own["expires_at"] == new["old_secret"]["expires_at"]
    assert own["label"] == new["old_secret"]["redacted"] == f"{old[:10]}...{old[-4:]}"
    own = await _own(stored, new["key"])
    assert (own["expires_at"], own["label"]) == (None, new["redacted"])


async def test_the_operator_sees_an_open_key(stored: Served) -> None:
    own = await _own(stored, MASTER)
    assert (own["id"], own["role"]) == ("master", "admin")
    assert [use["of"] for use in own["limits"]] == ["gateway", "model"]


async def test_a_wrong_key_sees_nothing(stored: Served) -> None:
    for headers in ({"authorization": "Bearer sk-ps-wrong"}, {"authorization": ""}):
        assert (await stored.client.get("/v1/key", headers=headers)).status_code == 401
