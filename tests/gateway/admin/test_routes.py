"""`/admin/v1/routes/explain` says what a request would meet, and a request then meets that."""

import asyncio
import copy
from typing import Any

import pytest

from gateway.routing import MOST_TARGETS
from tests.gateway.admin.conftest import Asks
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MODEL, Served, asks, backend_settings, route

Json = dict[str, Any]
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def _explained(served: Served, model: str = "small", body: Json | None = None) -> Json:
    given: Json = {"model": model} if body is None else {"model": model, "body": body}
    answer = await served.client.post("/admin/v1/routes/explain", json=given)
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


def _order(told: Json) -> list[str]:
    return [each["backend"] for each in told["targets"] if each["place"] is not None]


def _obstacles(told: Json) -> dict[str, str]:
    return {each["backend"]: each["obstacle"]["why"] for each in told["targets"] if each["obstacle"]}


@pytest.fixture
async def many(serve_stored: Serve, backend: Backend) -> Served:
    """Five targets in two tiers, all at one address."""
    backend.reply = lambda call: call.result("Hi")
    names = ("a", "b", "c", "d", "e")
    targets = [{"backend": name, "model": MODEL, "tier": 2 if name == "e" else 1} for name in names]
    return await serve_stored(
        backends={name: backend_settings(backend.url, breaker={"wait": 60}) for name in names},
        models={
            balance: {"targets": targets, "balance": balance}
            for balance in ("ordered", "weighted", "least_loaded", "fastest", "prefix")
        },
    )


async def test_the_targets_are_told_in_their_order_and_those_beyond_the_most_are_marked(many: Served) -> None:
    told = await _explained(many, "ordered")
    assert _order(told) == ["a", "b", "c", "d", "e"]
    assert [each["place"] for each in told["targets"]] == [1, 2, 3, 4, 5]
    assert [each["asked"] for each in told["targets"]] == [True, True, True, False, False]
    assert told["most_targets"] == MOST_TARGETS == 3
    assert [each["tier"] for each in told["targets"]] == [1, 1, 1, 1, 2]
    assert told["targets"][0]["why"] == "the first of its tier that can be asked"
    assert told["targets"][4]["why"] == "the only one of its tier that is left"
    assert told["worker"]
    assert (told["balance"], told["needs"], told["tokens"]) == ("ordered", [], 0)


@pytest.mark.parametrize("balance", ["ordered", "weighted", "least_loaded", "fastest", "prefix"])
async def test_the_next_request_goes_where_it_was_explained_however_often_that_was(
    many: Served, balance: str
) -> None:
    health = many.gateway.dispatch.balancer.health
    for number, condition in enumerate(health.backends.values()):
        condition.in_flight = (3 * number + 2) % 5
        condition.speed.note(0.1 * (5 - number), 0.0)
    policies = many.gateway.dispatch.balancer._policies
    policies._by_chance = False
    for turn in range(6):
        body = asks(f"Hello {turn % 3}")
        before = copy.deepcopy((policies._credit, policies._last))
        explained = [_order(await _explained(many, balance, body)) for _ in range(3)]
        assert explained[0] == explained[1] == explained[2]
        assert (policies._credit, policies._last) == before
        answer = await many.chat(f"Hello {turn % 3}", model=balance)
        assert answer.headers["x-penstock-backend"] == explained[0][0]


async def test_each_policy_says_why(many: Served) -> None:
    health = many.gateway.dispatch.balancer.health
    whys = {}
    for balance in ("weighted", "least_loaded", "fastest"):
        whys[balance] = (await _explained(many, balance))["targets"][0]["why"]
    assert whys["weighted"] == "its turn, by weight: 1 of 4"
    assert whys["least_loaded"] == "the least load: 1, by chance among equals"
    assert whys["fastest"] == "not measured yet, so by load: 1"
    for name, condition in health.backends.items():
        condition.speed.note(0.2 if name == "c" else 0.9, 0.0)
    told = await _explained(many, "fastest")
    assert (_order(told)[0], told["targets"][0]["why"]) == (
        "c",
        "the soonest first token: 0.2 s at a load of 1",
    )


