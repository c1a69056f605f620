"""The legacy schema's parameters: every one reachable, every other one accounted for."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.laws import schemas
from tests.laws.exchange import CATALOGUE, NEWER, SEED, Translated, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.parameters import IN_WORDS, LEGACY, OPENAI, Rule, translate_parameters
from translators.errors import ApiError
from translators.report import Report

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
GLM = "@cf/zai-org/glm-4.7-flash"
GEMMA = "@cf/google/gemma-4-26b-a4b-it"
GRANITE = "@cf/ibm-granite/granite-4.0-h-micro"
QWEN3 = "@cf/qwen/qwen3-30b-a3b-fp8"
PROMPT: dict[str, Any] = {"model": "m", "prompt": "p"}

# How each property of the seed model's two inputs is reached: OpenAI's name, or an extra field.
REACH: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hi"}], "prompt": "p", "frequency_penalty": 1, "image": [1, 2],
    "lora": "mine", "max_tokens": 9, "presence_penalty": 1, "raw": True, "repetition_penalty": 1.1, "seed": 7,
    "stream": True, "temperature": 1, "top_k": 3, "top_p": 0.5,
    "functions": [{"name": "f", "code": "return 1"}],
    "tools": [{"type": "function", "function": {"name": "f"}}],
}  # fmt: skip


def test_every_property_of_the_seed_models_two_inputs_is_reachable() -> None:
    prompt, messages = (option["properties"] for option in schemas.input_schema("seed")["oneOf"])
    for properties, body, other in ((prompt, PROMPT, CHAT), (messages, CHAT, PROMPT)):
        for name in properties:
            assert name in REACH, f"nothing reaches {name}"
            assert name not in other or name in body
            (sent,) = translated(body | {name: REACH[name]}).bodies
            assert name in sent, f"{name} is not sent"


def _one(name: str, value: Any, model: str = SEED, body: dict[str, Any] = CHAT) -> tuple[Any, str]:
    exchange: Translated = translated(body | {name: value}, model)
    return exchange.bodies[0].get(name), exchange.fates()[name]


@pytest.mark.parametrize(
    ("name", "value", "seed", "newer"),
    [
        ("temperature", 2, (2, "kept"), (2, "kept")),
        ("temperature", 7, (5, "clamped"), (5, "clamped")),
        ("top_p", 1.5, (1.5, "kept"), (1, "clamped")),
        ("top_p", 0, (0, "kept"), (0.001, "clamped")),
        ("top_k", 99, (50, "clamped"), (50, "clamped")),
        ("top_k", 3.0, (3, "kept"), (3, "kept")),
        ("top_k", 0, (50, "transformed"), (50, "transformed")),
        ("top_k", -1, (50, "transformed"), (50, "transformed")),
        ("frequency_penalty", -1, (0, "clamped"), (-1, "kept")),
        ("presence_penalty", -3, (0, "clamped"), (-2, "clamped")),
        ("repetition_penalty", 3, (2, "clamped"), (2, "clamped")),
        ("seed", 0, (9_999_999_999, "transformed"), (9_999_999_999, "transformed")),
        ("seed", 10_000_000_000, (1, "transformed"), (1, "transformed")),
        ("seed", -1, (9_999_999_998, "transformed"), (9_999_999_998, "transformed")),
    ],
)
def test_values_are_brought_into_the_models_bounds(
    name: str, value: Any, seed: tuple[Any, str], newer: tuple[Any, str]
) -> None:
    assert _one(name, value) == seed
    assert _one(name, value, NEWER) == newer


def test_a_number_of_any_length_is_clamped_and_told_shortly() -> None:
    exchange = translated(CHAT | {"temperature": 10**400})
    (detail,) = [entry.detail for entry in exchange.entries if entry.parameter == "temperature"]
    assert detail == "100000000000000000000000... is outside 0..5 and became 5"


@pytest.mark.parametrize(
    ("name", "value"),
    [("logprobs", False), ("top_logprobs", 0), ("logit_bias", {}), ("store", False), ("service_tier", "auto"),
     ("reasoning_effort", "none"), ("verbosity", "medium"), ("metadata", {}), ("modalities", ["text"])],
)  # fmt: skip
def test_what_asks_for_what_happens_anyway_is_kept_and_not_sent(name: str, value: Any) -> None:
    assert _one(name, value) == (None, "kept")


@pytest.mark.parametrize(
    ("name", "value"),
    [("logprobs", True), ("logit_bias", {"1": 1}), ("store", True), ("user", "u"), ("foo", 1),
     ("prompt", "p"), ("raw", True), ("reasoning_effort", "high"), ("best_of", 2), ("messages2", [])],
)  # fmt: skip
def test_what_the_model_has_no_place_for_is_dropped(name: str, value: Any) -> None:
    assert _one(name, value) == (None, "dropped")


def test_log_probabilities_of_a_completion_are_asked_for_by_0_as_well() -> None:
    assert _one("logprobs", 0, body=PROMPT) == (None, "dropped")


@pytest.mark.parametrize("model", [NEWER, GRANITE])
def test_the_newer_schemas_have_raw_beside_messages_as_well(model: str) -> None:
    for body in (CHAT, PROMPT):
        assert _one("raw", True, model, body) == (True, "kept")
    assert _one("raw", True, GLM) == (None, "dropped")
    assert _one("raw", False, GLM) == (None, "kept")


def test_what_a_single_models_schema_has_is_sent_to_that_one() -> None:
    assert _one("skip_special_tokens", False, GEMMA) == (False, "kept")
    assert _one("skip_special_tokens", False, GLM) == (None, "dropped")
    with pytest.raises(ApiError, match="must be a boolean"):
        _one("skip_special_tokens", "no", GEMMA)


def test_what_goes_with_messages_only_is_dropped_beside_a_prompt() -> None:
    assert _one("functions", REACH["functions"], body=PROMPT) == (None, "dropped")


@pytest.mark.parametrize(
    ("name", "value", "param"),
    [
        ("audio", {"voice": "alloy"}, "audio"),
        ("modalities", ["audio"], "modalities"),
        ("top_k", "3", "top_k"),
        ("top_k", 3.5, "top_k"),
        ("top_k", True, "top_k"),
        ("repetition_penalty", [], "repetition_penalty"),
        ("lora", 5, "lora"),
        ("image", [True], "image"),
        ("image", {}, "image"),
        ("raw", 1, "raw"),
        ("functions", [{"code": "x"}], "functions[0].name"),
        ("functions", [{"name": "f", "code": "x"}, {"name": "g"}], "functions[1].code"),
    ],
)
def test_what_cannot_be_met_is_refused_by_name(name: str, value: Any, param: str) -> None:
    body = PROMPT if name == "raw" else CHAT
    with pytest.raises(ApiError) as caught:
        translated(body | {name: value})
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("name", "value"), [("modalities", 5), ("modalities", {"audio": 1}), ("functions", {"code": 1})]
)
def test_fields_that_no_dialect_has_read_are_still_checked(name: str, value: Any) -> None:
    with pytest.raises(ApiError, match="must be an array"):
        translate_parameters({name: value}, Facts(), Report(), prompt=False)


@pytest.mark.parametrize(("table", "model"), [(LEGACY, SEED), (OPENAI, GLM), (IN_WORDS, QWEN3)])
def test_every_fate_is_decided_for_some_value(table: Mapping[str, Rule], model: str) -> None:
    given = dict.fromkeys(table, 1) | {
        "modalities": ["text"],
        "lora": "x",
        "image": "x",
        "raw": True,
        "functions": [],
        "reasoning_effort": "high",
        "chat_template_kwargs": {},
        "options": {},
    }
    del given["audio"]
    report = Report()
    translate_parameters(given, CATALOGUE.facts(model), report, prompt=False)
    entries = report.entries({name: name for name in given}, {})
    assert {entry.parameter for entry in entries} == given.keys()
