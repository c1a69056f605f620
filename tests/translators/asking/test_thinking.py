"""How much to think, in the words of other APIs than OpenAI's chat."""

from typing import Any

import msgspec
import pytest

from tests.laws.exchange import CATALOGUE, translated
from tests.translators.backends.openai_server.asking import written
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.reasoning import Asked, translate_effort
from translators.report import Report

GLM_FLASH = "@cf/zai-org/glm-4.7-flash"
GLM_2 = "@cf/zai-org/glm-5.2"
GLM_3 = "@cf/zai-org/glm-5.3"
KIMI = "@cf/moonshotai/kimi-k2.6"
KIMI_CODE = "@cf/moonshotai/kimi-k2.7-code"
NEMOTRON = "@cf/nvidia/nemotron-3-120b-a12b"
QWEN3 = "@cf/qwen/qwen3-30b-a3b-fp8"
QWEN = "@cf/qwen/qwen3.8-27b"
SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
USER = {"role": "user", "content": "hi"}
FIELDS = ("reasoning_effort", "chat_template_kwargs", "reasoning", "thinking", "enable_thinking")


def _told(model: str, **said: Any) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """What of it is sent, and what is said of each parameter."""
    exchange = translated({"model": "m", "messages": [USER], **said}, model)
    (body,) = exchange.bodies
    fates = {entry.parameter: (entry.fate.word, entry.detail) for entry in exchange.entries}
    return {name: body[name] for name in FIELDS if name in body}, fates


_HIGH, _NONE = {"reasoning_effort": "high"}, {"reasoning_effort": "none"}
_OFF = {"chat_template_kwargs": {"enable_thinking": False}}
_ON = {"chat_template_kwargs": {"enable_thinking": True}}


@pytest.mark.parametrize(
    ("model", "said", "sent", "fate"),
    [
        (KIMI, {"reasoning": {"effort": "high"}}, _HIGH, "renamed"),
        (KIMI, {"reasoning": {"effort": "low"}}, _HIGH, "transformed"),
        (KIMI, {"reasoning": {"enabled": False}}, _NONE, "renamed"),
        (KIMI, {"reasoning": {"enabled": True}}, _HIGH, "renamed"),
        (KIMI, {"thinking": {"type": "disabled"}}, _NONE, "renamed"),
        (KIMI, {"thinking": {"type": "enabled"}}, _HIGH, "renamed"),
        (KIMI, {"thinking": {"type": "adaptive"}}, _HIGH, "renamed"),
        (KIMI, {"thinking": False}, _NONE, "renamed"),
        (KIMI, {"enable_thinking": True}, _HIGH, "renamed"),
        (KIMI, {"thinking": {"type": "enabled", "budget_tokens": 9}}, _HIGH, "transformed"),
        (KIMI, {"thinking": {"type": "disabled", "budget_tokens": 9}}, _NONE, "renamed"),
        (KIMI, {"reasoning": {"max_tokens": 9}}, _HIGH, "transformed"),
        (KIMI, {"reasoning": {"effort": "high", "summary": "auto"}}, _HIGH, "transformed"),
        (KIMI, {"reasoning": {"effort": "high", "summary": None}}, _HIGH, "renamed"),
        (GLM_2, {"enable_thinking": False}, _NONE, "renamed"),
        (GLM_3, {"enable_thinking": False}, {"reasoning_effort": "low"}, "transformed"),
        (GLM_3, {"thinking": {"type": "enabled"}}, {"reasoning_effort": "max"}, "renamed"),
        (GLM_FLASH, {"enable_thinking": False}, _OFF, "transformed"),
        (GLM_FLASH, {"thinking": {"type": "enabled"}}, _ON, "transformed"),
        (NEMOTRON, {"reasoning": {"enabled": False}}, _OFF, "transformed"),
        (QWEN, {"thinking": {"type": "disabled"}}, _OFF, "transformed"),
        (QWEN3, {"thinking": {"type": "disabled"}}, {}, "emulated"),
        (QWEN3, {"enable_thinking": True}, {}, "transformed"),
        (KIMI_CODE, {"enable_thinking": True}, {}, "transformed"),
        (KIMI_CODE, {"enable_thinking": False}, {}, "dropped"),
        (SEED, {"enable_thinking": True}, {}, "dropped"),
        (SEED, {"enable_thinking": False}, {}, "kept"),
        (SEED, {"reasoning": {"effort": "high"}}, {}, "dropped"),
        *((KIMI, each, {}, "dropped") for each in (
            {"reasoning": {}}, {"reasoning": "high"}, {"reasoning": {"effort": "huge"}},
            {"reasoning": {"effort": ["high"]}}, {"reasoning": {"max_tokens": True}},
            {"reasoning": {"max_tokens": 0}}, {"thinking": {}}, {"thinking": {"type": ["enabled"]}},
            {"thinking": {"budget_tokens": 9}}, {"thinking": "on"}, {"enable_thinking": "yes"},
            {"enable_thinking": 1},
        )),
    ],
)  # fmt: skip
def test_it_becomes_what_the_model_takes(
    model: str, said: dict[str, Any], sent: dict[str, Any], fate: str
) -> None:
    told, fates = _told(model, **said)
    assert told == sent
    (name,) = said
    assert fates[name][0] == fate
    assert "reasoning_effort" not in fates


