"""Who calls, from where and from which page: over sockets."""

from typing import Any

import pytest

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MASTER, asks, backend_settings

PAGE = "https://chat.example.com"


async def _serve(serve: Serve, backend: Backend, **server: Any) -> Any:
    backend.reply = lambda call: call.result("Hi")
    return await serve(backends={"b": backend_settings(backend.url)}, server=server)


async def test_the_access_line_has_the_client_s_address(
    serve: Serve, backend: Backend, access_lines: Any
) -> None:
    served = await _serve(serve, backend, trusted_proxies=["127.0.0.0/8"])
    await served.client.post("/v1/chat/completions", json=asks(), headers={"x-forwarded-for": "1.2.3.4"})
    await served.settled()
    assert [(line["client"], line["key"]) for line in access_lines()] == [("1.2.3.4", "master")]


async def test_without_origins_there_is_no_word_of_them(serve: Serve, backend: Backend) -> None:
    served = await _serve(serve, backend)
    answer = await served.client.post("/v1/chat/completions", json=asks(), headers={"origin": PAGE})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = await served.client.options(
        "/v1/chat/completions", headers={"origin": PAGE, "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 405


@pytest.mark.parametrize("stream", [False, True])
async def test_a_page_of_a_listed_origin_may_ask(serve: Serve, backend: Backend, *, stream: bool) -> None:
    served = await _serve(serve, backend, cors=[PAGE])
    served.client.headers.pop("authorization")
    preflight = await served.client.options(
        "/v1/chat/completions",
        headers={
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-stainless-os",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "x-stainless-os" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["vary"] == "origin"
    refused = await served.client.post("/v1/chat/completions", json=asks(), headers={"origin": PAGE})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == PAGE
    key = {"authorization": "Bearer sk-ps-canary-master-key-0123456789"}
    answer = await served.client.post(
        "/v1/chat/completions", json=asks(stream=stream), headers={"origin": PAGE, **key}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


# As the openai and @anthropic-ai/sdk packages ask in a browser, and the Vercel AI SDK behind a tracer.
ASKED = (
    (
        "authorization,content-type,openai-organization,openai-project,x-stainless-arch,x-stainless-helper-method,"
        "x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,"
        "x-stainless-runtime-version,x-stainless-timeout"
    ),
    (
        "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,"
        "x-stainless-lang"
    ),
    "Authorization, Content-Type, traceparent, tracestate, user-agent",
    "api-key,http-referer,x-title",
)


@pytest.mark.parametrize("asked", ASKED)
async def test_a_page_may_send_what_the_clients_send(serve: Serve, backend: Backend, asked: str) -> None:
    served = await _serve(serve, backend, cors=[PAGE])
    preflight = await _preflight(served, asked)
    assert preflight.headers["access-control-allow-headers"].split(", ") == [
        name.strip().lower() for name in asked.split(",")
    ]


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("authorization,x-forwarded-for,x-evil", "authorization"),
        ("x-forwarded-for, cookie, forwarded", None),
        ("x-stainless-", None),
        ("x-stainless-os\u00e9", None),
        ("content-type,content-type", "content-type"),
        ("", None),
    ],
)
async def test_a_page_may_send_nothing_else(
    serve: Serve, backend: Backend, asked: str, taken: str | None
) -> None:
    served = await _serve(serve, backend, cors=[PAGE])
    preflight = await _preflight(served, asked)
    assert preflight.status_code == 204
    assert preflight.headers.get("access-control-allow-headers") == taken


async def _preflight(served: Any, asked: str) -> Any:
    headers = {"origin": PAGE, "access-control-request-method": "POST"}
    return await served.client.options(
        "/v1/chat/completions",
        headers={**headers, "access-control-request-headers": asked.encode("latin-1")},
    )


async def test_a_page_of_another_origin_may_not(serve: Serve, backend: Backend) -> None:
    served = await _serve(serve, backend, cors=[PAGE])
    for origin in ("https://evil.example.com", "null", f"{PAGE}.evil.com"):
        answer = await served.client.post("/v1/chat/completions", json=asks(), headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        preflight = await served.client.options(
            "/v1/chat/completions", headers={"origin": origin, "access-control-request-method": "POST"}
        )
        assert preflight.status_code == 405


@pytest.mark.parametrize("path", ["/nowhere", "/v1/models/none"])
async def test_a_page_sees_every_error(serve: Serve, backend: Backend, path: str) -> None:
    served = await _serve(serve, backend, cors=[f"{PAGE}:443"])
    answer = await served.client.get(path, headers={"origin": PAGE})
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_page_sees_that_the_gateway_is_overloaded(serve: Serve, backend: Backend) -> None:
    served = await _serve(serve, backend, cors=[PAGE], max_in_flight=1)
    served.gateway.overload.in_flight = 1
    for _ in range(3):  # in the same words, which the server knows again
        answer = await served.client.post("/v1/chat/completions", json=asks(), headers={"origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (503, PAGE)
        assert "retry-after" in answer.headers["access-control-expose-headers"]
    preflight = await served.client.options(
        "/v1/chat/completions", headers={"origin": PAGE, "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 204
    without = await served.client.post("/v1/chat/completions", json=asks())
    assert (without.status_code, without.headers.get("access-control-allow-origin")) == (503, None)
    served.gateway.overload.in_flight = 0


async def test_any_page_may_where_all_are_listed(serve: Serve, backend: Backend) -> None:
    served = await _serve(serve, backend, cors=["*"])
    answer = await served.client.post("/v1/chat/completions", json=asks(), headers={"origin": "null"})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_wrong_keys_are_slowed_and_right_ones_are_not(serve: Serve, backend: Backend) -> None:
    served = await _serve(serve, backend)
    wrong = {"authorization": "Bearer sk-wrong"}
    answers = [
        await served.client.post("/v1/chat/completions", json=asks(), headers=wrong) for _ in range(32)
    ]
    assert [answer.status_code for answer in answers] == [401] * 30 + [429] * 2
    assert [answer.headers["retry-after"] for answer in answers[30:]] == ["1", "2"]
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert (await served.client.post("/v1/chat/completions", json=asks())).status_code == 200
    assert await served.metric("penstock_auth_failures_total", reason="wrong") == 30
    assert await served.metric("penstock_auth_failures_total", reason="slowed") == 2


async def test_a_missing_key_is_no_wrong_one(serve: Serve, backend: Backend) -> None:
    served = await _serve(serve, backend)
    served.client.headers.pop("authorization")
    answers = [await served.client.post("/v1/chat/completions", json=asks()) for _ in range(40)]
    assert {answer.status_code for answer in answers} == {401}
    served.client.headers["authorization"] = f"Bearer {MASTER}"
    assert await served.metric("penstock_auth_failures_total", reason="missing") == 40
