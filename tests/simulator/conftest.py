"""A client of the simulated account, and the published schemas where this machine has them."""

import json
from collections.abc import AsyncIterator, Callable
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
def published() -> Callable[[str], dict[str, Any]]:
    """Reads an input schema as Cloudflare published it, which the project does not contain."""

    def read(name: str) -> dict[str, Any]:
        path = PUBLISHED / name
        if not path.exists():
            pytest.skip("the published schemas are not on this machine")
        schema: dict[str, Any] = json.loads(path.read_text())["schema"]["input"]
        return schema

    return read
