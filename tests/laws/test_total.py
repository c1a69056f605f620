"""Law 1: any body that OpenAI allows becomes one that the model's schema accepts, or a 400 naming why.

Every body is put to a model of each family; tests/laws/count.py prints the figures.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws import bodies, demands, schemas
from tests.laws.count import REQUESTS, Verdict, judge
from tests.laws.exchange import CATALOGUE, refusal, translated
from tests.laws.families import FAMILIES, ONE_OF_EACH
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS, Dialect
from translators.errors import ApiError

SEEING = [model for model, facts in CATALOGUE.models.items() if demands.sees(facts)]


@settings(max_examples=5 * settings().max_examples)
@given(body=REQUESTS, models=ONE_OF_EACH)
def test_what_openai_allows_is_accepted_by_the_schema_or_refused_by_name(
    body: dict[str, Any], models: tuple[str, ...]
) -> None:
    for model in models:
        assert judge(body, model).broken is None, model


@given(body=bodies.any_bodies(media=None), models=ONE_OF_EACH)
def test_nothing_is_refused_that_asks_for_text_alone(body: dict[str, Any], models: tuple[str, ...]) -> None:
    for model in models:
        assert judge(body, model) == Verdict(), model


@given(body=bodies.chat_bodies(media=bodies.PICTURES, one_in=1), model=st.sampled_from(SEEING))
def test_a_picture_is_refused_by_no_model_that_sees(body: dict[str, Any], model: str) -> None:
    taken = {name: value for name, value in body.items() if name != "image"}
    assert judge(taken, model) == Verdict()


@given(body=bodies.spoilt(REQUESTS), models=ONE_OF_EACH)
def test_a_body_of_any_kind_is_a_400_or_is_accepted(body: dict[str, Any], models: tuple[str, ...]) -> None:
    for model in models:
        error = refusal(body, model)
        if error is None:
            texts = [schemas.refusal(model, sent) for sent in translated(body, model).bodies]
            assert texts == [None] * len(texts), model
        else:
            assert error.status == 400
            assert error.message


def test_every_model_of_the_catalogue_is_in_one_family() -> None:
    models = [model for family in FAMILIES for model in family.models]
    assert len(models) == len(set(models))
    assert set(models) >= CATALOGUE.models.keys()
    assert all(family.models for family in FAMILIES)


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, OPENAI_COMPLETIONS])
@given(raw=st.binary(max_size=40) | bodies.JSON_VALUES.map(repr).map(str.encode))
def test_bytes_that_are_no_request_are_a_400(dialect: Dialect, raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        dialect.read(raw)
    assert caught.value.status == 400
