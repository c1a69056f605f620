"""The answer, event by event, in the legacy shape."""

from typing import Any

import msgspec
import pytest

from translators.answers.answer import Answer, Payload
from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Finish, Text, Usage

STAMP = Stamp(1, "0123456789abcdefghijklmn")
CALL = [{"name": "f", "arguments": {}}]


def _payload(**fields: Any) -> Payload:
    return msgspec.json.decode(msgspec.json.encode(fields), type=Payload)


def _answer(*events: dict[str, Any], max_tokens: int = 100) -> list[Delta]:
    answer = Answer(STAMP, 0, max_tokens, 7)
    deltas = [delta for event in events for delta in answer.take(_payload(**event))]
    return [*deltas, *answer.end(), answer.usage()]


def _usage(prompt: Any = 3, completion: Any = 4, **more: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


def _reason(*events: dict[str, Any], max_tokens: int = 100) -> str:
    return next(each.reason for each in _answer(*events, max_tokens=max_tokens) if isinstance(each, Finish))


def _counted(*events: dict[str, Any]) -> Usage:
    last = _answer(*events)[-1]
    assert isinstance(last, Usage)
    return last


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("a\n😀", "a\n😀"),
        (42, "42"),
        (-1.5, "-1.5"),
        (True, "true"),
        ({"a": [None]}, '{"a":[null]}'),
        ([], "[]"),
    ],
)
def test_a_response_of_any_kind_is_text(response: Any, text: str) -> None:
    assert _answer({"response": response})[0] == Text(0, text)


@pytest.mark.parametrize(
    "event", [{"response": ""}, {"response": None}, {}, {"p": "abd"}, {"tool_calls": []}]
)
def test_an_event_without_text_is_no_text(event: dict[str, Any]) -> None:
    assert _answer(event) == [Finish(0, "stop"), Usage(7, 0, estimated=True)]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([{"response": "a"}], "stop"),
        ([{"response": "a"}, _usage(completion=99)], "stop"),
        ([{"response": "a"}, _usage(completion=100)], "length"),
        ([{"tool_calls": CALL}, _usage(completion=100)], "tool_calls"),
        ([{"tool_calls": CALL}, {"finish_reason": "stop"}], "tool_calls"),
        ([{"tool_calls": CALL}, {"finish_reason": "length"}], "length"),
        ([{"response": "a"}, {"finish_reason": "model_length"}], "length"),
        ([{"response": "a"}, {"finish_reason": "eos_token"}], "stop"),
        ([{"response": "a"}, {"finish_reason": ""}, {"finish_reason": 5}], "stop"),
        ([{"response": "a"}, {"finish_reason": "content_filter"}], "content_filter"),
    ],
)
def test_the_finish_reason_is_derived(events: list[dict[str, Any]], reason: str) -> None:
    assert _reason(*events) == reason


