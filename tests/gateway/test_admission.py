"""Issued keys and limits over sockets: each kind of store, every limit, and what becomes of a refusal."""

import asyncio
from typing import Any

import pytest

from gateway.keys import Actor
from gateway.store import Store
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend, Call
from tests.gateway.served import MODEL, Served, asks, backend_settings, route

ROOT = Actor("master")


async def _issue(served: Served, **fields: Any) -> tuple[str, dict[str, str]]:
    """A key's id, and the headers of who holds it."""
    register = served.gateway.keys.register
    assert register is not None
    key, secret = await register.create_key({"name": "ci", **fields}, ROOT)
    return key.id, {"authorization": f"Bearer {secret}"}


async def _ask(served: Served, headers: dict[str, str], **fields: Any) -> Any:
    return await served.client.post("/v1/chat/completions", json=asks(**fields), headers=headers)


async def _all_told(served: Served) -> None:
    """Wait until the store knows of all that has ended."""
    admission = served.gateway.doors.admission
    async with asyncio.timeout(PATIENCE):
        while admission._settling or admission._is_asking:  # noqa: ASYNC110 - turns, not time
            await asyncio.sleep(0.001)


def _answers(backend: Backend, completion: int = 3) -> None:
    def reply(call: Call) -> None:
        if call.body.get("stream"):
            call.stream("Hi", completion=completion)
        else:
            call.result("Hi", completion=completion)

    backend.reply = reply


@pytest.fixture
async def served(serve_stored: Serve, backend: Backend) -> Served:
    _answers(backend)
    return await serve_stored(
        backends={"b": backend_settings(backend.url)}, models={"small": route("b"), "other": route("b")}
    )


async def test_an_issued_key_asks_and_shows_in_the_access_line(served: Served, access_lines: Any) -> None:
    key_id, headers = await _issue(served)
    for stream in (False, True):
        assert (await _ask(served, headers, stream=stream)).status_code == 200
    await served.settled()
    assert {line["key"] for line in access_lines()} == {key_id}


