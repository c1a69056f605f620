"""Structured output: how each model is asked for it, and what is asked once more."""

from typing import Any

import msgspec
import pytest

from tests.laws.exchange import CATALOGUE, SEED, Translated, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.deltas import Call, Delta, Failed, Finish, Reasoning, Refusal, Text, Usage
from translators.dialogue import OneRound
from translators.errors import INVALID_OUTPUT, ApiError, bad_answer
from translators.rounds import Rounds

GLM = "@cf/zai-org/glm-4.7-flash"
MISTRAL = "@cf/mistralai/mistral-small-3.1-24b-instruct"
VISION = "@cf/meta/llama-3.2-11b-vision-instruct"
GUARD = "@cf/meta/llama-guard-3-8b"
UNLISTED = "@cf/somebody/new"
USER = {"role": "user", "content": "hi"}
OBJECT = {"type": "json_object"}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/A"}},
    "required": ["a"],
    "$defs": {"A": {"type": "string"}},
}
INLINED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
USAGE = Usage(9, 1)
FITS: list[Delta] = [Text(0, '{"a":"b"}'), Finish(0, "stop"), USAGE]
GAVE_UP = Failed(ApiError(502, "no", code=INVALID_OUTPUT))


def _schema(schema: Any = SCHEMA, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **more}}


def _asked(model: str = SEED, form: Any = None, messages: Any = (USER,), **fields: Any) -> Translated:
    body = {"model": "m", "messages": list(messages), "response_format": form or _schema(), **fields}
    return translated(body, model)


def _said(text: str) -> list[Delta]:
    return [Text(0, text), Finish(0, "stop"), USAGE]


def _why(exchange: Translated) -> str:
    """What the report says of the format."""
    return next(entry.detail for entry in exchange.entries if entry.parameter == "response_format")


def _second(exchange: Translated) -> dict[str, Any]:
    (call,) = exchange.dialogue.next()
    body: dict[str, Any] = msgspec.json.decode(call.body)
    return body


def test_text_is_what_comes_anyway_and_is_not_sent_since_newer_models_refuse_the_word() -> None:
    exchange = _asked(form={"type": "text"}, stream=True)
    assert "response_format" not in exchange.bodies[0]
    assert exchange.bodies[0]["stream"] is True
    assert (exchange.fates()["response_format"], exchange.fates()["stream"]) == ("kept", "kept")
    assert isinstance(_asked(form={"type": "text"}).dialogue, OneRound)


def test_json_is_asked_for_whole_and_the_stream_is_ours() -> None:
    exchange = _asked(form=OBJECT, stream=True)
    assert exchange.bodies[0]["response_format"] == {"type": "json_object"}
    assert "stream" not in exchange.bodies[0]
    assert (exchange.fates()["response_format"], exchange.fates()["stream"]) == ("transformed", "emulated")


def test_a_schema_is_sent_bare_with_its_references_resolved() -> None:
    exchange = _asked()
    assert exchange.bodies[0]["response_format"] == {"type": "json_schema", "json_schema": INLINED}
    assert exchange.fates()["response_format"] == "transformed"


