"""`/admin/v1/backends`: how the backends are doing; they are drained and set aside, and taken up again."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.health import Asides, Told
from gateway.health.asides import Found
from tests.gateway.admin.conftest import Asks
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend
from tests.gateway.served import MODEL, TOKEN, Served, backend_settings, route
from translators.errors import ApiError

BUSY = ApiError(429, "busy", code="rate_limit_exceeded", retry_after=100)


@pytest.fixture
async def pair(serve_stored: Serve, backend: Backend, second: Backend) -> list[Served]:
    """Two workers, each before the same two backends."""
    for each in (backend, second):
        each.reply = lambda call: call.result("Hi")
    settings: dict[str, Any] = {
        "backends": {
            "first": backend_settings(backend.url, catalogue="listed"),
            "second": backend_settings(second.url, max_in_flight=8, breaker={"wait": 60}),
        },
        "models": {"small": route("first", "second")},
    }
    return [await serve_stored(**settings) for _ in range(2)]


async def _told(served: Served, method: str, path: str, body: Any = None) -> Any:
    answer = await served.client.request(method, f"/admin/v1{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _answers(served: Served) -> str:
    """Which backend answers a chat."""
    answer = await served.chat(model="small")
    assert answer.status_code == 200
    return answer.headers["x-penstock-backend"]


async def _follows(served: Served, backend: str) -> None:
    """Wait until a worker has heard of a change, after which it asks another backend."""
    async with asyncio.timeout(PATIENCE):
        while await _answers(served) != backend:  # noqa: ASYNC110 - asks, as a client would
            await asyncio.sleep(0.01)


async def test_a_drained_backend_gets_nothing_new_on_all_workers_until_it_is_undrained(
    pair: list[Served],
) -> None:
    one, other = pair
    assert await _answers(one) == await _answers(other) == "first"
    shown = await _told(one, "POST", "/backends/first/drain", {"why": "a new driver"})
    assert shown["drained"] == {"why": "a new driver"}
    assert await _answers(one) == "second"
    await _follows(other, "second")
    listed = await _told(other, "GET", "/backends")
    assert [each["drained"] for each in listed["data"]] == [{"why": "a new driver"}, None]
    assert (await _told(other, "POST", "/backends/first/undrain"))["drained"] is None
    assert await _answers(other) == "first"
    await _follows(one, "first")


async def test_of_a_drained_model_others_at_the_backend_know_nothing(pair: list[Served]) -> None:
    one, _other = pair
    shown = await _told(one, "POST", "/backends/first/drain", {"model": MODEL})
    assert shown["drained"] is None
    assert [(each["model"], each["drained"]) for each in shown["models"]] == [(MODEL, {"why": ""})]
    assert await _answers(one) == "second"
    assert (await _told(one, "POST", "/backends/first/undrain"))["models"][0]["drained"] is not None
    await _told(one, "POST", "/backends/first/undrain", {"model": MODEL})
    assert await _answers(one) == "first"


async def test_what_is_set_aside_is_left_alone_for_so_long_or_until_it_is_taken_back(
    pair: list[Served],
) -> None:
    one, other = pair
    shown = await _told(one, "POST", "/backends/first/aside", {"seconds": "15m", "why": "it restarts"})
    assert (shown["aside"]["why"], shown["aside"]["may_look"], shown["drained"]) == (
        "it restarts",
        False,
        None,
    )
    await _follows(other, "second")
    assert (await _told(other, "DELETE", "/backends/first/aside"))["aside"] is None
    await _follows(one, "first")
    await _told(one, "POST", "/backends/first/aside", {"seconds": 900, "model": MODEL})
    assert await _answers(one) == "second"
    taken = await _told(one, "DELETE", f"/backends/first/aside?model={MODEL}")
    assert [each["aside"] for each in taken["models"]] == [None]


async def test_a_refusal_undoes_no_drain_nor_does_taking_back_what_it_set_aside(pair: list[Served]) -> None:
    one, _other = pair
    await _told(one, "POST", "/backends/first/drain", {"model": MODEL})
    asides = one.gateway.dispatch.asides
    asides.note("first", MODEL, BUSY)
    await asyncio.gather(*asides._tasks)
    (model,) = (await _told(one, "GET", "/backends"))["data"][0]["models"]
    assert model["drained"] == {"why": ""}
    assert model["aside"]["why"] == "rate_limit_exceeded"
    (model,) = (await _told(one, "DELETE", f"/backends/first/aside?model={MODEL}"))["models"]
    assert (model["drained"], model["aside"]) == ({"why": ""}, None)
    assert await _answers(one) == "second"


async def test_the_list_tells_how_each_is_doing_and_no_secret(pair: list[Served]) -> None:
    one, _other = pair
    assert await _answers(one) == "first"
    health = one.gateway.dispatch.balancer.health
    breaker = health.of("second", MODEL).breaker
    breaker.is_down(asyncio.get_running_loop().time())
    health.backends["second"].told = Told(requests=7, saturation=0.5)
    answer = await one.client.get("/admin/v1/backends")
    first, second = answer.json()["data"]
    assert (first["name"], first["kind"], first["in_flight"]) == ("first", "workers_ai", 0)
    assert first["first_token"] > 0
    assert (first["server"], first["probe"], first["lists"], first["load"]) == (None, None, None, None)
    assert first["breaker"] == {"state": "closed", "seconds": None}
    assert (second["max_in_flight"], second["load"]) == (8, {"requests": 7, "saturation": 0.5})
    (model,) = second["models"]
    assert model["breaker"]["state"] == "open"
    assert 0 < model["breaker"]["seconds"] <= 60
    assert answer.json()["worker"]
    assert TOKEN not in answer.text
    assert "127.0.0.1" not in answer.text


async def test_of_a_server_it_tells_what_looks_at_it_have_found(
    serve_stored: Serve, backend: Backend
) -> None:
    own = {"kind": "openai", "server": "generic", "base_url": f"{backend.url}/v1", "api_key": TOKEN}
    served = await serve_stored(backends={"quiet": {**own, "probe": 0}, "asked": {**own, "probe": 60}})
    served.gateway.routes.found("asked", {"llama": 8192, "qwen": None})
    quiet, asked = (await _told(served, "GET", "/backends"))["data"]
    assert (quiet["server"], quiet["probe"], quiet["lists"]) == ("generic", "off", None)
    assert asked["lists"] == 2
    for is_up, words in ((True, "up"), (False, "down"), (None, "unknown")):
        served.gateway.probes[1].is_up = is_up
        assert (await _told(served, "GET", "/backends"))["data"][1]["probe"] == words


async def test_changes_stand_in_the_audit_log_each_once(pair: list[Served]) -> None:
    one, other = pair
    await _told(one, "POST", "/backends/first/drain", {"why": "repair"})
    await _told(other, "POST", "/backends/first/drain", {"why": "repair"})
    await _told(one, "POST", "/backends/first/undrain")
    await _told(other, "POST", "/backends/first/undrain")
    await _told(one, "POST", "/backends/second/aside", {"seconds": 60, "model": MODEL})
    await _told(one, "DELETE", f"/backends/second/aside?model={MODEL}")
    entries = (await _told(one, "GET", "/audit"))["data"]
    assert [(each["action"], each["subject"], each["actor"]) for each in reversed(entries)] == [
        ("backend.drain", "first", "master"),
        ("backend.undrain", "first", "master"),
        ("backend.aside", f"second {MODEL}", "master"),
        ("backend.take_back", f"second {MODEL}", "master"),
    ]
    taken_back, aside, undrained, drained = (each["changes"] for each in entries)
    assert drained == {"drained": [None, True], "why": [None, "repair"]}
    assert undrained == {"drained": [True, None], "why": ["repair", None]}
    assert aside == {"until": [None, taken_back["until"][0]]}


async def test_a_change_by_somebody_else_in_between_is_kept_in_the_log(
    pair: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    asides = one.gateway.dispatch.asides
    find, meanwhile = asides.find, ["of others"]

    async def overtaken(place: str) -> Found:
        there = await find(place)
        if meanwhile:
            await _told(other, "POST", "/backends/first/drain", {"why": meanwhile.pop()})
        return there

    monkeypatch.setattr(asides, "find", overtaken)
    await _told(one, "POST", "/backends/first/drain", {"why": "ours"})
    ours, theirs = (await _told(one, "GET", "/audit"))["data"]
    assert theirs["changes"]["why"] == [None, "of others"]
    assert ours["changes"] == {"why": ["of others", "ours"]}


async def test_a_backend_that_others_change_all_the_time_is_a_conflict(
    pair: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_given: Any) -> bool:
        return False

    monkeypatch.setattr(Asides, "change", never)
    refused = await pair[0].client.post("/admin/v1/backends/first/drain", json={})
    assert refused.status_code == 409
    assert "try again" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("nobody/drain", {}, 404, "There is no backend 'nobody'"),
        ("nobody/aside", {"seconds": 1}, 404, "GET /admin/v1/backends lists what there is"),
        ("nobody/undrain", {}, 404, "There is no backend 'nobody'"),
        ("first/drain", {"model": "no-such"}, 400, "no route asks 'first' for this model"),
        ("first/drain", {"way": "x"}, 400, "way: is no field here"),
        ("first/drain", {"why": " x"}, 400, "why: should be one line"),
        ("first/aside", {}, 400, "seconds: "),
        ("first/aside", {"seconds": 0}, 400, "seconds: should be more than nothing"),
        ("first/aside", {"seconds": "31d"}, 400, "drain what is to stay away for longer"),
        ("first/aside", {"seconds": "soon"}, 400, "seconds: should be a time such as"),
        ("first/undrain", {"why": "x"}, 400, "why: is no field here"),
    ],
)  # fmt: skip
async def test_mistakes_are_told_with_what_to_do(
    pair: list[Served], path: str, body: Any, status: int, words: str
) -> None:
    refused = await pair[0].client.post(f"/admin/v1/backends/{path}", json=body)
    assert refused.status_code == status
    assert words in refused.json()["error"]["message"]
    assert (await _told(pair[0], "GET", "/audit"))["data"] == []


async def test_any_model_of_an_open_catalogue_can_be_drained_and_any_that_a_server_lists(
    serve_stored: Serve, backend: Backend
) -> None:
    own = {"kind": "openai", "base_url": f"{backend.url}/v1", "probe": 0}
    served = await serve_stored(backends={"cloud": backend_settings(backend.url), "own": own})
    await _told(served, "POST", "/backends/cloud/drain", {"model": "@cf/meta/any"})
    await _told(served, "POST", "/backends/own/drain", {"model": "not-looked-yet"})
    served.gateway.routes.found("own", {"llama": None})
    await _told(served, "POST", "/backends/own/drain", {"model": "llama"})
    refused = await served.client.post("/admin/v1/backends/own/drain", json={"model": "lama"})
    assert refused.status_code == 400


async def test_a_key_for_looking_may_look_and_change_nothing(ask: Asks, issue: Any) -> None:
    _id, looking = await issue(role="read_only")
    _id, asking = await issue()
    assert (await ask("GET", "/backends", key=looking)).status_code == 200
    assert (await ask("GET", "/backends", key=asking)).status_code == 403
    changes = [("POST", "drain"), ("POST", "undrain"), ("POST", "aside"), ("DELETE", "aside")]
    for method, what in changes:
        refused = await ask(method, f"/backends/b/{what}", key=looking)
        assert refused.status_code == 403, what


async def test_other_methods_are_refused(ask: Asks) -> None:
    refused: httpx.Response = await ask("PUT", "/backends/b/aside")
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, POST")
