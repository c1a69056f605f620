"""vLLM's `guided_json`, which clients send in place of `response_format`."""

import json
from typing import Any

import msgspec
import pytest

from tests.laws.exchange import CATALOGUE, Translated, translated
from translators.backends.workers_ai.request import translate
from translators.call import Stamp
from translators.chat import ChatRequest, Text, Turn
from translators.deltas import Finish, Usage
from translators.deltas import Text as TextDelta
from translators.errors import ApiError
from translators.report import Report

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
NEWER = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
GLM = "@cf/zai-org/glm-4.7-flash"
MISTRAL = "@cf/mistralai/mistral-small-3.1-24b-instruct"
VISION = "@cf/meta/llama-3.2-11b-vision-instruct"
GUARD = "@cf/meta/llama-guard-3-8b"
USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def _asked(model: str, schema: Any = SCHEMA, **fields: Any) -> Translated:
    asked = {"prompt": "p"} if "prompt" in fields else {"messages": [USER]}
    return translated({"model": "m", **asked, "guided_json": schema, **fields}, model)


def _why(exchange: Translated) -> str:
    return next(entry.detail for entry in exchange.entries if entry.parameter == "guided_json")


@pytest.mark.parametrize("schema", [SCHEMA, json.dumps(SCHEMA)])
def test_a_model_that_has_it_gets_it(schema: Any) -> None:
    exchange = _asked(MISTRAL, schema)
    assert exchange.bodies[0]["guided_json"] == SCHEMA
    assert exchange.fates()["guided_json"] == "transformed"
    assert "checked" in _why(exchange)
    assert "sent as" not in _why(exchange)


def test_another_is_asked_for_the_same_by_response_format() -> None:
    exchange = _asked(NEWER)
    assert exchange.bodies[0]["response_format"] == {"type": "json_schema", "json_schema": SCHEMA}
    assert "guided_json" not in exchange.bodies[0]
    assert "'response_format'" in _why(exchange)
    (body,) = _asked(GLM).bodies
    assert SCHEMA.items() <= body["response_format"]["json_schema"].items()
    assert body["response_format"]["json_schema"]["strict"] is True


def test_a_model_without_json_mode_is_told_in_words() -> None:
    exchange = _asked(VISION)
    assert json.loads(exchange.bodies[0]["messages"][0]["content"].partition("\n")[2]) == SCHEMA
    assert exchange.fates()["guided_json"] == "emulated"


@pytest.mark.parametrize("model", [SEED, GLM, MISTRAL])
def test_the_answer_is_checked_as_a_strict_one(model: str) -> None:
    exchange = _asked(model, stream=True)
    assert exchange.fates()["stream"] == "emulated"
    wrong = [TextDelta(0, '{"b":1}'), Finish(0, "stop"), Usage(9, 1)]
    exchange.dialogue.first()
    assert exchange.dialogue.take(0, wrong) == []
    (again,) = exchange.dialogue.next()
    assert len(msgspec.json.decode(again.body)["messages"]) == 3


def test_response_format_beside_it_counts() -> None:
    exchange = _asked(MISTRAL, {"type": "object"}, response_format={"type": "json_object"})
    assert (
        exchange.bodies
        == translated(
            {"model": "m", "messages": [USER], "response_format": {"type": "json_object"}}, MISTRAL
        ).bodies
    )
    assert exchange.fates()["guided_json"] == "dropped"
    assert exchange.fates()["response_format"] == "transformed"


def test_a_judge_of_dialogues_has_a_form_of_its_own() -> None:
    exchange = _asked(GUARD)
    assert "response_format" not in exchange.bodies[0]
    assert exchange.fates()["guided_json"] == "dropped"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (5, "must be a JSON Schema"),
        ([], "must be a JSON Schema"),
        ("{", "must be a JSON Schema"),
        ("[1]", "must be a JSON Schema"),
        ("[" * 5000, "must be a JSON Schema"),
        ({"$ref": "#/x"}, "'guided_json"),
    ],
)
@pytest.mark.parametrize("model", [SEED, MISTRAL])
def test_what_is_no_schema_is_refused_by_name(model: str, schema: Any, words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        _asked(model, schema)
    assert caught.value.status == 400
    assert (caught.value.param or "").startswith("guided_json")


def test_a_completion_is_held_to_it_by_the_model_alone() -> None:
    for model, name in ((MISTRAL, "guided_json"), (NEWER, "response_format")):
        exchange = _asked(model, prompt="p", stream=True)
        (body,) = exchange.bodies
        assert name in body
        assert "stream" not in body
        assert exchange.fates()["guided_json"] == "transformed"
        assert "not checked" in _why(exchange)
        exchange.dialogue.first()
        assert exchange.dialogue.take(0, [TextDelta(0, "no"), Finish(0, "stop"), Usage(9, 1)])


def test_a_completion_of_a_model_that_only_chats_is_checked_as_well() -> None:
    exchange = _asked(GLM, prompt="p")
    assert "checked" in _why(exchange)
    assert "not checked" not in _why(exchange)


def test_a_completion_of_a_model_without_json_mode_goes_without() -> None:
    exchange = _asked(VISION, prompt="p")
    assert exchange.bodies == translated({"model": "m", "prompt": "p"}, VISION).bodies
    assert exchange.fates()["guided_json"] == "dropped"
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert _asked(MISTRAL, recursive, prompt="p").fates()["guided_json"] == "dropped"


def test_an_error_about_it_names_it() -> None:
    (call,) = _asked(NEWER).dialogue.first()
    reader = call.reader()
    reader.start(400, {})
    text = "AiError: Bad input: Error: Type mismatch of '/response_format/type', 'string' not in 'object'"
    body = {"errors": [{"code": 5006, "message": text}], "success": False}
    (failed,) = [*reader.feed(msgspec.json.encode(body)), *reader.close()]
    assert failed.error.param.startswith("guided_json")  # type: ignore[union-attr]


def test_a_route_may_ask_for_it_by_itself() -> None:
    """A default of a route is no field that the client sent."""
    report = Report()
    chat = ChatRequest(model="m", turns=(Turn("user", (Text("hi"),)),), parameters={"guided_json": SCHEMA})
    dialogue = translate(chat, MISTRAL, CATALOGUE.facts(MISTRAL), Stamp(0, "0" * 24), report)
    assert msgspec.json.decode(dialogue.first()[0].body)["guided_json"] == SCHEMA
