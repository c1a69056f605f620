"""Models that Cloudflare has retired: served by their successors, and both sides are told."""

from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import keep, shipped
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MODEL, Served, asks, backend_settings
from translators.backends.workers_ai.listing import Listed

GONE = "@cf/moonshotai/kimi-k2.5"
SUCCESSOR = "@cf/moonshotai/kimi-k2.6"
ENDED = "@cf/microsoft/phi-2"  # without a successor
WORDS = (
    f"Cloudflare retired '{GONE}' on 2026-05-30; '{SUCCESSOR}' answers in its place, at its own price "
    "($0.95 input, $4 output, $0.16 cached input per million tokens)"
)


def answers(call: Call) -> None:
    call.result("Hello")


@pytest.fixture
async def routed(serve: Serve, backend: Backend) -> Served:
    backend.reply = answers
    target: dict[str, Any] = {"targets": [{"backend": "b", "model": GONE}]}
    return await serve(backends={"b": backend_settings(backend.url)}, models={"kimi": target})


@pytest.mark.parametrize("name", [GONE, "kimi"])
async def test_the_successor_is_asked_as_itself_and_the_client_is_told(
    routed: Served, backend: Backend, name: str
) -> None:
    answer = await routed.chat(model=name)
    assert (answer.status_code, answer.json()["model"]) == (200, name)
    assert "model=transformed" in answer.headers["x-penstock-translation"]
    [call] = backend.calls
    assert call.path.endswith(f"/ai/run/{SUCCESSOR}")
    assert "max_completion_tokens" in call.body  # in the schema of the successor


async def test_the_report_names_day_successor_and_price(routed: Served) -> None:
    shown = (await routed.client.post("/v1/translate", json=asks(model=GONE))).json()
    assert shown["target"] == {"backend": "b", "model": SUCCESSOR}
    assert {"parameter": "model", "fate": "transformed", "detail": WORDS} in shown["report"]


async def test_the_operator_is_told_once(routed: Served, caplog: pytest.LogCaptureFixture) -> None:
    at_start = [each.getMessage() for each in caplog.get_records("setup")]
    assert at_start == [f"{WORDS}."]
    for name in (GONE, "kimi", GONE):
        assert (await routed.chat(model=name)).status_code == 200
    assert caplog.records == []


async def test_a_model_without_a_successor_is_asked_for_all_the_same(
    routed: Served, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        answer = await routed.chat(model=ENDED)
        assert "model=" not in answer.headers["x-penstock-translation"]
    assert backend.calls[0].path.endswith(f"/ai/run/{ENDED}")
    said = f"Cloudflare retired '{ENDED}' on 2026-05-30; requests for it most likely fail."
    assert [each.getMessage() for each in caplog.records] == [said]


async def test_the_operator_is_told_of_a_retirement_that_is_planned(
    serve: Serve, backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, "", {MODEL: Listed(retires="2027-01-31")})
    backend.reply = answers
    served = await serve(backends={"b": backend_settings(backend.url)})
    for _ in range(2):
        assert (await served.chat(model=MODEL)).status_code == 200
    said = f"Cloudflare plans to retire '{MODEL}' on 2027-01-31."
    assert [each.getMessage() for each in caplog.records] == [said]


async def test_a_retired_model_is_not_listed_and_shows_the_facts_of_its_successor(routed: Served) -> None:
    names = [each["id"] for each in (await routed.client.get("/v1/models")).json()["data"]]
    assert GONE not in names
    model = (await routed.client.get(f"/v1/models/{GONE}")).json()
    assert (model["id"], model["context_length"]) == (GONE, shipped().models[SUCCESSOR].window)
