"""Backends' credentials over sockets: taken in turn, left for another where that helps, and never shown."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call, begins_with
from tests.gateway.served import ACCOUNT, asks

OLD, NEW = "canary-old-0123456789", "canary-new-0123456789"


def _settings(backend: Backend, *given: Any) -> dict[str, Any]:
    settings = {"kind": "workers_ai", "account_id": ACCOUNT, "base_url": backend.url}
    return {"backends": {"b": {**settings, "api_token": list(given)}}}


def _shown(backend: Backend) -> list[str]:
    """The credentials that a backend was shown."""
    return [call.headers["authorization"].removeprefix("Bearer ") for call in backend.calls]


async def test_a_credential_that_changes_is_used_from_the_next_request_on(
    serve: Serve, backend: Backend, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    served = await serve(**_settings(backend, {"file": file}))
    streaming = asyncio.create_task(served.chat(stream=True))
    running = await backend.call()
    file.write_text(NEW)
    served.gateway.dispatch.upstreams["b"].credentials.look()
    backend.reply = lambda call: call.result("Hi")
    assert (await served.chat()).status_code == 200
    running.stream("Hi")
    assert (await streaming).status_code == 200
    assert _shown(backend) == [OLD, NEW]
    assert await served.metric("penstock_credential_refreshes_total", backend="b", outcome="new") == 2


@pytest.mark.parametrize(
    ("status", "code", "tries_another"),
    [
        (401, 10000, True),
        (400, 9106, True),
        (403, 0, True),
        (429, 971, True),  # of Cloudflare's API, which counts by the token's user
        (429, 3021, False),
        (429, 4006, False),
        (403, 5018, False),
        (404, 7003, False),
    ],
)
async def test_another_credential_is_tried_only_where_it_may_help(
    serve: Serve,
    backend: Backend,
    caplog: Any,
    status: int,
    code: int,
    tries_another: bool,  # noqa: FBT001
) -> None:
    backend.reply = lambda call: call.refuse(status, code)
    served = await serve(**_settings(backend, OLD, NEW))
    assert (await served.chat(stream=True)).status_code >= 400
    assert sorted(_shown(backend)) == ([NEW, OLD] if tries_another else _shown(backend)[:1])
    assert await served.metric("penstock_upstream_attempts_total", backend="b") == len(backend.calls)
    assert OLD not in caplog.text


@pytest.mark.parametrize("stream", [False, True])
async def test_where_one_key_of_a_server_has_asked_too_often_another_one_asks(
    serve: Serve,
    backend: Backend,
    stream: bool,  # noqa: FBT001
) -> None:
    def reply(call: Call) -> None:
        if OLD in call.headers["authorization"]:
            call.json({"error": {"message": "Slow down", "type": "requests"}}, 429, **{"retry-after": "30"})
        elif stream:
            call.stream("Hi")
        else:
            message = {"role": "assistant", "content": "Hi"}
            call.json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    backend.reply = reply
    own = {"kind": "openai", "server": "openai", "base_url": f"{backend.url}/v1", "api_key": [OLD, NEW]}
    route = {"targets": [{"backend": "b", "model": "gpt-5"}]}
    served = await serve(backends={"b": {**own, "probe": 0}}, models={"gpt": route})
    for _ in range(4):
        answer = await served.chat(model="gpt", stream=stream)
        assert answer.status_code == 200
        assert "Hi" in answer.text
    assert _shown(backend).count(OLD) == 1


async def test_where_all_keys_have_asked_too_often_the_client_is_told_when_to_ask_again(
    serve: Serve, backend: Backend
) -> None:
    backend.reply = lambda call: call.json({"error": {"message": "no"}}, 429, **{"retry-after": "0"})
    own = {"kind": "openai", "server": "openai", "base_url": f"{backend.url}/v1", "api_key": [OLD, NEW]}
    route = {"targets": [{"backend": "b", "model": "gpt-5"}]}
    served = await serve(backends={"b": {**own, "probe": 0}}, models={"gpt": route})
    answer = await served.chat(model="gpt")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert {"retry-after", "retry-after-ms"} <= answer.headers.keys()
    assert sorted(_shown(backend)) == [NEW, OLD]


async def test_nothing_is_tried_again_once_some_of_the_answer_is_out(serve: Serve, backend: Backend) -> None:
    backend.reply = begins_with("Hi")
    served = await serve(**_settings(backend, OLD, NEW))
    async with served.client.stream("POST", "/v1/chat/completions", json=asks(stream=True)) as answer:
        lines = answer.aiter_lines()
        assert "data:" in await anext(lines)
        [call] = backend.calls
        call.event(error={"code": "invalid_api_key", "message": "no"})
        call.finish()
        assert "upstream_auth" in "".join([line async for line in lines])
    assert len(backend.calls) == 1


async def test_a_request_whose_credential_is_refused_goes_with_another_one(
    serve: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", OLD)
    monkeypatch.setenv("TWO", NEW)
    seen: list[str] = []

    def reply(call: Call) -> None:
        seen.append(call.headers["authorization"])
        if NEW not in seen[-1]:
            call.refuse(401, 10000)
        elif call.body.get("stream"):
            call.stream("Hi")
        else:
            call.result("Hi")

    backend.reply = reply
    served = await serve(**_settings(backend, {"env": "ONE"}, {"env": "TWO"}))
    for stream in (False, True, False):
        answer = await served.chat(stream=stream)
        assert answer.status_code == 200
        assert OLD not in answer.text
    assert seen.count(f"Bearer {OLD}") <= 1
    backend.reply = lambda call: call.refuse(401, 10000)
    refused = await served.chat()
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_auth")


async def test_a_backend_without_any_credential_is_told_so(
    serve: Serve, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(**_settings(backend, {"env": "UNSET_VARIABLE"}))
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_auth")
    assert await served.metric("penstock_credential_refreshes_total", backend="b", outcome="failed") == 1
    caplog.clear()
