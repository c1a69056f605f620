"""No secret, and nothing that one is stored under, is in any answer or line but the one that makes it."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from gateway.keys.secrets import new_secret
from tests.gateway.admin.conftest import Asks, Json
from tests.gateway.served import MASTER, Served

PEPPER = b"a pepper of the tests"
FOREIGN = "sk-Hc8wGZ0mVw2m1234"


def _traces(secret: str) -> set[str]:
    """What gives a secret away, and what would help to guess at it."""
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    digests = {hmac.digest(PEPPER, each.encode(), "sha256").hex() for each in (secret, sha256)}
    return {secret, sha256, *digests}


async def test_a_secret_is_in_the_answer_that_makes_it_and_nowhere_else(
    ask: Asks,
    stored: Served,
    access_lines: Callable[[], list[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    async def does(method: str, path: str, body: Json | None = None, **more: str) -> Json:
        answer = await ask(method, path, body, **more)
        told.extend((answer.text, str(answer.headers)))
        return dict(answer.json())

    made = (await ask("POST", "/keys", {"name": "ci", "role": "admin", "limits": {"rpm": 500}})).json()
    place = f"/keys/{made['id']}"
    turned = (await ask("POST", f"{place}/rotate", {"grace": "1h"})).json()
    sha256 = hashlib.sha256(FOREIGN.encode()).hexdigest()
    await does("POST", "/keys/import", {"name": "old", "sha256": sha256})
    await does("POST", "/keys/import", {"name": "old", "sha256": sha256})
    secrets = (made["key"], turned["key"], FOREIGN, new_secret("admin"))
    for secret in secrets:
        await does("POST", "/keys/verify", {"key": secret})
        await does("POST", "/keys/verify", {"key": secret, "nonsense": secret[:6]})
        await does("GET", f"/keys/{secret}")
        await does("GET", f"/keys/{secret}", key="sk-ps-wrong")
        await does("PATCH", f"/teams/{secret}", {"name": "x"})
        await does("GET", f"/keys?after={quote(secret)}")
        await does("GET", f"/keys?team={quote(secret)}")
        await does("POST", "/keys", {"name": "x", "team": secret})
        await does("GET", "/audit?limit=100", key=secret)
    for path in (place, "/keys", "/teams", "/limits", "/audit?limit=100"):
        await does("GET", path)
    await does("PATCH", place, {"name": "other"})
    await does("POST", f"{place}/disable")
    await does("DELETE", place)
    own = await stored.client.get("/v1/key", headers={"authorization": f"Bearer {FOREIGN}"})
    assert own.status_code == 200
    await stored.settled()
    stored.gateway.log.flush()
    lines = access_lines()
    assert len(lines) > len(secrets)
    whole = "\n".join([*told, own.text, str(lines), caplog.text])
    for secret in (*secrets, MASTER):
        assert not [each for each in _traces(secret) if each in whole]