def test_models_that_speak_openai_get_a_schema_that_is_bare_and_an_envelope() -> None:
    (body,) = _asked(GLM, _schema(strict=True)).bodies
    envelope = {**INLINED, "name": "n", "schema": INLINED, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": envelope}


def test_an_envelope_without_a_schema_asks_for_any_object() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n"}}
    assert _asked(form=form).bodies[0]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(("form", "sent"), [(None, INLINED), (OBJECT, {"type": "object"})])
def test_guided_json_is_sent_where_the_model_has_that(form: Any, sent: Any) -> None:
    exchange = _asked(MISTRAL, form, stream=True)
    (body,) = exchange.bodies
    assert body["guided_json"] == sent
    assert not {"stream", "response_format"} & body.keys()
    assert exchange.fates()["response_format"] == "transformed"


@pytest.mark.parametrize("model", [VISION, UNLISTED])
def test_a_model_without_json_mode_is_told_in_words_and_streams(model: str) -> None:
    exchange = _asked(model, stream=True)
    (body,) = exchange.bodies
    assert not {"guided_json", "response_format"} & body.keys()
    assert body["stream"] is True
    instruction, user = body["messages"]
    assert (instruction["role"], user) == ("system", USER)
    assert msgspec.json.decode(instruction["content"].partition("\n")[2]) == SCHEMA
    assert (exchange.fates()["response_format"], exchange.fates()["stream"]) == ("emulated", "emulated")


@pytest.mark.parametrize("model", [SEED, GLM, MISTRAL])
def test_a_schema_that_contains_itself_is_sent_in_words_to_every_model(model: str) -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    exchange = _asked(model, _schema(schema))
    (body,) = exchange.bodies
    assert not {"guided_json", "response_format"} & body.keys()
    assert msgspec.json.decode(body["messages"][0]["content"].partition("\n")[2]) == schema
    assert exchange.fates()["response_format"] == "emulated"


def test_words_ask_for_any_object_without_a_schema() -> None:
    (body,) = _asked(VISION, OBJECT).bodies
    assert "JSON object" in body["messages"][0]["content"]


@pytest.mark.parametrize(("system", "begins"), [("Be kind.", "Be kind.\n\nAnswer"), ("", "Answer")])
def test_words_join_the_system_turn_that_there_is(system: str, begins: str) -> None:
    (body,) = _asked(VISION, messages=[{"role": "system", "content": system}, USER]).bodies
    assert len(body["messages"]) == 2
    assert body["messages"][0]["content"].startswith(begins)


def test_words_join_a_system_turn_of_parts_as_another_part() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    facts = Facts(content="image_parts")
    body = {"model": "m", "messages": [{"role": "system", "content": parts}, USER], "response_format": OBJECT}
    (sent,) = translated(body, UNLISTED, facts=facts).bodies
    assert [part["type"] for part in sent["messages"][0]["content"]] == ["image_url", "text"]


def test_words_take_room_in_the_window() -> None:
    facts = Facts(window=1000)
    body = {"model": "m", "messages": [USER], "max_tokens": 5000}
    plain = translated(body, UNLISTED, facts=facts).bodies[0]["max_tokens"]
    asked = translated({**body, "response_format": _schema()}, UNLISTED, facts=facts).bodies[0]["max_tokens"]
    assert asked < plain - 50


@pytest.mark.parametrize("form", [OBJECT, _schema(strict=True)])
def test_the_json_of_a_guard_is_held_against_what_was_asked_for_and_asked_for_once(form: Any) -> None:
    exchange = _asked(GUARD, form)
    exchange.dialogue.first()
    *_, failed = exchange.dialogue.take(0, _said("[1]"))
    assert isinstance(failed, Failed)
    assert (failed.error.status, failed.error.code) == (502, INVALID_OUTPUT)
    assert "again and" not in failed.error.message
    assert exchange.dialogue.next() == ()
    exchange = _asked(GUARD, form)
    exchange.dialogue.first()
    assert exchange.dialogue.take(0, [GAVE_UP]) == [GAVE_UP]


@pytest.mark.parametrize("model", [SEED, GLM, MISTRAL])
def test_what_the_answer_is_for_is_said_in_the_schema(model: str) -> None:
    (body,) = _asked(model, _schema(description="An address")).bodies
    asked = body.get("guided_json") or body["response_format"]["json_schema"]
    assert asked["description"] == "An address"
    own = {**SCHEMA, "description": "mine"}
    (body,) = _asked(model, _schema(own, description="An address")).bodies
    asked = body.get("guided_json") or body["response_format"]["json_schema"]
    assert asked["description"] == "mine"


def test_what_the_answer_is_for_is_said_in_words() -> None:
    (body,) = _asked(VISION, _schema(description="An address")).bodies
    assert body["messages"][0]["content"].startswith("An address\n")


def test_a_guard_has_one_form_of_json() -> None:
    exchange = _asked(GUARD)
    assert exchange.bodies[0]["response_format"] == {"type": "json_object"}
    assert exchange.fates()["response_format"] == "transformed"
    assert _asked(GUARD, OBJECT).fates()["response_format"] == "kept"


@pytest.mark.parametrize(
    "model", sorted(name for name, facts in CATALOGUE.models.items() if "reasoning" in facts.can)
)
def test_thinking_leaves_the_json_its_room(model: str) -> None:
    (body,) = _asked(model).bodies
    assert body.get("max_tokens", body.get("max_completion_tokens")) >= 4096


@pytest.mark.parametrize("schema", [{"a": {"$ref": "http://x"}}, {"type": "strin"}])
def test_a_schema_that_cannot_be_used_is_refused_at_its_place(schema: Any) -> None:
    with pytest.raises(ApiError) as caught:
        _asked(VISION, _schema(schema))
    assert (caught.value.status, caught.value.param) == (400, "response_format.json_schema.schema")


@pytest.mark.parametrize("model", [SEED, VISION])
@pytest.mark.parametrize("strict", [False, True])
def test_a_pattern_that_cannot_be_run_is_sent_and_reported_and_not_judged(
    model: str, *, strict: bool
) -> None:
    schema = {"properties": {"a": {"pattern": "^(?=b)", "maxLength": 1}, "b": {"pattern": "x{9999}y{9999}"}}}
    exchange = _asked(model, _schema(schema, strict=strict))
    assert b"^(?=b)" in exchange.dialogue.first()[0].body
    assert "not checked: '^(?=b)' and 1 more" in _why(exchange)
    assert exchange.dialogue.take(0, _said('{"a":"c"}'))[:1] == [Text(0, '{"a":"c"}')]
    judged = _asked(model, _schema(schema, strict=strict))
    assert judged.dialogue.take(0, _said('{"a":"bb"}')) == []


@pytest.mark.parametrize("model", [SEED, GLM, MISTRAL, VISION])
@pytest.mark.parametrize("form", [OBJECT, _schema(strict=True)])
def test_it_is_reported_that_the_json_of_an_answer_alone_is_given_out(model: str, form: Any) -> None:
    exchange = _asked(model, form)
    assert "its JSON alone is given out" in _why(exchange)
    out = exchange.dialogue.take(0, _said('Here you are: {"a": "b"} Hope it helps'))
    assert out == [Text(0, '{"a": "b"}'), Finish(0, "stop"), USAGE]


@pytest.mark.parametrize("model", [SEED, GLM, MISTRAL, VISION])
def test_a_wrong_answer_is_shown_to_the_model_with_the_schema(model: str) -> None:
    exchange = _asked(model)
    assert exchange.dialogue.take(0, [Reasoning(0, "hm"), *_said('{"a":1}')]) == [Reasoning(0, "hm")]
    (first,), second = exchange.bodies, _second(exchange)
    *before, said, told = second["messages"]
    assert before == first["messages"]
    assert said == {"role": "assistant", "content": '{"a":1}'}
    assert told["role"] == "user"
    assert "at '/a' it is not of type \"string\"" in told["content"]
    assert msgspec.json.decode(told["content"].rpartition("\n")[2]) == SCHEMA
    assert {**second, "messages": []} == {**first, "messages": []}
    assert exchange.dialogue.take(0, FITS) == [*FITS[:2], Usage(9, 2)]
    assert exchange.dialogue.next() == ()


def test_an_empty_answer_is_not_shown() -> None:
    exchange = _asked()
    exchange.dialogue.take(0, _said(" "))
    assert [turn["role"] for turn in _second(exchange)["messages"]] == ["user", "user"]


def test_what_is_wrong_twice_is_an_error_behind_its_usage() -> None:
    exchange = _asked(form=_schema(strict=True))
    exchange.dialogue.take(0, _said("no"))
    exchange.dialogue.next()
    usage, failed = exchange.dialogue.take(0, _said('{"a":1}'))
    assert usage == Usage(9, 2)
    assert isinstance(failed, Failed)
    assert failed.error.code == INVALID_OUTPUT


@pytest.mark.parametrize("model", [SEED, MISTRAL])
def test_a_json_mode_that_gives_up_is_replaced_by_words(model: str) -> None:
    exchange = _asked(model, max_tokens=10**6)
    assert exchange.dialogue.take(0, [GAVE_UP]) == []
    (first,), second = exchange.bodies, _second(exchange)
    assert not {"guided_json", "response_format"} & second.keys()
    assert second["messages"][0]["role"] == "system"
    assert second["max_tokens"] < first["max_tokens"]
    assert exchange.dialogue.take(0, _said("no")) == []
    third = _second(exchange)
    assert third["messages"][:2] == second["messages"]
    assert not {"guided_json", "response_format"} & third.keys()
    assert exchange.dialogue.take(0, FITS) == [*FITS[:2], Usage(9, 2)]


@pytest.mark.parametrize("failure", [GAVE_UP, Failed(bad_answer("broken"))])
def test_what_fails_twice_or_otherwise_fails(failure: Failed) -> None:
    exchange = _asked()
    if failure is GAVE_UP:
        exchange.dialogue.take(0, [GAVE_UP])
        exchange.dialogue.next()
    assert exchange.dialogue.take(0, [failure]) == [failure]


def test_stop_strings_are_watched_over_behind_the_judge() -> None:
    exchange = _asked(GLM, stop=["b"])
    assert "stop" not in exchange.bodies[0]
    assert exchange.fates()["stop"] == "emulated"
    assert exchange.dialogue.take(0, FITS)[:2] == [Text(0, '{"a":"'), Finish(0, "stop")]


def test_tools_beside_a_format_are_offered_and_called() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    exchange = _asked(tools=[tool])
    assert {"tools", "response_format"} <= exchange.bodies[0].keys()
    out = exchange.dialogue.take(0, [Call(0, 0, "c", "f"), Finish(0, "tool_calls"), USAGE])
    assert [type(delta) for delta in out[:1]] == [Call]
    assert exchange.dialogue.next() == ()


def test_words_leave_it_to_a_model_with_tools_to_call_one() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    (body,) = _asked(UNLISTED, tools=[tool]).bodies
    assert body["messages"][0]["content"].startswith("Unless you call a tool, answer with nothing but JSON")
    (body,) = _asked(UNLISTED, tools=[tool], tool_choice="none").bodies
    assert body["messages"][0]["content"].startswith("Answer")


FORCED: Any = {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}


def test_a_tool_that_has_to_be_called_comes_before_the_format() -> None:
    exchange = _asked(**FORCED)
    assert exchange.dialogue.take(0, [Reasoning(0, "hm"), *FITS]) == [Reasoning(0, "hm")]
    assert "You must call" in _second(exchange)["messages"][-1]["content"]
    out = exchange.dialogue.take(0, [Call(0, 0, "c", "f"), Finish(0, "tool_calls"), USAGE])
    assert [type(delta) for delta in out] == [Call, Finish, Usage]
    assert exchange.dialogue.next() == ()


def test_what_is_said_in_place_of_a_call_has_to_have_the_format() -> None:
    exchange = _asked(**FORCED)
    exchange.dialogue.take(0, _said("no"))
    exchange.dialogue.next()
    assert exchange.dialogue.take(0, _said("still no")) == []
    assert "not the JSON that was asked for" in _second(exchange)["messages"][-1]["content"]
    assert exchange.dialogue.take(0, FITS) == [*FITS[:2], Usage(9, 3)]


def test_a_refusal_in_place_of_a_call_passes() -> None:
    exchange = _asked(**FORCED)
    exchange.dialogue.take(0, _said("no"))
    exchange.dialogue.next()
    said = [Refusal(0, "I must not"), Finish(0, "stop")]
    assert exchange.dialogue.take(0, [*said, USAGE]) == [*said, Usage(9, 2)]


def test_a_json_mode_that_gives_up_is_replaced_where_a_tool_has_to_be_called_as_well() -> None:
    exchange = _asked(**FORCED)
    assert exchange.dialogue.take(0, [GAVE_UP]) == []
    assert "response_format" not in _second(exchange)


def test_an_answer_in_place_of_a_call_that_came_in_part_is_given_as_far_as_it_came() -> None:
    exchange = _asked(**FORCED)
    assert exchange.dialogue.take(0, [Text(0, "n"), USAGE]) == [Text(0, "n"), USAGE]


def test_each_choice_is_judged_by_itself() -> None:
    exchange = _asked(n=3)
    assert isinstance(exchange.dialogue, Rounds)
    exchange.dialogue.take(0, FITS)
    exchange.dialogue.take(2, FITS)
    exchange.dialogue.take(1, _said("no"))
    _second(exchange)
    out = exchange.dialogue.take(0, FITS)
    assert [delta.choice for delta in out if isinstance(delta, Text)] == [1, 2]
