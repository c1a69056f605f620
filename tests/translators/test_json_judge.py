"""Answers that have to be JSON: what is passed, put right, asked for again, and refused."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from translators.call import BackendCall
from translators.chat import ResponseFormat
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Refusal, Text
from translators.errors import INVALID_OUTPUT, ApiError, bad_answer
from translators.json_judge import JsonJudge, wanted_json

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
STRICT = ResponseFormat("json_schema", SCHEMA, "n", strict=True)
LOOSE = ResponseFormat("json_schema", SCHEMA, "n")
OBJECT = ResponseFormat("json_object")
STOP = Finish(0, "stop")
FITTING = [Text(0, '{"a": '), Text(0, "1}"), STOP]


def _no_reader() -> Any:
    raise AssertionError


def _judge(form: ResponseFormat) -> JsonJudge:
    """A judge whose further calls say in their bodies what they were made of."""

    def repair(said: str, problems: str) -> BackendCall:
        return BackendCall((), f"{said}|{problems}".encode(), _no_reader)

    return JsonJudge(wanted_json(form, "x"), repair, lambda: BackendCall((), b"in words", _no_reader))


def _feed(judge: JsonJudge, deltas: Iterable[Delta]) -> list[Delta]:
    return [out for delta in deltas for out in judge.feed(delta)]


def _asked_again(judge: JsonJudge) -> str | None:
    call = judge.again()
    return None if call is None else call.body.decode()


def _failure(judge: JsonJudge) -> ApiError:
    (failed,) = judge.rest()
    assert isinstance(failed, Failed)
    return failed.error


@pytest.mark.parametrize("form", [STRICT, LOOSE, OBJECT])
def test_an_answer_that_fits_is_given_as_it_came_once_it_is_whole(form: ResponseFormat) -> None:
    judge = _judge(form)
    assert _feed(judge, [Reasoning(0, "hm"), *FITTING]) == [Reasoning(0, "hm")]
    assert judge.again() is None
    assert list(judge.rest()) == FITTING


def test_what_stands_around_the_json_is_left_out_and_the_probabilities_of_that_text_with_it() -> None:
    judge = _judge(STRICT)
    _feed(judge, [Text(0, "So:\n```json\n", msgspec.Raw(b"{}")), Text(0, '{"a":1}\n```'), STOP])
    assert judge.again() is None
    assert list(judge.rest()) == [Text(0, '{"a":1}'), STOP]


@pytest.mark.parametrize("form", [STRICT, LOOSE, OBJECT])
@pytest.mark.parametrize(
    "said",
    [
        'Here you are: {"a": 1} Hope it helps',
        'see [1 here: {"a": 1}',
        "{'a': 1}",
        "So: {'a': 1,} # done",
        '{"a": 1, // one\n}',
        '"{\\"a\\": 1}"',
        '\ufeff{"a": 1}\n',
    ],
)
def test_content_is_json_that_any_client_can_parse_and_costs_no_further_call(
    form: ResponseFormat, said: str
) -> None:
    judge = _judge(form)
    _feed(judge, [Text(0, said), STOP])
    assert judge.again() is None
    text, stop = judge.rest()
    assert isinstance(text, Text)
    assert (json.loads(text.text), stop) == ({"a": 1}, STOP)


@pytest.mark.parametrize(
    ("form", "said", "problems"),
    [
        (STRICT, '{"a": "1"}', "at '/a' it is not of type \"integer\""),
        (LOOSE, '{"b": 1}', '"a" is a required property'),
        (OBJECT, "[1]", "it is no JSON object"),
        (OBJECT, "no", "it holds no whole JSON value"),
        (STRICT, "", "it is empty"),
    ],
)
def test_an_answer_that_does_not_fit_is_shown_to_the_model_with_what_is_wrong(
    form: ResponseFormat, said: str, problems: str
) -> None:
    judge = _judge(form)
    _feed(judge, [Text(0, said), STOP])
    assert (_asked_again(judge) or "").startswith(f"{said}|{problems}")
    assert _feed(judge, FITTING) == []
    assert judge.again() is None
    assert list(judge.rest()) == FITTING


@pytest.mark.parametrize("form", [STRICT, LOOSE, OBJECT])
def test_a_part_of_a_broken_document_is_asked_for_once_more_and_then_an_error(form: ResponseFormat) -> None:
    judge = _judge(form)
    broken = '{"b": 2, "c" {"a": 1}}, "d": {"a": 1}'
    _feed(judge, [Text(0, broken), STOP])
    problem = "it holds no whole JSON value, but what may be a part of a broken one"
    assert _asked_again(judge) == f"{broken}|{problem}"
    _feed(judge, [Text(0, broken), STOP])
    assert judge.again() is None
    assert problem in _failure(judge).message


def test_a_fault_that_has_no_place_is_told_all_the_same() -> None:
    schema = {"properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    judge = _judge(ResponseFormat("json_schema", schema, "n", strict=True))
    _feed(judge, [Text(0, '{"a":{"a":{"a":{}}}}'), STOP])
    assert (_asked_again(judge) or "").endswith("|it does not satisfy the schema")


def test_of_a_long_answer_the_model_is_shown_the_beginning() -> None:
    judge = _judge(OBJECT)
    _feed(judge, [Text(0, "no" * 50_000), STOP])
    assert len(_asked_again(judge) or "") < 21_000


@pytest.mark.parametrize("form", [STRICT, OBJECT])
def test_an_answer_that_does_not_fit_twice_is_an_error_that_says_why(form: ResponseFormat) -> None:
    judge = _judge(form)
    for _ in range(2):
        _feed(judge, [Text(0, "[1]"), STOP])
        judge.again()
    error = _failure(judge)
    assert (error.status, error.type, error.code) == (502, "server_error", INVALID_OUTPUT)
    assert "it is no" in error.message


def test_a_schema_that_is_no_promise_lets_any_json_through_but_nothing_else() -> None:
    judge = _judge(LOOSE)
    for _ in range(2):
        _feed(judge, [Text(0, 'Well: {"b": 1}'), STOP])
        judge.again()
    assert list(judge.rest()) == [Text(0, '{"b": 1}'), STOP]
    other = _judge(LOOSE)
    _feed(other, [Text(0, "no"), STOP])
    assert _failure(other).code == INVALID_OUTPUT


def test_an_envelope_without_a_schema_wants_an_object() -> None:
    judge = _judge(ResponseFormat("json_schema", None, "n"))
    _feed(judge, [Text(0, "[1]"), STOP])
    assert _asked_again(judge) == "[1]|it is no JSON object"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_is_passed_as_it_is(reason: Any) -> None:
    judge = _judge(STRICT)
    cut = [Text(0, '{"a": '), Finish(0, reason)]
    _feed(judge, cut)
    assert judge.again() is None
    assert list(judge.rest()) == cut


def test_an_answer_without_an_end_is_given_as_far_as_it_came() -> None:
    judge = _judge(STRICT)
    _feed(judge, [Text(0, '{"a"')])
    assert list(judge.rest()) == [Text(0, '{"a"')]


@pytest.mark.parametrize("begins", [Call(0, 0, "c", "f"), Refusal(0, "I must not")])
def test_from_a_call_or_a_refusal_on_everything_passes(begins: Delta) -> None:
    judge = _judge(STRICT)
    assert _feed(judge, [Text(0, "I"), begins]) == [Text(0, "I"), begins]
    rest = [Arguments(0, 0, "{}"), Finish(0, "tool_calls")]
    assert _feed(judge, rest) == rest
    assert judge.again() is None
    assert list(judge.rest()) == []


def test_a_second_answer_that_calls_a_tool_passes_as_well() -> None:
    judge = _judge(STRICT)
    _feed(judge, [Text(0, "no"), STOP])
    judge.again()
    assert _feed(judge, [Call(0, 0, "c", "f")]) == [Call(0, 0, "c", "f")]
    assert list(judge.rest()) == []


def test_a_json_mode_that_gives_up_is_replaced_by_words_once() -> None:
    judge = _judge(STRICT)
    gave_up = ApiError(502, "no", code=INVALID_OUTPUT)
    assert judge.instead(bad_answer("broken")) is None
    call = judge.instead(gave_up)
    assert call is not None
    assert call.body == b"in words"
    assert judge.instead(gave_up) is None
    _feed(judge, [Text(0, "no"), STOP])
    assert (_asked_again(judge) or "").startswith("no|")


@pytest.mark.parametrize("schema", [SCHEMA, {"type": "object"}])
def test_the_schema_said_back_is_no_answer_though_it_is_json(schema: dict[str, Any]) -> None:
    judge = _judge(ResponseFormat("json_schema", schema, "n"))
    for _ in range(2):
        _feed(judge, [Text(0, msgspec.json.encode(schema).decode()), STOP])
        judge.again()
    assert _failure(judge).code == INVALID_OUTPUT
