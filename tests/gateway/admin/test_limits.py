"""`GET /admin/v1/limits`: what the settings limit, and how much of it is used; set elsewhere."""

import pytest

from gateway.api.admin import usage
from tests.gateway.admin.conftest import Asks
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import Served, asks, backend_settings, route


async def test_limits_are_shown_as_they_hold_with_what_is_used(
    ask: Asks, stored: Served, backend: Backend
) -> None:
    def reply(call: Call) -> None:
        call.result("Hi", prompt=10, completion=3)

    backend.reply = reply
    for model in ("small", "small", "other"):
        answer = await stored.client.post("/v1/chat/completions", json={**asks(), "model": model})
        assert answer.status_code == 200
    shown = (await ask("GET", "/limits")).json()
    assert shown == {
        "object": "limits",
        "set_in": "the gateway's settings, under `limits` and `models.<name>.limits`",
        "gateway": {
            "limits": {"rpm": 5000},
            "usage": [
                {
                    "of": "gateway", "models": None, "unit": "requests", "window": "1m", "limit": 5000,
                    "used": 3, "remaining": 4997,
                }
            ],
        },
        "models": {
            "small": {
                "limits": {"rpd": 1000},
                "usage": [
                    {
                        "of": "model", "models": "small", "unit": "requests", "window": "1d", "limit": 1000,
                        "used": 2, "remaining": 998,
                    }
                ],
            },
            "other": {"limits": {}, "usage": []},
        },
    }  # fmt: skip


@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/limits", "/limits/"])
async def test_to_change_them_is_refused_in_words_that_say_where_they_are_set(
    ask: Asks, method: str, path: str
) -> None:
    refused = await ask(method, path, {"rpm": 1})
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET"
    error = refused.json()["error"]
    assert error["code"] == "method_not_allowed"
    for words in ("under `limits` and `models.<name>.limits`", "penstock.yaml", "PATCH /admin/v1/keys/"):
        assert words in error["message"]
    assert "penstock.yaml" not in (await ask("PUT", "/keys", {})).json()["error"]["message"]


async def test_many_models_are_asked_for_in_several_steps(
    serve_stored: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_AT_ONCE", 2)
    names = [f"m{number}" for number in range(5)]
    served = await serve_stored(
        backends={"b": backend_settings(backend.url)},
        models={name: route("b", limits={"rpm": 7, "concurrency": 2}) for name in names},
    )
    shown = (await served.client.get("/admin/v1/limits")).json()
    assert shown["gateway"] == {"limits": {}, "usage": []}
    assert list(shown["models"]) == names
    for name, its in shown["models"].items():
        assert [(use["models"], use["unit"], use["remaining"]) for use in its["usage"]] == [
            (name, "requests", 7),
            (name, "concurrency", 2),
        ]
