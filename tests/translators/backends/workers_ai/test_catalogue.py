"""Facts of the models."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.laws.exchange import CATALOGUE, SEED
from translators.backends.workers_ai.catalogue import Facts, read_catalogue
from translators.backends.workers_ai.listing import DOLLARS_PER_NEURON
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


def test_every_model_has_the_family_that_its_published_schema_is_of() -> None:
    if not DATA.exists():
        pytest.skip("the models' published facts are not beside this checkout")
    published = [json.loads(path.read_text()) for path in DATA.glob("[!_]*.json")]
    families = {
        each["name"]: each["wire_family"] for each in published if each["task"]["name"] == "Text Generation"
    }
    assert {name: facts.family for name, facts in CATALOGUE.models.items()} == families


def test_a_window_is_advertised_only_where_the_service_takes_less() -> None:
    differing = {name: facts for name, facts in CATALOGUE.models.items() if facts.advertised is not None}
    assert len(differing) == 3
    assert all((facts.window or 0) < (facts.advertised or 0) for facts in differing.values())


def test_dollars_and_neurons_are_the_same_price() -> None:
    priced = [facts for facts in CATALOGUE.models.values() if facts.price]
    assert len(priced) > 25
    for facts in priced:
        assert {"input", "output"} <= facts.neurons.keys()
        for kind, neurons in facts.neurons.items():
            # Half a unit of the last digit that is published of either.
            assert neurons * DOLLARS_PER_NEURON == pytest.approx(facts.price[kind], rel=0.02, abs=0.0005)


def test_a_model_that_is_gone_is_not_listed_and_its_successor_is() -> None:
    assert len(CATALOGUE.retired) == 18
    assert not CATALOGUE.retired.keys() & CATALOGUE.models.keys()
    successors = {gone.successor for gone in CATALOGUE.retired.values() if gone.successor}
    assert successors
    assert successors <= CATALOGUE.models.keys()
    assert all(is_model_id(model) for model in CATALOGUE.retired)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", gone.on) for gone in CATALOGUE.retired.values())


def test_a_catalogue_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_catalogue(b'{"models":{"@cf/a/b":{"family":"latin"}}}')


def test_only_models_that_think_within_their_text_begin_with_it() -> None:
    first = {model for model, facts in CATALOGUE.models.items() if facts.thinks_first}
    assert first == {"@cf/deepseek-ai/deepseek-r1-distill-qwen-32b", "@cf/qwen/qwq-32b"}