def test_what_of_it_has_no_place_is_told() -> None:
    for said, words in (
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "its budget of tokens is not sent"),
        ({"reasoning": {"effort": "high", "exclude": True}}, "only how much to think is sent on"),
    ):
        (name,) = said
        assert words in _told(KIMI, **said)[1][name][1]


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"reasoning_effort": "none", "reasoning": {"effort": "high"}}, "reasoning_effort"),
        ({"reasoning": {"enabled": False}, "enable_thinking": True}, "reasoning"),
        ({"thinking": {"type": "disabled"}, "enable_thinking": True}, "thinking"),
    ],
)
def test_of_several_one_counts(said: dict[str, Any], counts: str) -> None:
    told, fates = _told(KIMI, **said)
    assert told == {"reasoning_effort": "none"}
    (other,) = said.keys() - {counts}
    assert fates[other] == ("dropped", f"'{counts}' is sent beside it and counts")


def test_beside_a_prompt_an_effort_counts_as_well() -> None:
    body = {"model": "m", "prompt": "p", "reasoning_effort": "none", "thinking": {"type": "enabled"}}
    exchange = translated(body, KIMI)
    assert exchange.bodies[0]["reasoning_effort"] == "none"
    assert (exchange.fates()["reasoning_effort"], exchange.fates()["thinking"]) == ("kept", "dropped")


def test_the_chat_template_counts_more() -> None:
    told, fates = _told(GLM_FLASH, enable_thinking=False, **_ON)
    assert told == _ON
    assert fates["enable_thinking"][0] == "dropped"


def test_the_room_for_thinking_is_what_this_says() -> None:
    def limit(**said: Any) -> Any:
        body = {"model": "m", "messages": [USER], "max_tokens": 9, **said}
        return translated(body, KIMI).bodies[0]["max_completion_tokens"]

    assert limit(thinking={"type": "disabled"}) == 9
    assert limit(enable_thinking=True) > 4000


def test_an_error_about_it_names_what_the_client_sent() -> None:
    exchange = translated({"model": "m", "messages": [USER], "enable_thinking": False}, GLM_FLASH)
    (call,) = exchange.dialogue.first()
    reader = call.reader()
    reader.start(400, {})
    place = "/chat_template_kwargs/enable_thinking"
    text = f"AiError: Bad input: Error: Type mismatch of '{place}', 'string' not in 'boolean'"
    body = {"errors": [{"code": 5006, "message": text}], "success": False}
    (failed,) = [*reader.feed(msgspec.json.encode(body)), *reader.close()]
    assert failed.error.param == "enable_thinking"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "product", ["vllm", "sglang", "llama_cpp", "lmdeploy", "generic", "workers_ai", "openai"]
)
def test_a_server_is_asked_by_an_effort(product: str) -> None:
    for said in ({"reasoning": {"effort": "none"}}, {"thinking": {"type": "disabled"}}):
        exchange = written(product, **said)
        (name,) = said
        assert exchange.body["reasoning_effort"] == "none"
        assert name not in exchange.body
        assert exchange.fates[name][0] == "renamed"
    exchange = written(product, thinking={"type": "enabled"})
    assert not set(FIELDS) & exchange.body.keys()
    assert exchange.fates["thinking"][0] == "transformed"