async def test_a_conversation_is_explained_by_its_beginning(many: Served) -> None:
    async def first(body: Json | None) -> tuple[str, str]:
        target = (await _explained(many, "prefix", body))["targets"][0]
        return target["backend"], target["why"]

    unknown = "by the conversation's beginning, which only a body tells"
    assert (await first(None))[1] == unknown
    where, why = await first(asks())
    assert why == "by the hash of the conversation's beginning"
    assert (await many.chat(model="prefix")).headers["x-penstock-backend"] == where
    assert await first(asks()) == (where, "has the conversation's beginning")
    many.gateway.dispatch.balancer.health.backends[where].in_flight = 50
    other, why = await first(asks())
    assert (other != where, why) == (True, "the one with the conversation's beginning has too much to do")


async def test_why_others_would_not_be_asked(many: Served) -> None:
    health, now = many.gateway.dispatch.balancer.health, asyncio.get_running_loop().time()
    client = many.client
    await client.post("/admin/v1/backends/a/drain", json={"why": "a new driver"})
    await client.post(
        "/admin/v1/backends/b/aside", json={"seconds": 60, "why": "it restarts", "model": MODEL}
    )
    health.backends["c"].breaker.is_down(now)
    health.backends["d"].most = health.backends["d"].in_flight = 1
    told = await _explained(many, "ordered")
    assert _order(told) == ["e"]
    assert _obstacles(told) == {"a": "drained", "b": "aside", "c": "open", "d": "full"}
    words = {each["backend"]: each["obstacle"]["words"] for each in told["targets"] if each["obstacle"]}
    assert words["a"] == "is drained: a new driver"
    assert words["b"].startswith("is set aside for ")
    assert words["b"].endswith("s: it restarts")
    assert words["c"].startswith("failed too often: in ")
    assert words["d"] == "is full: as much is in flight there as may be"
    seconds = {each["backend"]: each["obstacle"]["seconds"] for each in told["targets"] if each["obstacle"]}
    assert (seconds["a"], seconds["d"]) == (None, None)
    assert 50 < seconds["b"] <= 60
    assert 0 < seconds["c"] <= 60
    assert not any(each["asked"] for each in told["targets"][1:])
    breaker = health.backends["c"].breaker
    breaker.is_well(now - 1)
    breaker.begin()
    words = {each["backend"]: each["obstacle"] for each in (await _explained(many, "ordered"))["targets"]}
    assert words["c"]["words"].startswith("failed too often: just now a request looks")
    assert (await many.chat(model="ordered")).headers["x-penstock-backend"] == "e"


async def test_what_a_body_needs_decides(serve_stored: Serve, backend: Backend) -> None:
    def own(**more: Any) -> Json:
        return {"kind": "openai", "base_url": f"{backend.url}/v1", "probe": 0, **more}

    served = await serve_stored(
        backends={
            "blind": own(lacks=["vision"]),
            "toolless": own(lacks=["tools"]),
            "loose": own(lacks=["json"]),
            "short": own(window=256),
            "all": own(),
        },
        models={"small": {"targets": [
            {"backend": name, "model": "m"} for name in ("blind", "toolless", "loose", "short", "all")
        ]}},
    )  # fmt: skip
    assert _obstacles(await _explained(served)) == {}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for needed, lacking, body in (
        (["vision"], "blind", {"messages": [{"role": "user", "content": [PICTURE]}]}),
        (["tools"], "toolless", asks(tools=[tool])),
        (["json"], "loose", asks(response_format={"type": "json_object"})),
        ([], "short", asks("a long prompt " * 20_000)),
    ):
        told = await _explained(served, body={"messages": [], **body})
        assert told["needs"] == needed
        assert _obstacles(told) == {lacking: (needed or ["window"])[0]}
        assert lacking not in _order(told)
        assert all(each["refusal"] is None for each in told["targets"] if each["place"])