async def test_a_made_up_key_is_refused(served: Served) -> None:
    _key_id, headers = await _issue(served)
    right = headers["authorization"]
    for wrong in (
        right[:-1] + ("1" if right.endswith("0") else "0"),
        "Bearer sk-foreign",
        "Bearer sk-ps-short",
    ):
        answer = await _ask(served, {"authorization": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_what_a_key_may_is_kept_to(served: Served) -> None:
    _key_id, headers = await _issue(served, models=["small", "@cf/meta/*"])
    assert (await _ask(served, headers, model="small")).status_code == 200
    assert (await _ask(served, headers, model=MODEL)).status_code == 200
    refused = await _ask(served, headers, model="other")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_found")
    listed = (await served.client.get("/v1/models", headers=headers)).json()["data"]
    assert {model["id"].split("/")[1] if "/" in model["id"] else model["id"] for model in listed} == {
        "small",
        "meta",
    }
    for path, status in (("small", 200), (MODEL, 200), ("other", 403), ("nothing", 403)):
        one = await served.client.get(f"/v1/models/{path}", headers=headers)
        explained = await served.client.post("/v1/translate", json=asks(model=path), headers=headers)
        assert (one.status_code, explained.status_code) == (status, status)
        if status == 403:
            assert one.json() == explained.json()
    _key_id, elsewhere = await _issue(served, allowed_ips=["10.0.0.0/8", "::1"])
    refused = await _ask(served, elsewhere)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "ip_not_authorized")
    _key_id, here = await _issue(served, allowed_ips=["127.0.0.1"])
    assert (await _ask(served, here)).status_code == 200
    _key_id, reader = await _issue(served, role="read_only")
    refused = await _ask(served, reader)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_permissions")
    _key_id, expired = await _issue(served, expires=1.0)
    refused = await _ask(served, expired)
    assert refused.status_code == 401
    assert "expired" in refused.json()["error"]["message"]


async def test_a_key_s_parameters_stand_where_a_request_has_none(served: Served, backend: Backend) -> None:
    seen: list[Any] = []

    def reply(call: Call) -> None:
        seen.append(call.body.get("temperature"))
        call.result("Hi")

    backend.reply = reply
    _key_id, headers = await _issue(served, defaults={"temperature": 0.25})
    await _ask(served, headers)
    await _ask(served, headers, temperature=0.75)
    assert seen == [0.25, 0.75]
    explained = await served.client.post("/v1/translate", json=asks(), headers=headers)
    assert explained.json()["calls"][0]["body"]["temperature"] == 0.25


@pytest.mark.parametrize("change", ["disable", "revoke", "expire", "team"])
async def test_a_change_is_obeyed_at_the_next_request_whether_announced_or_not(
    serve_stored: Serve, backend: Backend, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answers(backend)
    settings = {"backends": {"b": backend_settings(backend.url)}}
    workers = [await serve_stored(**settings) for _ in range(3)]
    register = workers[0].gateway.keys.register
    assert register is not None
    for each in workers:
        monkeypatch.setattr(each.gateway.keys._known, "drop_all_of", lambda _record: None)
    team = await register.create_team({"name": "web"}, ROOT)
    key_id, headers = await _issue(workers[0], team=team.id)
    for each in workers:
        assert (await _ask(each, headers)).status_code == 200
    match change:
        case "disable":
            await register.disable_key(key_id, ROOT)
        case "revoke":
            await register.revoke_key(key_id, ROOT)
        case "expire":
            await register.update_key(key_id, {"expires": 5.0}, ROOT)
        case _:
            await register.update_team(team.id, {"disabled": True}, ROOT)
    for each in workers:
        assert (await _ask(each, headers)).status_code == 401


async def test_a_rotated_key_is_one_key_with_two_secrets(served: Served) -> None:
    register = served.gateway.keys.register
    assert register is not None
    key_id, old = await _issue(served, quota={"rpm": 3})
    assert (await _ask(served, old)).status_code == 200
    _key, secret = await register.rotate_key(key_id, 3600, ROOT)
    new = {"authorization": f"Bearer {secret}"}
    answers = [(await _ask(served, headers)).status_code for headers in (new, old, new, old)]
    assert answers == [200, 200, 429, 429]


async def test_requests_per_minute_are_never_over_and_a_refused_one_uses_up_nothing(
    served: Served, store: Store
) -> None:
    _key_id, headers = await _issue(served, quota={"rpm": 3})
    answers = [await _ask(served, headers) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error"]["message"].startswith(
        "Rate limit reached for key 'ci' on requests per min (RPM): Limit 3, Used 3, Requested 1."
    )
    assert (refused.json()["error"]["code"], refused.json()["error"]["type"]) == (
        "rate_limit_exceeded",
        "requests",
    )
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    seconds = float(refused.headers["retry-after-ms"]) / 1000
    assert 59 < seconds <= 61
    assert int(refused.headers["retry-after"]) >= seconds
    gateway_store = served.gateway.store
    assert isinstance(gateway_store, Store)
    gateway_store.clock_offset = store.clock_offset + int(seconds * 1000) - 2_000
    assert (await _ask(served, headers)).status_code == 429
    gateway_store.clock_offset += 2_000
    assert [(await _ask(served, headers)).status_code for _ in range(4)] == [200, 200, 200, 429]


async def test_tokens_are_reserved_before_and_settled_after(served: Served, backend: Backend) -> None:
    _answers(backend, completion=40)
    _key_id, headers = await _issue(served, quota={"tpm": 1000})
    first = await _ask(served, headers, max_tokens=900)
    assert first.status_code == 200
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 100
    await served.settled()
    await _all_told(served)
    second = await _ask(served, headers, max_tokens=900)
    assert second.status_code == 200  # 47 of the first one's 900 and more stayed
    too_much = await _ask(served, headers, max_tokens=1001)
    assert too_much.status_code == 429
    assert too_much.json()["error"]["type"] == "tokens"
    assert too_much.headers["x-should-retry"] == "false"
    assert "retry-after" not in too_much.headers


async def test_a_request_that_fails_gives_its_tokens_back(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.refuse(500)
    _key_id, headers = await _issue(served, quota={"tpm": 1000, "rpm": 100})
    for _ in range(4):
        assert (await _ask(served, headers, max_tokens=900)).status_code == 502
        await served.settled()
        await _all_told(served)


@pytest.mark.parametrize("stream", [False, True])
async def test_concurrency_is_never_exceeded_and_free_again_at_the_end(
    served: Served, backend: Backend, *, stream: bool
) -> None:
    held: list[Call] = []
    backend.reply = held.append
    _key_id, headers = await _issue(served, quota={"concurrency": 2})
    asking = [asyncio.create_task(_ask(served, headers, stream=stream)) for _ in range(4)]
    async with asyncio.timeout(PATIENCE):
        while sum(task.done() for task in asking) < 2 or len(held) < 2:  # noqa: ASYNC110 - turns, not time
            await asyncio.sleep(0.001)
    refused = [task.result() for task in asking if task.done()]
    assert [answer.status_code for answer in refused] == [429, 429]
    assert "concurrent requests: Limit 2, Used 2" in refused[0].json()["error"]["message"]
    for call in held:
        call.stream("Hi") if stream else call.result("Hi")
    assert sorted([(await task).status_code for task in asking]) == [200, 200, 429, 429]
    await served.settled()
    _answers(backend)
    await _all_told(served)
    assert (await _ask(served, headers, stream=stream)).status_code == 200


async def test_a_team_s_limit_is_its_keys_together_and_a_key_s_model_has_its_own(served: Served) -> None:
    register = served.gateway.keys.register
    assert register is not None
    team = await register.create_team({"name": "web", "quota": {"rpm": 3}}, ROOT)
    _key_id, one = await _issue(served, team=team.id, per_model={"small": {"rpm": 1}})
    _key_id, two = await _issue(served, team=team.id)
    assert (await _ask(served, one, model="small")).status_code == 200
    refused = await _ask(served, one, model="small")
    assert "key 'ci' with models 'small' on requests" in refused.json()["error"]["message"]
    assert (await _ask(served, one, model="other")).status_code == 200
    assert (await _ask(served, two)).status_code == 200
    refused = await _ask(served, two)
    assert "Rate limit reached for team 'web' on requests" in refused.json()["error"]["message"]


async def test_the_gateway_and_its_models_have_limits_for_everybody(
    serve_stored: Serve, backend: Backend
) -> None:
    _answers(backend)
    served = await serve_stored(
        backends={"b": backend_settings(backend.url)},
        models={"small": route("b", limits={"rpm": 1})},
        limits={"rpm": 3},
    )
    assert (await served.chat(model="small")).status_code == 200
    refused = await served.chat(model="small")
    assert "for model 'small' on requests" in refused.json()["error"]["message"]
    assert [(await served.chat()).status_code for _ in range(3)] == [200, 200, 429]


async def test_a_backend_s_own_limit_moves_requests_on_to_the_next_target(
    serve_stored: Serve, backend: Backend, second: Backend, store: Store
) -> None:
    _answers(backend)
    _answers(second)
    served = await serve_stored(
        backends={
            "first": backend_settings(backend.url, rate_limits="keep"),
            "second": backend_settings(second.url),
        },
        models={"small": route("first", "second"), "alone": route("first")},
    )
    key = f"{{ps}}:w:target:first:{MODEL}:rpm"
    assert (await served.chat(model="small")).status_code == 200
    slots = await store.command("HGETALL", key)
    await store.command("HSET", key, slots[-2] if isinstance(slots, list) else list(slots)[-1], 300)
    await store.command("HSET", key, "s", 300)
    moved = await served.chat(model="small")
    assert moved.status_code == 200
    refused = await served.chat(model="alone")
    assert refused.status_code == 429
    assert "backend's model" in refused.json()["error"]["message"]


async def test_bursts_have_a_window_of_their_own(served: Served) -> None:
    _key_id, headers = await _issue(served, quota={"rpm": 100, "burst": {"seconds": 30.0, "requests": 2}})
    answers = [await _ask(served, headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "on requests per 30 s (burst): Limit 2" in answers[-1].json()["error"]["message"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "2"


async def test_requests_at_the_same_time_are_admitted_exactly(serve_stored: Serve, backend: Backend) -> None:
    _answers(backend)
    workers = [await serve_stored(backends={"b": backend_settings(backend.url)}) for _ in range(2)]
    _key_id, headers = await _issue(workers[0], quota={"rpm": 25})
    answers = await asyncio.gather(*(_ask(workers[number % 2], headers) for number in range(60)))
    assert sum(answer.status_code == 200 for answer in answers) == 25


async def test_who_has_got_an_answer_may_ask_again_at_once(served: Served) -> None:
    _key_id, headers = await _issue(served, quota={"concurrency": 1})
    answers = [await _ask(served, headers, stream=bool(number % 2)) for number in range(40)]
    assert {answer.status_code for answer in answers} == {200}


async def test_a_right_key_passes_also_where_many_wrong_ones_come_from(served: Served) -> None:
    for _ in range(35):
        await _ask(served, {"authorization": "Bearer sk-wrong"})
    assert (await _ask(served, {"authorization": "Bearer sk-wrong"})).status_code == 429
    _key_id, headers = await _issue(served)
    assert (await _ask(served, headers)).status_code == 200


async def test_a_targets_own_limit_sends_requests_to_the_next_target(
    serve_stored: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply = second.reply = lambda call: call.result("Hi")
    first = {"backend": "first", "model": MODEL, "limits": {"rpm": 2}}
    served = await serve_stored(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": {"targets": [first, {"backend": "second", "model": MODEL}]}},
    )
    answers = [await served.chat(model="small") for _ in range(4)]
    assert [answer.headers["x-penstock-backend"] for answer in answers] == ["first"] * 2 + ["second"] * 2


@pytest.mark.parametrize("winner", ["first", "second"])
async def test_of_two_targets_of_a_race_the_one_that_answered_pays_the_tokens(
    serve_stored: Serve, backend: Backend, second: Backend, store: Store, winner: str
) -> None:
    limits = {"tpm": 100_000}
    targets = [{"backend": name, "model": MODEL, "limits": limits} for name in ("first", "second")]
    served = await serve_stored(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": {"targets": targets, "hedge": {"after": 0.01, "share": 1}}},
    )
    asking = asyncio.create_task(served.chat(model="small", stream=True))
    calls = {"first": await backend.call(), "second": await second.call()}
    calls[winner].stream("Hi", prompt=700, completion=300)
    answer = await asking
    assert answer.headers["x-penstock-backend"] == winner
    await served.settled()
    await _all_told(served)
    used = await store.command("HGET", f"{{ps}}:w:set:second:{MODEL}:tpm", "s")
    assert int(used or 0) == (1000 if winner == "second" else 0)


async def test_what_a_further_attempt_holds_is_given_back(
    serve_stored: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = Call.reset, lambda call: call.result("Hi")
    limits = {"concurrency": 1, "tpm": 100_000}
    targets = [{"backend": name, "model": MODEL, "limits": limits} for name in ("first", "second")]
    served = await serve_stored(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": {"targets": targets, "queue": {"max": 0}}},
    )
    for _ in range(3):
        answer = await served.chat(model="small")
        assert (answer.status_code, answer.headers["x-penstock-backend"]) == (200, "second")
        await served.settled()


async def test_each_route_s_limit_of_a_target_holds_also_where_another_has_failed_before(
    serve_stored: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = Call.reset, lambda call: call.result("Hi")
    first, open_ = {"backend": "first", "model": MODEL}, {"backend": "second", "model": MODEL}
    served = await serve_stored(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={
            "open": {"targets": [first, open_]},
            "limited": {"targets": [first, {**open_, "limits": {"rpm": 1}}]},
        },
    )
    _key_id, headers = await _issue(served)
    models = ("open", "limited", "limited", "open")
    answers = [(await _ask(served, headers, model=model)).status_code for model in models]
    assert answers == [200, 200, 502, 200]
    assert len(second.calls) == 3


async def test_no_name_is_kept_that_no_model_can_have(served: Served, backend: Backend) -> None:
    _key_id, headers = await _issue(served, quota={"rpm": 100})
    refused = await _ask(served, headers, model=f"@cf/nobody/{'x' * 1_000_000}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert len(refused.content) < 1000
    assert not backend.calls
    assert not served.gateway.doors._bills
