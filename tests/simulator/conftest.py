"""A client of the simulated account, and the published schemas where this machine has them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator

BASE_URL = f"http://simulator/client/v4/accounts/{SIMULATED_ACCOUNT_ID}/ai"
PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data"


def _client(simulator: Simulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(simulator),
        base_url=BASE_URL,
        headers={"authorization": f"Bearer {SIMULATED_API_TOKEN}"},
    )


@pytest.fixture
def client_of() -> Callable[[Simulator], httpx.AsyncClient]:
    """Makes a client with the account's credential for a simulator with settings of its own."""
    return _client


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a simulator with no settings."""
    async with _client(Simulator()) as client:
        yield client


@pytest.fixture
def result_of(client: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Runs a model on a body, or on one user message, and reads the result."""

    async def run(model: str, body: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
        answer = await client.post(f"/run/{model}", json=_body(body, more))
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()["result"]
        return result

    return run


@pytest.fixture
def events_of(client: httpx.AsyncClient) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    """Runs a model on a body, or on one user message, streamed, and reads the JSON events."""

    async def run(model: str, body: dict[str, Any] | str, **more: Any) -> list[dict[str, Any]]:
        answer = await client.post(f"/run/{model}", json=_body(body, more) | {"stream": True})
        assert answer.headers["content-type"] == "text/event-stream", answer.text
        *events, done, end = answer.text.split("\n\n")
        assert (done, end) == ("data: [DONE]", "")
        return [json.loads(event.removeprefix("data: ")) for event in events]

    return run


def _body(body: dict[str, Any] | str, more: dict[str, Any]) -> dict[str, Any]:
    return ({"messages": [{"role": "user", "content": body}]} if isinstance(body, str) else body) | more


@pytest.fixture
def published() -> Callable[..., dict[str, Any]]:
    """Reads an input or output schema as Cloudflare published it, which the project does not contain."""

    def read(name: str, side: str = "input") -> dict[str, Any]:
        path = PUBLISHED / name
        if not path.exists():
            pytest.skip("the published schemas are not on this machine")
        schema: dict[str, Any] = json.loads(path.read_text())["schema"][side]
        return schema

    return read
