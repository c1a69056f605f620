"""Facts of the models."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.laws.exchange import CATALOGUE, SEED
from translators.backends.workers_ai.catalogue import Facts, read_catalogue
from translators.backends.workers_ai.request import is_model_id

DATA = Path(__file__).parents[5] / "shared" / "data" / "workers-ai-models"


def test_the_seed_model_has_the_bounds_of_its_page() -> None:
    facts = CATALOGUE.facts(SEED)
    assert (facts.family, facts.window, facts.text_limit, facts.content) == (
        "legacy",
        128_000,
        131_072,
        "string",
    )


def test_a_model_that_is_not_listed_is_of_the_plainest_kind() -> None:
    assert CATALOGUE.facts("@cf/nobody/nothing") == Facts()
    assert Facts().text_limit is None


@pytest.mark.parametrize(("window", "tokens"), [(None, 4096), (128_000, 4096), (8192, 2048)])
def test_the_default_length_leaves_room_for_the_prompt(window: int | None, tokens: int) -> None:
    assert Facts(window=window).default_max_tokens == tokens


def test_every_listed_model_has_an_id_that_may_be_called() -> None:
    assert all(is_model_id(model) for model in CATALOGUE.models)
    assert len(CATALOGUE.models) > 25


def test_every_text_model_that_is_published_is_listed_with_its_family_and_window() -> None:
    if not DATA.exists():
        pytest.skip("the models' published facts are not beside this checkout")
    published = [json.loads(path.read_text()) for path in DATA.glob("[!_]*.json")]
    texts = [model for model in published if model["task"]["name"] == "Text Generation"]
    assert len(texts) > 25
    for model in texts:
        facts = CATALOGUE.models[model["name"]]
        assert facts.family == model["wire_family"], model["name"]
        properties = {each["property_id"]: each["value"] for each in model.get("properties", ())}
        if "context_window" in properties:
            assert facts.window == int(properties["context_window"]), model["name"]


def test_a_catalogue_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_catalogue(b'{"models":{"@cf/a/b":{"family":"latin"}}}')
