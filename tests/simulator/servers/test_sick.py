"""Servers that are made sick, and well again: all of one, or for one request."""

import asyncio
import json

import httpx
import pytest

from gateway.simulator import PRODUCTS, create_server
from tests.simulator.servers.asking import (
    PATIENCE,
    body,
    chat,
    client,
    events,
    finishes,
    serving,
    streamed,
    until,
)

LOST = "ollama"
IMPATIENT = httpx.Timeout(PATIENCE, read=0.05)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_is_made_sick_and_well_again(status: int) -> None:
    server = create_server("vllm")
    server.fault = str(status)
    assert server.fault == str(status)
    assert (await chat(server)).status_code == status
    async with client(server) as asking:
        assert (await asking.get("/health")).status_code == (200 if status == 429 else 503)
    server.fault = None
    assert (await chat(server)).status_code == 200


async def test_a_request_chooses_by_the_name_of_its_model_or_by_a_header() -> None:
    assert (await chat("vllm", model="simulator/503")).status_code == 503
    async with client("vllm") as asking:
        answer = await asking.post("/v1/chat/completions", json=body(), headers={"x-simulator-fault": "429"})
    assert answer.status_code == 429


async def test_an_unknown_fault_is_answered_with_the_menu() -> None:
    answer = await chat("vllm", model="simulator/plague")
    assert answer.status_code == 400
    assert "slow-first-byte.N" in answer.json()["error"]["message"]
    with pytest.raises(ValueError, match="plague"):
        create_server("vllm").fault = "plague"


async def test_a_stuck_server_answers_on_no_path_until_the_client_leaves() -> None:
    server = create_server("vllm")
    server.fault = "hang"
    async with serving(server) as asking:
        for path in ("/health", "/v1/models"):
            with pytest.raises(httpx.ReadTimeout):
                await asking.get(path, timeout=IMPATIENT)


async def test_a_reset_breaks_the_connection() -> None:
    server = create_server("vllm")
    server.fault = "reset.0"
    assert server.fault == "reset.0"
    async with serving(server) as asking:
        with pytest.raises(httpx.RemoteProtocolError):
            await asking.get("/health")
        server.fault = None
        with pytest.raises(httpx.RemoteProtocolError):
            await asking.post("/v1/chat/completions", json=body(model="simulator/reset.300", stream=True))


async def test_a_cut_stream_ends_as_if_it_were_done() -> None:
    async with serving(create_server("vllm")) as asking:
        answer = await asking.post("/v1/chat/completions", json=body(model="simulator/cut.300", stream=True))
    assert len(answer.content) == 300
    assert "[DONE]" not in answer.text


async def test_a_stalled_stream_stays_open_until_the_client_leaves() -> None:
    server = create_server("vllm")
    async with serving(server) as asking:
        with pytest.raises(httpx.ReadTimeout):
            await asking.post(
                "/v1/chat/completions", json=body(model="simulator/stall.100", stream=True), timeout=IMPATIENT
            )
        await until(lambda: server.running == 0)
    assert server.abandoned == 1


async def test_garbage_is_no_json() -> None:
    with pytest.raises(json.JSONDecodeError):
        (await chat("vllm", model="simulator/garbage")).json()
    with pytest.raises(json.JSONDecodeError):
        events((await chat("vllm", model="simulator/garbage", stream=True)).text)


async def test_slow_answers_take_the_time_that_was_asked_for() -> None:
    now = asyncio.get_running_loop().time
    for model in ("simulator/slow-first-byte.60", "simulator/slow-chunks.12"):
        before = now()
        await streamed("vllm", "count to 3", model=model)
        assert now() - before > 0.05


@pytest.mark.parametrize("product", PRODUCTS)
async def test_an_error_inside_a_stream_has_the_products_form(product: str) -> None:
    answer = await chat(product, "count to 9", model="simulator/error-event", stream=True)
    found = events(answer.text)
    assert answer.status_code == 200
    assert not finishes([each for each in found if "choices" in each])
    if product == LOST:
        assert found[-1]["model"] == ""
        return
    if product in {"llama_cpp", "openai", "generic"}:
        error = found[-1]["error"]
    else:
        assert found[-1] == "[DONE]"
        error = found[-2]["error"]
    assert error["message"] == "The engine has died."
    assert ("object" in error) == (product in {"sglang", "lmdeploy", "tensorrt_llm"})
    assert error.get("http_status_code") == (422 if product == "tgi" else None)


@pytest.mark.parametrize(
    ("fault", "reason"), [("abort", "abort"), ("finish-error", "error"), ("finish-odd", "load")]
)
async def test_finish_reasons_that_are_none_of_openais(fault: str, reason: str) -> None:
    assert finishes(await streamed("sglang", model=f"simulator/{fault}")) == [reason]


async def test_a_format_may_be_ignored_and_is_obeyed_in_words() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    fields = {"model": "simulator/ignored-format", "response_format": form}
    said = (await chat("generic", **fields)).json()["choices"][0]["message"]["content"]
    assert said == "hello there"
    words = f"Answer with nothing but JSON that satisfies the JSON Schema below:\n{json.dumps(schema)}"
    told = {**fields, "messages": [{"role": "user", "content": f"Say hello.\n{words}"}]}
    said = (await chat("generic", **told)).json()["choices"][0]["message"]["content"]
    assert json.loads(said).keys() == {"city"}


async def test_a_silent_stream_shows_signs_of_life() -> None:
    for product, comment in (("vllm", ": keep-alive\n\n"), ("tgi", ":\n\n")):
        server = create_server(product, heartbeat=0.01, first_token=0.1)
        answer = await chat(server, stream=True)
        assert answer.text.startswith(comment)
        assert answer.text.endswith("data: [DONE]\n\n")
    quiet = create_server("vllm", first_token=0.05)
    assert (await chat(quiet, stream=True)).text.startswith("data: ")
