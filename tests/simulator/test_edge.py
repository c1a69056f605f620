"""The API in front of the models: routes, credentials, and the forms of its refusals."""

from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator, app

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
DEEP = '{"enum":[' * 600 + "1" + "]}" * 600
DEEP_TOOL = f'{{"messages":[],"tools":[{{"name":"f","parameters":{DEEP}}}]}}'.encode()
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, 9106),
        ({"authorization": "Bearer junk"}, 400, 9106),
        ({"authorization": SIMULATED_API_TOKEN}, 400, 9106),
        ({"authorization": f"Bearer {'x' * 40}"}, 401, 10000),
        ({"authorization": f"Bearer cfut_{'x' * 40}"}, 401, 10000),
        ({"x-auth-email": "a@example.org", "x-auth-key": "y" * 40}, 401, 10000),
    ],
)
async def test_a_bad_credential_is_refused_by_the_edge(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, code: int
) -> None:
    del client.headers["authorization"]
    answer = await client.post(f"/run/{SEED}", json=HELLO, headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["result", "success", "errors", "messages"]
    assert [error["code"] for error in answer.json()["errors"]] == [code]
    assert "cf-ray" in answer.headers
    assert "cf-ai-req-id" not in answer.headers


async def test_a_mail_address_and_key_are_a_credential(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]
    pair = {"x-auth-email": "a@example.org", "x-auth-key": SIMULATED_API_TOKEN}
    assert (await client.post(f"/run/{SEED}", json=HELLO, headers=pair)).status_code == 200


async def test_another_account_is_forbidden(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"http://simulator/client/v4/accounts/{'a' * 32}/ai/run/{SEED}", json=HELLO)
    assert (answer.status_code, answer.json()["errors"]) == (
        403,
        [{"code": 10000, "message": "Authentication error"}],
    )


async def test_an_account_id_that_is_none_is_not_routed(client: httpx.AsyncClient) -> None:
    path = f"/client/v4/accounts/nobody/ai/run/{SEED}"
    answer = await client.post(f"http://simulator{path}", json=HELLO)
    assert answer.status_code == 404
    assert answer.json() == {
        "result": None,
        "success": False,
        "errors": [
            {
                "code": 7003,
                "message": f"Could not route to {path}, perhaps your object identifier is invalid?",
            }
        ],
        "messages": [],
    }


@pytest.mark.parametrize("path", ["/v1", "/run", "/run/", "/nothing"])
async def test_an_unknown_path_is_not_routed(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=HELLO)
    shown = f"/accounts/{SIMULATED_ACCOUNT_ID}/ai{path}"
    assert answer.status_code == 400
    assert list(answer.json()) == ["success", "errors", "messages", "result"]
    assert answer.json()["errors"] == [
        {"code": 7003, "message": f"Could not route to {shown}, perhaps your object identifier is invalid?"},
        {"code": 7000, "message": "No route for that URI"},
    ]


async def test_a_dynamic_route_has_no_route(client: httpx.AsyncClient) -> None:
    answer = await client.post("/run/dynamic/mine", json=HELLO)
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [{"code": 7000, "message": "No route for that URI"}],
    )


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("GET", f"/run/{SEED}"), ("POST", "/models/search")]
)
async def test_a_wrong_method_is_named(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.json() == {
        "result": None,
        "success": False,
        "errors": [{"code": 7001, "message": f"{method} not supported for requested URI."}],
        "messages": [],
    }


async def test_the_catalogue_lists_what_is_simulated(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/models/search", params={"search": "3.3-70B"})).json()
    assert [entry["name"] for entry in answer["result"]] == ["@cf/meta/llama-3.3-70b-instruct-fp8-fast"]
    assert {"property_id": "context_window", "value": "24000"} in answer["result"][0]["properties"]
    assert answer["result_info"]["total_count"] == 1


async def test_a_search_without_a_match_checks_the_credential_alone(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models/search", params={"search": "no such model"})
    assert (answer.status_code, answer.json()["success"], answer.json()["result"]) == (200, True, [])


@pytest.mark.parametrize("model", [SEED, SEED.replace("@", "%40").replace("/", "%2F")])
async def test_a_model_is_found_raw_and_encoded(client: httpx.AsyncClient, model: str) -> None:
    assert (await client.post(f"/run/{model}", json=HELLO)).status_code == 200


async def test_an_unknown_model_is_refused_by_workers_ai(client: httpx.AsyncClient) -> None:
    answer = await client.post("/run/@cf/nobody/nothing", json=HELLO)
    request_id = answer.headers["cf-ai-req-id"]
    message = f"AiError: No such model: No such model @cf/nobody/nothing or task ({request_id})"
    assert answer.status_code == 400
    assert list(answer.json()) == ["errors", "success", "result", "messages"]
    assert answer.json() == {
        "errors": [{"message": message, "code": 5007}],
        "success": False,
        "result": {},
        "messages": [],
    }


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"", 3003, "AiError: Request is missing headers or body"),
        (b"{", 5006, "AiError: Bad input: SyntaxError: "),
        (b'{"messages":NaN}', 5006, "AiError: Bad input: SyntaxError: "),
        (b'\xff"', 5006, "AiError: Bad input: SyntaxError: "),
        (b"[" * 100_000, 5006, "AiError: Bad input: RangeError: "),
        (DEEP_TOOL, 5006, "AiError: Bad input: RangeError: "),
        (b"{}", 5006, "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: required"),
    ],
)
async def test_a_bad_body_is_refused(client: httpx.AsyncClient, body: bytes, code: int, text: str) -> None:
    answer = await client.post(f"/run/{SEED}", content=body)
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["code"] == code
    assert error["message"].startswith(text)
    assert "cf-ai-req-id" in answer.headers


async def test_the_body_is_json_whatever_its_content_type(client: httpx.AsyncClient) -> None:
    body = b'{"prompt":"hello"}'
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post(f"/run/{SEED}", content=body, headers=form)).status_code == 200


async def test_a_body_over_the_limit_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_LARGEST_BODY", 10)
    answer = await client.post(f"/run/{SEED}", content=b" " * 11)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, 3006)


async def test_the_application_starts_and_stops() -> None:
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": next(asked)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    await Simulator()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
