"""Law 1: any body that OpenAI allows becomes one that the model's schema accepts, or a 400 naming why."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import bodies, schemas
from tests.laws.exchange import NEWER, SEED, refusal, translated
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS, Dialect
from translators.errors import ApiError

VISION = "@cf/meta/llama-4-scout-17b-16e-instruct"
SCHEMAS = {SEED: "seed", NEWER: "newer"}
MODELS = pytest.mark.parametrize("model", [SEED, NEWER])


def _assert_accepted(body: dict[str, Any], model: str) -> None:
    for sent in translated(body, model).bodies:
        assert schemas.conforming(SCHEMAS[model])(sent) is None
        assert schemas.cloudflare(SCHEMAS[model])(sent) is None


def _assert_names_a_parameter(error: ApiError, body: dict[str, Any]) -> None:
    assert error.status == 400
    assert error.param is not None
    assert re.split(r"[.\[]", error.param, maxsplit=1)[0] in body
    assert f"'{error.param}" in error.message


@MODELS
@given(body=bodies.chat_bodies() | bodies.completion_bodies())
def test_what_openai_allows_is_accepted_by_the_schema_or_refused_by_name(
    model: str, body: dict[str, Any]
) -> None:
    error = refusal(body, model)
    if error is None:
        _assert_accepted(body, model)
    else:
        _assert_names_a_parameter(error, body)


@MODELS
@given(body=bodies.chat_bodies(media=False) | bodies.completion_bodies())
def test_nothing_is_refused_that_asks_for_text_alone(model: str, body: dict[str, Any]) -> None:
    _assert_accepted(body, model)


@given(body=bodies.chat_bodies())
def test_a_model_that_takes_image_parts_gets_a_body_that_its_schema_accepts(body: dict[str, Any]) -> None:
    error = refusal(body, VISION)
    if error is not None:
        _assert_names_a_parameter(error, body)
        return
    for sent in translated(body, VISION).bodies:
        assert schemas.conforming("vision")(sent) is None


@MODELS
@given(body=bodies.spoilt(bodies.chat_bodies() | bodies.completion_bodies()))
def test_a_body_of_any_kind_is_a_400_or_is_accepted(model: str, body: dict[str, Any]) -> None:
    error = refusal(body, model)
    if error is None:
        _assert_accepted(body, model)
    else:
        assert error.status == 400
        assert error.message


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, OPENAI_COMPLETIONS])
@given(raw=st.binary(max_size=40) | bodies.JSON_VALUES.map(repr).map(str.encode))
def test_bytes_that_are_no_request_are_a_400(dialect: Dialect, raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        dialect.read(raw)
    assert caught.value.status == 400