def test_usage_is_reported_as_the_backend_did() -> None:
    assert _counted(_usage()) == Usage(3, 4)
    details = {
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert _counted(_usage(neurons=1.5, **details)) == Usage(3, 4, 2, 1, 1.5)
    assert _counted(_usage(), _usage(5, 6)) == Usage(5, 6)


@pytest.mark.parametrize(
    "usage",
    [
        {"usage": 5},
        {"usage": {}},
        _usage(prompt=None),
        _usage(completion="4"),
        _usage(completion=-1),
        _usage(prompt=10**400),  # found by fuzzing
        _usage(prompt=1e308),
    ],
)
def test_usage_that_says_nothing_is_counted_by_us_and_marked(usage: dict[str, Any]) -> None:
    assert _counted({"response": "12345"}, usage) == Usage(7, 2, estimated=True)


def test_our_count_includes_arguments() -> None:
    deltas = _answer({"tool_calls": [{"name": "f", "arguments": {"a": 1}}]})
    assert isinstance(deltas[0], Call)
    assert deltas[1] == Arguments(0, 0, '{"a":1}')
    assert deltas[-1] == Usage(7, 2, estimated=True)


def test_an_answer_has_ended_when_something_came_that_only_comes_at_the_end() -> None:
    answer = Answer(STAMP, 0, 100, 7)
    answer.take(_payload(response="a", usage={}))
    assert not answer.ended
    answer.take(_payload(finish_reason="stop"))
    assert answer.ended


def test_usage_ends_an_answer_only_where_it_stands_alone_and_nothing_follows() -> None:
    answer = Answer(STAMP, 0, 100, 7)
    for event, ended in (
        ({"response": "a", **_usage()}, False),
        ({"response": "", **_usage(0, 0)}, False),
        ({"response": "", **_usage()}, True),
        ({"response": "b"}, False),
        (_usage(), True),
        ({"p": "abd"}, True),
    ):
        answer.take(_payload(**event))
        assert answer.ended is ended


@pytest.mark.parametrize("reason", ["error", "abort", "cancelled"])
def test_a_backend_that_says_that_it_failed_is_believed(reason: str) -> None:
    answer = Answer(STAMP, 0, 100, 7)
    answer.take(_payload(response="part", finish_reason=reason))
    assert answer.broke


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"response": None}, True),
        ({"tool_calls": None}, True),
        ({"choices": [{}]}, True),
        ({"output": []}, True),
        ({"choices": []}, False),
        ({"choices": 5}, False),
        ({"output": "x"}, False),
        ({"usage": {"prompt_tokens": 1, "completion_tokens": 1}}, False),
        ({"finish_reason": "stop"}, True),
        ({"p": "x"}, False),
    ],
)
def test_only_a_known_shape_is_an_answer(fields: dict[str, Any], known: bool) -> None:  # noqa: FBT001 - a case
    assert _payload(**fields).is_answer is known


@pytest.mark.parametrize("neurons", [-3, True, "1", None])
def test_what_cannot_be_an_amount_is_no_neurons(neurons: Any) -> None:
    assert _counted(_usage(neurons=neurons)).neurons is None


def _scored(token: str) -> dict[str, Any]:
    return {"content": [{"token": token, "logprob": -0.5}]}


def _chunk(logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": logprobs}]}


def _tokens(*events: dict[str, Any]) -> list[tuple[str, Any]]:
    """The texts, and the tokens that came with each."""
    said = [
        (each.text, msgspec.json.decode(each.logprobs or b"null"))
        for each in _answer(*events)
        if isinstance(each, Text)
    ]
    return [(text, [token["token"] for token in logprobs["content"]]) for text, logprobs in said]


def test_a_token_that_is_a_part_of_a_character_keeps_its_log_probability() -> None:
    """vLLM and others send it with an empty text, and the character with the last of its tokens."""
    events = _chunk(_scored("<1>"), content=""), _chunk(_scored("<2>"), content="\U0001f600")
    assert _tokens(*events) == [("", ["<1>"]), ("\U0001f600", ["<2>"])]
    completion = {"tokens": ["<1>"], "token_logprobs": [-0.5]}
    (text, *_rest) = _answer({"choices": [{"index": 0, "text": "", "logprobs": completion}]})
    assert text == Text(0, "", msgspec.Raw(msgspec.json.encode(completion)))


@pytest.mark.parametrize(
    "event",
    [
        _chunk(content=""),
        _chunk({"content": []}, content=""),
        _chunk([5], content=""),
        _chunk(_scored("a"), content=None),
        _chunk(_scored("a"), content="", reasoning_content="hm"),
        _chunk(_scored("a"), content="", tool_calls=[{"index": 0, "id": "c", "function": {"name": "f"}}]),
    ],
)
def test_an_empty_text_without_tokens_of_its_own_is_none(event: dict[str, Any]) -> None:
    assert _tokens(event) == []


def test_an_empty_text_between_the_pieces_of_a_call_is_none() -> None:
    fragment = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}}
    assert _tokens(_chunk(tool_calls=[fragment]), _chunk(_scored(":"), content="")) == []
