"""What an answer may be, in the words of vLLM."""

import json
from typing import Any

import pytest

from tests.laws.exchange import CATALOGUE, STAMP, Translated, translated
from tests.translators.backends.openai_server.asking import written
from translators.asking.seam import can_be_continued
from translators.backends.openai_server.servers import SERVERS
from translators.backends.workers_ai.request import translate
from translators.chat import ChatRequest
from translators.clients import OPENAI_COMPLETIONS
from translators.errors import ApiError
from translators.report import Report

NEWER = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
GLM = "@cf/zai-org/glm-4.7-flash"
MISTRAL = "@cf/mistralai/mistral-small-3.1-24b-instruct"
GUARD = "@cf/meta/llama-guard-3-8b"
USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def _asked(model: str, **fields: Any) -> Translated:
    return translated({"model": "m", "messages": [USER], **fields}, model)


@pytest.mark.parametrize("model", [NEWER, GLM, MISTRAL])
@pytest.mark.parametrize("schema", [SCHEMA, json.dumps(SCHEMA)])
def test_a_schema_is_the_one_of_a_strict_response_format(model: str, schema: Any) -> None:
    envelope = {"name": "answer", "schema": SCHEMA, "strict": True}
    usual = _asked(model, response_format={"type": "json_schema", "json_schema": envelope})
    exchange = _asked(model, structured_outputs={"json": schema})
    assert exchange.bodies == usual.bodies
    assert exchange.fates()["structured_outputs"] == "transformed"
    details = [each.detail for each in exchange.entries if each.parameter == "structured_outputs"]
    field = "guided_json" if model == MISTRAL else "response_format"
    assert f"it is sent as '{field}'" in details[0]


def test_any_object_is_asked_for_as_well() -> None:
    usual = _asked(NEWER, response_format={"type": "json_object"})
    exchange = _asked(NEWER, structured_outputs={"json_object": True, "json": None, "regex": None})
    assert exchange.bodies == usual.bodies


def test_what_is_said_beside_the_constraint_is_told() -> None:
    exchange = _asked(NEWER, structured_outputs={"json": SCHEMA, "disable_any_whitespace": True})
    details = [each.detail for each in exchange.entries if each.parameter == "structured_outputs"]
    assert "of it 'json' alone is sent on" in details[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("structured_outputs", {"regex": "a+"}),
        ("structured_outputs", {"choice": ["a", "b"]}),
        ("structured_outputs", {"grammar": "root ::= 'a'"}),
        ("structured_outputs", {}),
        ("structured_outputs", {"json": SCHEMA, "regex": "a"}),
        ("guided_regex", "a+"),
        ("guided_choice", ["a"]),
        ("guided_grammar", "x"),
    ],
)
def test_other_constraints_are_dropped_and_told(name: str, value: Any) -> None:
    exchange = _asked(NEWER, **{name: value})
    assert exchange.bodies == _asked(NEWER).bodies
    assert exchange.fates()[name] == "dropped"


def test_of_several_one_counts() -> None:
    exchange = _asked(NEWER, structured_outputs={"json": SCHEMA}, guided_json={"type": "object"})
    assert exchange.bodies == _asked(NEWER, structured_outputs={"json": SCHEMA}).bodies
    assert exchange.fates()["guided_json"] == "dropped"
    exchange = _asked(NEWER, structured_outputs={"json": SCHEMA}, response_format={"type": "json_object"})
    assert exchange.fates()["structured_outputs"] == "dropped"


def test_a_judge_of_dialogues_has_a_form_of_its_own() -> None:
    assert _asked(GUARD, structured_outputs={"json": SCHEMA}).fates()["structured_outputs"] == "dropped"


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (5, "structured_outputs"),
        ({"json": 5}, "structured_outputs.json"),
        ({"json": {"$ref": "#/x"}}, "structured_outputs.json"),
    ],
)
@pytest.mark.parametrize("model", [NEWER, MISTRAL])
def test_what_cannot_be_read_is_refused_by_its_name(model: str, value: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        _asked(model, structured_outputs=value)
    assert caught.value.status == 400
    assert (caught.value.param or "").startswith(param)


@pytest.mark.parametrize("product", sorted(SERVERS.keys() - {"vllm", "tgi"}))
def test_a_server_is_asked_for_json_as_openai_is(product: str) -> None:
    for said in ({"guided_json": SCHEMA}, {"structured_outputs": {"json": SCHEMA}}):
        exchange = written(product, **said)
        (name,) = said
        assert exchange.body["response_format"]["json_schema"]["schema"] == SCHEMA
        assert name not in exchange.body
        fate, detail = exchange.fates[name]
        assert fate in {"renamed", "transformed"}
        assert detail


def test_vllm_takes_its_own_and_what_it_took_before() -> None:
    exchange = written("vllm", structured_outputs={"regex": "a"}, guided_regex="b")
    assert exchange.body["structured_outputs"] == {"regex": "a"}
    assert exchange.fates["guided_regex"] == ("dropped", "'structured_outputs' is sent beside it and counts")
    for kind, value in (("regex", "a+"), ("choice", ["a", "b"]), ("grammar", "g")):
        exchange = written("vllm", **{f"guided_{kind}": value})
        assert exchange.body["structured_outputs"] == {kind: value}
        assert exchange.fates[f"guided_{kind}"] == ("renamed", "sent as 'structured_outputs'")
    exchange = written("vllm", prompt="p", guided_json=SCHEMA)
    assert exchange.body["structured_outputs"] == {"json": SCHEMA}


def test_products_with_such_a_parameter_of_their_own_get_that() -> None:
    for product, kind, name in (
        ("sglang", "regex", "regex"),
        ("sglang", "grammar", "ebnf"),
        ("llama_cpp", "grammar", "grammar"),
    ):
        exchange = written(product, structured_outputs={kind: "a"})
        assert exchange.body[name] == "a"
        assert exchange.fates["structured_outputs"] == ("renamed", f"sent as '{name}'")


def test_what_a_server_cannot_be_held_to_is_dropped() -> None:
    for product, fields in (
        ("generic", {"structured_outputs": {"regex": "a"}}),
        ("sglang", {"structured_outputs": {"choice": ["a"]}}),
        ("generic", {"prompt": "p", "guided_json": SCHEMA}),
    ):
        exchange = written(product, **fields)
        (name,) = fields.keys() - {"prompt"}
        assert not {name, "response_format"} & exchange.body.keys()
        assert exchange.fates[name][0] == "dropped"


@pytest.mark.parametrize(
    "name", ["structured_outputs", "guided_regex", "regex", "ebnf", "grammar", "json_schema"]
)
def test_an_answer_that_is_held_to_something_is_not_gone_on_with_elsewhere(name: str) -> None:
    assert can_be_continued(ChatRequest(model="m", stream=True))
    assert not can_be_continued(ChatRequest(model="m", stream=True, extra={name: "x"}))


@pytest.mark.parametrize("order", [1, -1])
def test_a_prompts_schema_has_its_fate_beside_a_word_that_prompts_do_not_know(order: int) -> None:
    said = [("guided_json", SCHEMA), ("response_format", {"a": 1})][::order]
    request = OPENAI_COMPLETIONS.read(json.dumps({"model": "m", "prompt": "hi", **dict(said)}).encode())
    report = Report()
    translate(request, NEWER, CATALOGUE.facts(NEWER), STAMP, report)
    fates = {each.parameter: each.fate.word for each in report.entries(request.sent, request.settled)}
    assert fates["guided_json"] == "transformed"
    assert fates["response_format"] == "dropped"