async def test_a_target_whose_own_limit_is_used_up_has_no_place(
    serve_stored: Serve, backend: Backend
) -> None:
    backend.reply = lambda call: call.result("Hi")
    limited = {"backend": "b", "model": MODEL, "limits": {"rpm": 1}}
    served = await serve_stored(
        backends={"b": backend_settings(backend.url), "c": backend_settings(backend.url)},
        models={"small": {"targets": [limited, {"backend": "c", "model": MODEL}]}},
    )
    told = await _explained(served)
    assert _order(told) == ["b", "c"]
    (use,) = told["targets"][0]["usage"]
    assert (use["of"], use["limit"], use["remaining"]) == ("target", 1, 1)
    assert (await served.chat(model="small")).headers["x-penstock-backend"] == "b"
    told = await _explained(served)
    assert (_order(told), _obstacles(told)) == (["c"], {"b": "limit"})
    assert told["targets"][0]["place"] == 1
    assert told["targets"][1]["obstacle"]["words"] == "has used up its limit of 1 requests in 1m"
    assert (await served.chat(model="small")).headers["x-penstock-backend"] == "c"


async def test_a_routes_only_target_is_asked_although_it_is_set_aside_but_not_while_drained(
    ask: Asks, stored: Served
) -> None:
    await ask("POST", "/backends/b/aside", {"seconds": 60})
    assert _order(await _explained(stored)) == ["b"]
    await ask("POST", "/backends/b/drain", {})
    told = await _explained(stored)
    assert (_order(told), _obstacles(told)) == ([], {"b": "drained"})
    assert (await stored.chat(model="small")).status_code == 503


async def test_fallbacks_are_told_with_the_model_that_answers_and_no_target_twice(
    serve_stored: Serve, backend: Backend
) -> None:
    served = await serve_stored(
        backends={"b": backend_settings(backend.url), "c": backend_settings(backend.url)},
        models={"small": route("b", fallbacks=["large"]), "large": route("c", "b")},
    )
    told = await _explained(served)
    assert [(each["backend"], each["fallback"], each["place"]) for each in told["targets"]] == [
        ("b", None, 1), ("c", "large", 2), ("b", "large", None),
    ]  # fmt: skip
    assert told["targets"][2]["obstacle"]["why"] == "listed_twice"


async def test_what_cannot_be_translated_is_told_as_the_client_would_be(
    serve_stored: Serve, backend: Backend
) -> None:
    served = await serve_stored(
        backends={"b": backend_settings(backend.url)}, models={"small": route("b", translation="strict")}
    )
    body = asks(logit_bias={"50256": -100})
    refused = await served.chat(**{**body, "model": "small"})
    assert refused.status_code == 400
    told = await _explained(served, body=body)
    assert told["targets"][0]["refusal"] == refused.json()["error"]["message"]


async def test_unknown_models_and_wrong_bodies_are_refused_as_a_chat_would_be(
    ask: Asks, stored: Served
) -> None:
    chat = await stored.chat(model="nothing")
    explained = await ask("POST", "/routes/explain", {"model": "nothing"})
    assert (explained.status_code, explained.json()) == (404, chat.json())
    chat = await stored.client.post("/v1/chat/completions", json={"model": "small", "messages": 5})
    explained = await ask("POST", "/routes/explain", {"model": "small", "body": {"messages": 5}})
    assert (explained.status_code, explained.json()) == (400, chat.json())
    missing = await ask("POST", "/routes/explain", {})
    assert missing.json()["error"]["param"] == "model"


async def test_it_takes_what_a_chat_takes_and_who_may_look_may_ask(
    ask: Asks, issue: Any, stored: Served
) -> None:
    _id, looking = await issue(role="read_only")
    _id, asking = await issue()
    body = asks("x" * 200_000)
    explained = await ask("POST", "/routes/explain", {"model": "small", "body": body}, key=looking)
    assert explained.status_code == 200
    assert (await ask("POST", "/routes/explain", {"model": "small"}, key=asking)).status_code == 403
    too_much = asks("x" * stored.gateway.settings.server.body_limit)
    refused = await ask("POST", "/routes/explain", {"model": "small", "body": too_much}, key=looking)
    assert refused.status_code == 413
