"""What Cloudflare says of its models, read and laid over the facts that are shipped."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.simulator import listing as simulated
from tests.laws.exchange import CATALOGUE, SEED
from translators.backends.workers_ai.catalogue import Catalogue, Facts
from translators.backends.workers_ai.listing import Listed, Shape, read_schema, read_search, refreshed

DATA = Path(__file__).parents[5] / "shared" / "data" / "workers-ai-models"
GEMMA = "@cf/google/gemma-4-26b-a4b-it"  # advertised with more than it takes
KIMI = "@cf/moonshotai/kimi-k2.6"
NEW = "@cf/somebody/new-1b"
TEXT = {"name": "Text Generation"}

Json = dict[str, Any]


def search(*items: Json, **more: Any) -> bytes:
    return msgspec.json.encode({"result": items, **more})


def item(name: str = NEW, **properties: Any) -> Json:
    listed = [{"property_id": each, "value": value} for each, value in properties.items()]
    return {"name": name, "task": TEXT, "created_at": "2026-11-02 10:00:00.000", "properties": listed}


def listed(**properties: Any) -> Listed:
    return read_search(search(item(**properties))).models[NEW]


def after(name: str, **properties: Any) -> Facts:
    return refreshed(CATALOGUE, read_search(search(item(name, **properties))).models).models[name]


def published() -> list[Json]:
    if not DATA.exists():
        pytest.skip("the models' published facts are not beside this checkout")
    return [json.loads(path.read_text()) for path in sorted(DATA.glob("[!_]*.json"))]


def undated(catalogue: Catalogue) -> dict[str, Facts]:
    return {
        name: msgspec.structs.replace(facts, released=None)
        for name, facts in catalogue.models.items()
    }  # fmt: skip


def test_a_list_that_says_what_is_known_changes_nothing() -> None:
    page = read_search(msgspec.json.encode(simulated.search({})))
    assert page.models.keys() == CATALOGUE.models.keys()
    assert undated(refreshed(CATALOGUE, page.models)) == undated(CATALOGUE)


def test_our_facts_are_those_that_cloudflare_has_published() -> None:
    page = read_search(search(*published()))
    assert page.models.keys() == CATALOGUE.models.keys()
    seed = msgspec.structs.replace(
        page.models[SEED], can=CATALOGUE.models[SEED].can
    )  # its page has the tools
    assert refreshed(CATALOGUE, {**page.models, SEED: seed}) == CATALOGUE
    for model in published():
        if model["name"] in CATALOGUE.models:
            neurons = {kind: each for kind, each in model["neurons_per_m_tokens"].items() if each is not None}
            assert CATALOGUE.models[model["name"]].neurons == neurons


def test_schemas_that_cloudflare_has_published_tell_the_shapes_that_we_state() -> None:
    models = [each for each in published() if each["name"] in CATALOGUE.models and each.get("schema")]
    assert len(models) > 30
    for model in models:
        facts, told = CATALOGUE.models[model["name"]], read_schema(search_schema(model["schema"]))
        assert told is not None
        assert facts.family in (told.family, "openai_or_legacy"), model["name"]
        # JSON mode of the seed model is documented, and not in its schema.
        assert facts.bounds == "seed" or told.json == facts.json, model["name"]
        if model["schema_source"].startswith("workers-types") and facts.speaks_openai:
            assert told.content == facts.content, model["name"]


def search_schema(schema: Json) -> bytes:
    return msgspec.json.encode({"result": schema})


@pytest.mark.parametrize("name", CATALOGUE.models)
def test_a_schema_tells_the_shape_that_the_catalogue_states(name: str) -> None:
    facts = CATALOGUE.models[name]
    told = read_schema(msgspec.json.encode(simulated.schema(name, "id")))
    if facts.family == "unknown":  # the simulation has to be of some family
        assert told == Shape("openai", "openai", "newer", "response_format")
        return
    assert told is not None
    family = "legacy" if facts.family == "openai_or_legacy" else facts.family
    assert (told.family, told.content, told.bounds) == (family, facts.content, facts.bounds)
    assert told.json == ("prompt" if facts.bounds == "seed" else facts.json)


@pytest.mark.parametrize("body", [{}, {"result": None}, {"result": {"input": {"type": "object"}}}])
def test_a_schema_of_something_else_tells_nothing(body: Json) -> None:
    assert read_schema(msgspec.json.encode(body)) is None


def test_capabilities_are_texts_in_the_list() -> None:
    stated = listed(
        function_calling="true", vision="false", lora="true", beta=True, async_queue="true", info="x"
    )
    assert stated.can == {"tools", "lora", "beta", "batch"}


def test_thinking_without_a_level_for_none_is_turned_off_by_the_template() -> None:
    efforts = {"supported_efforts": ["low", "high", 3], "default_effort": "high", "mandatory": False}
    stated = listed(reasoning="true", reasoning_effort=efforts)
    assert (stated.efforts, stated.effort, stated.can) == (("low", "high"), "high", {"reasoning", "toggle"})
    always = listed(reasoning="true", reasoning_effort=efforts | {"mandatory": True})
    assert always.can == {"reasoning"}


def test_efforts_that_stand_for_others_come_and_go_with_the_levels() -> None:
    efforts = {
        "supported_efforts": ["high"],
        "normalizes_to": {"low": "high", "max": 3, "null": "high"},
    }
    assert listed(reasoning_effort=efforts).effort_aliases == {"low": "high"}
    assert after(KIMI, reasoning_effort={"supported_efforts": ["high", "low"]}).effort_aliases == {}
    assert after(KIMI).effort_aliases == CATALOGUE.models[KIMI].effort_aliases != {}


@pytest.mark.parametrize("rubbish", [None, "", "12k", -1, 0, "٣", [], {}, True, 1.5])
def test_what_is_no_fact_is_left_out(rubbish: Any) -> None:
    stated = listed(
        context_window=rubbish, price=rubbish, reasoning_effort=rubbish, planned_deprecation_date=rubbish
    )
    assert stated == Listed(released="2026-11-02")


def test_prices_are_read_by_their_units() -> None:
    price = [
        {"unit": "per M input tokens", "price": 0.5, "currency": "USD"},
        {"unit": "per M output tokens", "price": True},
        {"unit": "per M cached input tokens", "price": 0},
        {"unit": "per step", "price": 3},
        "free",
    ]
    assert listed(price=price).price == {"input": 0.5, "cached_input": 0}


def test_models_for_other_tasks_are_counted_and_left_out() -> None:
    other = {"name": "@cf/baai/bge-m3", "task": {"name": "Text Embeddings"}}
    page = read_search(search(item(), other, result_info={"total_count": 7}))
    assert (list(page.models), page.entries, page.total) == ([NEW], 2, 7)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"result": null}', b'{"result": [{"id": "x"}]}', b"\xff"])
def test_what_is_no_search_is_refused(body: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        read_search(body)


def test_what_only_we_know_is_kept() -> None:
    facts, was = after(SEED, context_window="64000"), CATALOGUE.models[SEED]
    assert facts.window == 64_000
    assert (facts.family, facts.bounds, facts.content, facts.json) == (
        was.family,
        was.bounds,
        was.content,
        was.json,
    )
    switched = after(GEMMA, function_calling="true")
    assert switched.can == {"tools", "toggle"}


def test_a_measured_window_holds_until_the_list_states_another() -> None:
    was = CATALOGUE.models[GEMMA]
    assert was.window is not None
    assert was.advertised is not None
    assert was.window < was.advertised
    same = after(GEMMA, context_window=str(was.advertised))
    assert (same.window, same.advertised) == (was.window, was.advertised)
    silent = after(GEMMA)
    assert (silent.window, silent.advertised) == (was.window, was.advertised)
    other = after(GEMMA, context_window="65536")
    assert (other.window, other.advertised) == (65_536, None)


def test_a_new_price_makes_new_neurons() -> None:
    price = [{"unit": "per M input tokens", "price": 0.11}, {"unit": "per M output tokens", "price": 1.1}]
    facts = after(GEMMA, price=price)
    assert facts.price == {"input": 0.11, "output": 1.1}
    assert facts.neurons == {"input": 10_000, "output": 100_000}
    assert after(GEMMA).neurons == CATALOGUE.models[GEMMA].neurons


def test_a_planned_retirement_comes_and_goes_with_the_list() -> None:
    assert after(SEED, planned_deprecation_date="2027-01-31").retires == "2027-01-31"
    assert after(SEED).retires is None


def test_a_model_that_nobody_knew_is_added_with_the_shape_of_its_schema() -> None:
    plain = read_search(search(item(context_window="8192", vision="true"))).models[NEW]
    facts = refreshed(CATALOGUE, {NEW: plain}).models[NEW]
    assert facts == Facts(window=8192, can=frozenset({"vision"}), released="2026-11-02")
    shaped = msgspec.structs.replace(plain, shape=Shape("openai", "openai", "newer", "response_format"))
    facts = refreshed(CATALOGUE, {NEW: shaped}).models[NEW]
    assert (facts.family, facts.content, facts.json, facts.window) == (
        "openai",
        "openai",
        "response_format",
        8192,
    )
    assert CATALOGUE.models.items() <= refreshed(CATALOGUE, {NEW: shaped}).models.items()


def test_a_known_model_keeps_its_family_whatever_a_schema_tells() -> None:
    shaped = Listed(shape=Shape("openai", "openai"))
    assert refreshed(CATALOGUE, {SEED: shaped}).models[SEED].family == "legacy"
