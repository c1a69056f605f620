"""The account's models: all of the data file, each with its family, its facts and its schemas."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

ROWS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "translators/backends/workers_ai/catalogue.json").read_text()
)["models"]
ResultOf = Callable[..., Awaitable[dict[str, Any]]]
SHAPES = {
    "legacy": {"response", "tool_calls", "usage"},
    "openai_or_legacy": {"response", "tool_calls", "usage"},
    "legacy_guard": {"response", "usage"},
    "openai": {"id", "object", "created", "model", "choices", "usage"},
    "openai+responses": {"id", "object", "created", "model", "choices", "usage"},
    "unknown": {"id", "object", "created", "model", "choices", "usage"},
    "openai_legacy_input": {"id", "object", "created", "model", "choices", "usage", "prompt_logprobs"},
}


async def found(client: httpx.AsyncClient, **asked: str) -> list[dict[str, Any]]:
    answer = (await client.get("/models/search", params=asked)).json()
    assert answer["success"] is True
    entries: list[dict[str, Any]] = answer["result"]
    return entries


def properties(entry: dict[str, Any]) -> dict[str, Any]:
    return {one["property_id"]: one["value"] for one in entry["properties"]}


async def test_every_model_of_the_catalogue_is_listed(client: httpx.AsyncClient) -> None:
    assert [entry["name"] for entry in await found(client)] == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
async def test_every_model_answers_in_the_shape_of_its_family(result_of: ResultOf, name: str) -> None:
    result = await result_of(name, "hello")
    assert result.keys() == SHAPES[ROWS[name]["family"]]
    assert result["usage"]["neurons"] > 0


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"search": "GPT-oss"}, ["@cf/openai/gpt-oss-120b", "@cf/openai/gpt-oss-20b"]),
        ({"author": "ibm-granite"}, ["@cf/ibm-granite/granite-4.0-h-micro"]),
        ({"search": "lora", "author": "google", "hide_experimental": "true"}, []),
        ({"task": "Text Embeddings"}, []),
        ({"search": "granite", "task": "Text Generation"}, ["@cf/ibm-granite/granite-4.0-h-micro"]),
        ({"search": "granite", "page": "2"}, []),
    ],
)
async def test_a_search_is_narrowed(
    client: httpx.AsyncClient, asked: dict[str, str], names: list[str]
) -> None:
    assert [entry["name"] for entry in await found(client, **asked)] == names


async def test_an_entry_states_the_facts_as_properties(client: httpx.AsyncClient) -> None:
    [entry] = await found(client, search="glm-5.2")
    assert {"id", "source", "name", "description", "task", "created_at", "tags", "properties"} == entry.keys()
    assert entry["task"]["name"] == "Text Generation"
    assert properties(entry) == {
        "context_window": "262144",
        "price": [
            {"unit": "per M input tokens", "price": 1.4, "currency": "USD"},
            {"unit": "per M output tokens", "price": 4.4, "currency": "USD"},
            {"unit": "per M cached input tokens", "price": 0.26, "currency": "USD"},
        ],
        "function_calling": "true",
        "reasoning": "true",
        "require_workers_paid": "true",
        "reasoning_effort": {
            "supported_efforts": ["max", "high", "none"],
            "default_effort": "max",
            "mandatory": False,
            "default_enabled": True,
            "normalizes_to": {"low": "high", "medium": "high", "xhigh": "max", "minimal": "none"},
        },
    }


async def test_a_window_is_listed_as_advertised_and_kept_to_as_it_is(client: httpx.AsyncClient) -> None:
    model = "@cf/google/gemma-4-26b-a4b-it"
    [entry] = await found(client, search="gemma-4")
    advertised = int(properties(entry)["context_window"])
    assert advertised == ROWS[model]["advertised"]
    asked = {"messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": advertised - 1000}
    answer = await client.post(f"/run/{model}", json=asked)
    assert answer.json()["errors"][0]["code"] == 8007


async def test_a_model_that_is_gone_is_answered_by_its_successor_under_no_other_name(
    client: httpx.AsyncClient, result_of: ResultOf
) -> None:
    assert await found(client, search="kimi-k2.5") == []
    assert (await result_of("@cf/moonshotai/kimi-k2.5", "hello"))["model"] == "@cf/moonshotai/kimi-k2.6"


async def test_a_model_that_is_gone_without_a_successor_is_unknown(client: httpx.AsyncClient) -> None:
    answer = await client.post("/run/@cf/microsoft/phi-2", json={"prompt": "hello"})
    assert answer.json()["errors"][0]["code"] == 5007


async def test_an_entry_leaves_out_what_nobody_says(client: httpx.AsyncClient) -> None:
    [entry] = await found(client, search="llama-3.1-8b-instruct-fp8-fast")
    assert "context_window" not in properties(entry)
    [unpriced] = await found(client, search="apertus")
    assert "price" not in properties(unpriced)


@pytest.mark.parametrize("name", ROWS)
async def test_a_schema_states_what_a_model_takes_and_gives(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get("/models/schema", params={"model": name})
    assert answer.json()["success"] is True
    assert answer.json()["result"].keys() == {"input", "output"}
    assert "messages" in answer.text


async def test_the_schema_of_an_unknown_model_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models/schema", params={"model": "@cf/nobody/nothing"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 5007)