def test_a_server_gets_what_it_takes_itself_as_it_came() -> None:
    for product, said in (
        ("ollama", {"reasoning": {"effort": "low"}}),
        ("tensorrt_llm", {"thinking": {"type": "enabled"}}),
        ("lmdeploy", {"enable_thinking": False}),
    ):
        exchange = written(product, **said)
        assert said.items() <= exchange.body.items()
        assert set(FIELDS) & exchange.body.keys() == said.keys()
        assert {exchange.fates[name][0] for name in said} == {"kept"}
    allowed = written("generic", {"allow": frozenset({"enable_thinking"})}, enable_thinking=True)
    assert allowed.body["enable_thinking"] is True


@pytest.mark.parametrize("on", [True, False])
def test_the_template_is_told_where_the_operator_lets_clients_speak_to_it(*, on: bool) -> None:
    served = {"allow": frozenset({"chat_template_kwargs"})}
    switches = {"enable_thinking": on, "thinking": on}
    exchange = written("vllm", served, enable_thinking=on)
    assert exchange.body["chat_template_kwargs"] == switches
    assert exchange.fates["enable_thinking"][0] == "transformed"
    beside = written("vllm", served, enable_thinking=on, chat_template_kwargs={"x": 1})
    assert beside.body["chat_template_kwargs"] == {**switches, "x": 1}
    for against in ({"enable_thinking": not on}, "no template"):
        exchange = written("vllm", served, enable_thinking=on, chat_template_kwargs=against)
        assert exchange.body["chat_template_kwargs"] == against
        assert exchange.fates["enable_thinking"][0] == "dropped"


def test_a_product_without_such_a_parameter_is_told_nothing() -> None:
    for said in ({"enable_thinking": True}, {"enable_thinking": False}, {"reasoning": {"effort": "low"}}):
        exchange = written("tgi", **said)
        (name,) = said
        assert not set(FIELDS) & exchange.body.keys()
        assert exchange.fates[name][0] == "dropped"


def test_a_budget_goes_to_the_product_that_takes_one() -> None:
    exchange = written("vllm", thinking={"type": "enabled", "budget_tokens": 500})
    assert exchange.body["thinking_token_budget"] == 500
    assert exchange.fates["thinking"][0] == "transformed"
    exchange = written("vllm", reasoning={"effort": "low", "max_tokens": 500}, thinking_token_budget=7)
    assert (exchange.body["thinking_token_budget"], exchange.body["reasoning_effort"]) == (7, "low")
    assert "thinking_token_budget" not in written("sglang", reasoning={"max_tokens": 500}).body


def test_levels_that_openai_does_not_have_are_none_to_come_near_to() -> None:
    """Cloudflare's list may state any."""
    strange = Facts(
        family="openai",
        can=frozenset({"reasoning"}),
        efforts=("ultra", "none"),
        effort="ultra",
        effort_aliases={"low": "ultra"},
    )
    for effort, sent in (("none", {"reasoning_effort": "none"}), ("on", {"reasoning_effort": "ultra"})):
        assert translate_effort(Asked(effort, "e", {}), strange, Report(), can_be_told=True) == sent
    for effort in ("low", "max"):
        assert translate_effort(Asked(effort, "e", {}), strange, Report(), can_be_told=True) == {}


def test_every_model_that_thinks_can_be_told_so_in_these_words() -> None:
    for model, facts in CATALOGUE.models.items():
        fate = _told(model, enable_thinking=True)[1]["enable_thinking"][0]
        assert (fate == "dropped") == ("reasoning" not in facts.can), model
