"""`/admin/v1/limits`: what the settings limit, what is set in their place, and how much of it is used."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from gateway.admission import general
from gateway.api.admin import changes, usage
from gateway.keys import Actor
from gateway.store import Store
from tests.gateway.admin.conftest import Asks
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend, Call
from tests.gateway.served import Served, asks, backend_settings, route

ROOT = Actor("master")


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
        "gateway": {
            "limits": {"rpm": 5000},
            "set": {},
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
                "set": {},
                "usage": [
                    {
                        "of": "model", "models": "small", "unit": "requests", "window": "1d", "limit": 1000,
                        "used": 2, "remaining": 998,
                    }
                ],
            },
            "other": {"limits": {}, "set": {}, "usage": []},
        },
    }  # fmt: skip


async def test_what_is_set_holds_in_place_of_the_settings_until_it_is_cleared(ask: Asks) -> None:
    shown = (await ask("PATCH", "/limits", {"gateway": {"tpm": 7}, "models": {"small": {"rpd": 9}}})).json()
    assert (shown["gateway"]["limits"], shown["gateway"]["set"]) == ({"rpm": 5000, "tpm": 7}, {"tpm": 7})
    assert shown["models"]["small"]["limits"] == {"rpd": 9}
    burst = {"gateway": {"burst": {"requests": 5}, "tpm": None}, "models": {"other": {"concurrency": 1}}}
    shown = (await ask("PATCH", "/limits", burst)).json()
    assert shown["gateway"]["limits"] == {"rpm": 5000, "burst": {"requests": 5}}
    assert [use["window"] for use in shown["gateway"]["usage"]] == ["1m", "1s"]
    assert shown["models"]["small"]["limits"] == {"rpd": 9}  # what is absent stays
    assert shown["models"]["other"]["usage"][0]["remaining"] == 1
    shown = (await ask("PATCH", "/limits", {"gateway": {"burst": {"requests": None}}})).json()
    assert (shown["gateway"]["limits"], shown["gateway"]["set"]) == ({"rpm": 5000}, {})
    shown = (await ask("PATCH", "/limits", {"models": {"small": None, "other": None}})).json()
    assert {name: its["limits"] for name, its in shown["models"].items()} == {
        "small": {"rpd": 1000},
        "other": {},
    }
    await ask("PATCH", "/limits", {"gateway": {"rpm": 1}, "models": {"small": {"rpd": 1}}})
    shown = (await ask("PATCH", "/limits", {"gateway": None, "models": None})).json()
    assert shown["gateway"]["set"] == shown["models"]["small"]["set"] == {}


async def test_every_change_stands_in_the_audit_log_and_one_that_changes_nothing_does_not(ask: Asks) -> None:
    for _ in range(2):
        await ask("PATCH", "/limits", {"gateway": {"rpm": 1}, "models": {"small": {"rpd": 2}}})
    await ask("PATCH", "/limits", {"models": {"small": None}})
    second, first = (await ask("GET", "/audit")).json()["data"]
    assert (first["action"], first["subject"], first["actor"]) == ("limits.update", "limits", "master")
    assert first["changes"] == {"gateway": [{}, {"rpm": 1}], "models.small": [None, {"rpd": 2}]}
    assert second["changes"] == {"models.small": [{"rpd": 2}, None]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"gateway": {"rpm": -1, "rmp": None}}, "gateway.rmp: is no field here (did you mean 'rpm'?)"),
        ({"gateway": {"rpm": "1"}}, "gateway.rpm: should be a whole number"),
        ({"gateway": {"per_model": {}}}, "gateway.per_model: is no field here"),
        ({"gateway": {"burst": {"seconds": 0}}}, "gateway.burst.seconds: should be greater than"),
        ({"gateway": {"burst": 5}}, "gateway.burst: should be an object"),
        ({"gateway": 5}, "gateway: should be an object"),
        (
            {"models": {"small": {"away": "never"}}},
            "models.small.away: should be 'share', 'open' or 'closed'",
        ),
        ({"models": {"nothing": {"rpm": 1}}}, "models.nothing: there is no such model. GET /v1/models"),
        ({"keys": {}}, "keys: is no field here"),
    ],
)
async def test_mistakes_are_told_and_change_nothing(ask: Asks, body: Any, words: str) -> None:
    refused = await ask("PATCH", "/limits", body)
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]
    assert (await ask("GET", "/limits")).json()["gateway"]["set"] == {}
    assert (await ask("GET", "/audit")).json()["data"] == []


async def test_a_model_that_stands_in_no_settings_can_be_limited(ask: Asks, stored: Served) -> None:
    model = asks()["model"]
    shown = (await ask("PATCH", "/limits", {"models": {model: {"rpm": 0}}})).json()
    assert shown["models"][model]["limits"] == {"rpm": 0}
    refused = await stored.chat()
    assert refused.status_code == 429
    assert model in refused.json()["error"]["message"]


async def test_no_more_models_are_set_than_every_worker_reads_at_once(
    ask: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_MOST_MODELS", 1)
    assert (await ask("PATCH", "/limits", {"models": {"small": {"rpm": 1}}})).status_code == 200
    refused = await ask("PATCH", "/limits", {"models": {"other": {"rpm": 1}}})
    assert refused.status_code == 409


async def test_a_key_for_looking_may_not_change_them(ask: Asks, issue: Any) -> None:
    _id, looking = await issue(role="read_only")
    assert (await ask("GET", "/limits", key=looking)).status_code == 200
    assert (await ask("PATCH", "/limits", {"gateway": {"rpm": 1}}, key=looking)).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/limits", "/limits/"])
async def test_other_methods_are_refused(ask: Asks, method: str, path: str) -> None:
    refused = await ask(method, path, {"rpm": 1})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, PATCH")


@pytest.fixture
async def three(serve_stored: Serve, backend: Backend) -> list[Served]:
    """Three workers with one store."""
    return await _three(serve_stored, backend)


async def _three(serve_stored: Serve, backend: Backend) -> list[Served]:
    backend.reply = lambda call: call.result("Hi")
    settings: dict[str, Any] = {
        "backends": {"b": backend_settings(backend.url)},
        "models": {"small": route("b")},
    }
    return [await serve_stored(**settings) for _ in range(3)]


async def _asked(served: Served, secret: str) -> int:
    headers = {"authorization": f"Bearer {secret}"}
    return (await served.client.post("/v1/chat/completions", json=asks(), headers=headers)).status_code


async def test_a_change_is_obeyed_at_the_next_request_on_every_worker_announced_or_not(
    serve_stored: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(general, "_LOOK", 3600.0)
    monkeypatch.setattr(general.General, "changed", lambda _self, _record: None)
    three = await _three(serve_stored, backend)
    register = three[0].gateway.keys.register
    assert register is not None
    _key, secret = await register.create_key({"name": "ci"}, ROOT)
    assert [await _asked(each, secret) for each in three] == [200] * 3
    changed = await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 0}})
    assert changed.status_code == 200
    assert [await _asked(each, secret) for each in three] == [429] * 3
    await three[1].client.patch("/admin/v1/limits", json={"gateway": None})
    assert [await _asked(each, secret) for each in three] == [200] * 3


async def test_who_so_far_asked_without_any_limit_obeys_a_new_one_when_it_is_announced(
    three: list[Served],
) -> None:
    assert [(await each.chat()).status_code for each in three] == [200] * 3
    await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 0}})
    async with asyncio.timeout(PATIENCE):
        for each in three:
            while (await each.chat()).status_code != 429:  # noqa: ASYNC110 - asks, as a client would
                await asyncio.sleep(0.01)


async def test_who_misses_the_announcement_looks_within_a_second(
    serve_stored: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(general.General, "changed", lambda _self, _record: None)
    three = await _three(serve_stored, backend)
    await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 0}})
    began = monotonic()
    while three[2].gateway.doors.general.known.version == 0:  # noqa: ASYNC110 - what wakes it is the time
        await asyncio.sleep(0.01)
    assert monotonic() - began < 3


async def test_a_new_worker_knows_what_is_set_before_its_first_request(
    three: list[Served], serve_stored: Serve, backend: Backend
) -> None:
    await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 0}})
    fresh = await serve_stored(backends={"b": backend_settings(backend.url)})
    assert (await fresh.chat()).status_code == 429


async def test_what_was_used_before_a_change_counts_after_it(three: list[Served]) -> None:
    register = three[0].gateway.keys.register
    assert register is not None
    _key, secret = await register.create_key({"name": "ci"}, ROOT)
    await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 5}})
    assert [await _asked(each, secret) for each in three] == [200] * 3
    await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 4}})
    assert [await _asked(each, secret) for each in three] == [200, 429, 429]


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
    assert shown["gateway"] == {"limits": {}, "set": {}, "usage": []}
    assert list(shown["models"]) == names
    for name, its in shown["models"].items():
        assert [(use["models"], use["unit"], use["remaining"]) for use in its["usage"]] == [
            (name, "requests", 7),
            (name, "concurrency", 2),
        ]


@pytest.mark.parametrize("command", [("DEL", "{ps}:limits"), ("SET", "{ps}:limits", "something else")])
async def test_where_the_record_is_lost_the_settings_hold_again(
    three: list[Served], store: Store, command: tuple[str, ...]
) -> None:
    register = three[0].gateway.keys.register
    assert register is not None
    _key, secret = await register.create_key({"name": "ci"}, ROOT)
    await three[0].client.patch("/admin/v1/limits", json={"gateway": {"rpm": 0}})
    assert [await _asked(each, secret) for each in three] == [429] * 3
    await store.command("DEL", "{ps}:limits")
    await store.command(*command)
    assert [await _asked(each, secret) for each in three] == [200] * 3


async def test_who_changes_them_sees_the_change_though_an_older_look_is_still_on_its_way(
    stored: Served, ask: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    register, known = stored.gateway.keys.register, stored.gateway.doors.general
    assert register is not None
    read, begun, late = register.archive.limits, asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        found = await read()
        begun.set()
        await late.wait()
        return found

    monkeypatch.setattr(register, "limits", slow)
    looking = asyncio.create_task(known.refresh())
    await begun.wait()
    shown = (await ask("PATCH", "/limits", {"gateway": {"rpm": 3}})).json()
    assert shown["gateway"]["limits"] == {"rpm": 3}
    late.set()
    await looking
    assert known.known.gateway == {"rpm": 3}
