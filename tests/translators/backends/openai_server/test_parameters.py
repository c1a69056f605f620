"""The fate of parameters, by product."""

from typing import Any

import pytest

from tests.translators.backends.openai_server.asking import written
from translators.backends.openai_server.servers import SERVERS

PRODUCT = pytest.mark.parametrize("product", sorted(SERVERS))


@PRODUCT
def test_sampling_goes_to_every_product(product: str) -> None:
    given: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "seed": 4}
    exchange = written(product, **given)
    body = exchange.body
    assert given.items() <= body.items()
    assert {exchange.fates[name][0] for name in given} == {"kept"}


@PRODUCT
def test_what_nobody_knows_is_dropped_and_told(product: str) -> None:
    exchange = written(product, quite_new=1)
    assert "quite_new" not in exchange.body
    assert exchange.fates["quite_new"][0] == "dropped"
    assert "allow" in exchange.fates["quite_new"][1]


@PRODUCT
@pytest.mark.parametrize("name", ["quite_new", "chat_template_kwargs", "mm_processor_kwargs"])
def test_the_operator_lets_through_what_he_names(product: str, name: str) -> None:
    exchange = written(product, served={"allow": frozenset({name})}, **{name: {"a": 1}})
    assert exchange.body[name] == {"a": 1}
    assert exchange.fates[name][0] == "kept"


@PRODUCT
def test_a_chat_template_is_not_the_clients_to_choose(product: str) -> None:
    exchange = written(product, chat_template_kwargs={"enable_thinking": False})
    assert "chat_template_kwargs" not in exchange.body
    assert exchange.fates["chat_template_kwargs"][0] == "dropped"


@pytest.mark.parametrize(
    ("product", "name", "there"),
    [
        ("llama_cpp", "repetition_penalty", "repeat_penalty"),
        ("lmdeploy", "min_tokens", "min_new_tokens"),
    ],
)
def test_a_parameter_has_the_products_own_name(product: str, name: str, there: str) -> None:
    given: dict[str, Any] = {name: 1.5}
    exchange = written(product, **given)
    body = exchange.body
    assert body[there] == 1.5
    assert name not in body
    assert exchange.fates[name][0] == "renamed"


@pytest.mark.parametrize(
    "harmless",
    [{"store": False}, {"service_tier": "auto"}, {"modalities": ["text"]}, {"metadata": {}}],
)
def test_what_asks_for_nothing_special_is_left_out_without_a_word(harmless: dict[str, Any]) -> None:
    exchange = written("vllm", **harmless)
    assert not harmless.keys() & exchange.body.keys()
    assert {fate for fate, _why in exchange.fates.values()} <= {"kept", "renamed", "defaulted"}


def test_openai_takes_what_others_do_not() -> None:
    given: dict[str, Any] = {"store": True, "verbosity": "low"}
    assert given.items() <= written("openai", **given).body.items()
    assert {written("vllm", **given).fates[name][0] for name in given} == {"dropped"}


@pytest.mark.parametrize(
    ("product", "name"), [("tgi", "logit_bias"), ("llama_cpp", "min_tokens"), ("sglang", "rid")]
)
def test_what_a_product_makes_nothing_of_is_dropped_and_told(product: str, name: str) -> None:
    given: dict[str, Any] = {name: {"1": 5} if name == "logit_bias" else 5}
    exchange = written(product, **given)
    assert name not in exchange.body
    assert exchange.fates[name][0] == "dropped"


def test_a_value_that_asks_for_nothing_is_left_out_where_the_product_refuses_it() -> None:
    exchange = written("tgi", top_p=1)
    assert "top_p" not in exchange.body
    assert exchange.fates["top_p"] == ("kept", "")
    assert written("vllm", top_p=1).body["top_p"] == 1
    assert written("tgi", top_p=0.9).body["top_p"] == 0.9
