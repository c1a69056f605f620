"""Law 5: one finish a choice, one terminal event, and never a clean ending after a dead backend."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import answers, families, stream_rules
from tests.laws.exchange import EVENTS, JSON, Answer, Translated, deltas_of, streamed, translated
from tests.laws.families import FAMILIES, Family, each_family
from tests.wire.cases import STREAMED, Case
from translators.deltas import Failed, Finish, Usage

ASKED = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stream": True}
EVERY_MODEL = [model for family in FAMILIES for model in family.models]
_DONE = b"data: [DONE]\n\n"


def _end_was_seen(answer: Answer) -> bool:
    """Whether the backend has said that it is done, read off the bytes line by line."""
    if answer.headers != EVENTS:
        return _json(answer.body) is not None
    ended = False
    for line in re.split(rb"\r\n|\n|\r", answer.body):
        data = line.removeprefix(b"data:").strip()
        event = _json(data)
        if data == b"[DONE]" or (isinstance(event, dict) and _has_reason(event)):
            return True
        if isinstance(event, dict):
            ended = _is_bare(event) and (_counts(event.get("usage")) or ended)
    return ended


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _has_reason(event: dict[str, Any]) -> bool:
    choices = event.get("choices") or []
    return bool(event.get("finish_reason")) or any(choice.get("finish_reason") for choice in choices)


def _is_bare(event: dict[str, Any]) -> bool:
    """Whether an event says nothing of the answer: usage in such a one comes at the end."""
    said = event.get("response") not in {None, ""} if not isinstance(event.get("response"), dict) else True
    return not (said or event.get("tool_calls") or event.get("choices"))


def _counts(usage: Any) -> bool:
    return isinstance(usage, dict) and any(usage.get(f"{side}_tokens") for side in ("prompt", "completion"))


def _assert_honest(exchange: Translated, answer: Answer) -> bool:
    """Whether the client's stream ended cleanly, which it may only where the backend's did."""
    raw = streamed(exchange, deltas_of(exchange, [answer]))
    if raw.endswith(_DONE):
        assert _end_was_seen(answer)
        stream_rules.check_chat(raw, choices=1, include_usage=False)
        return True
    stream_rules.check_broken(raw)
    assert b'"finish_reason":"' not in raw
    return False


def _truncated(answer: Answer, size: int) -> Answer:
    return Answer(answer.body[:size], answer.headers, answer.status)


@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.name)
def test_a_recorded_stream_that_breaks_at_any_byte_never_ends_cleanly(case: Case) -> None:
    (answer,) = case.answers
    ended = [
        _assert_honest(translated(ASKED), _truncated(answer, size)) for size in range(len(answer.body) + 1)
    ]
    assert not ended[0]


@each_family
@given(data=st.data(), part=st.floats(0, 1), whole=st.booleans())
def test_a_generated_answer_that_breaks_never_ends_cleanly(
    family: Family,
    data: st.DataObject,
    part: float,
    whole: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    asked = data.draw(families.asked(family))
    answer = asked.answer.whole() if whole else asked.answer.streamed()
    _assert_honest(translated(ASKED, asked.model), _truncated(answer, int(part * len(answer.body))))


@each_family
@given(data=st.data(), whole=st.booleans())
def test_an_answer_that_says_that_it_is_whole_ends_cleanly(
    family: Family,
    data: st.DataObject,
    whole: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    asked = data.draw(families.asked(family))
    answer = asked.answer.whole() if whole else asked.answer.streamed()
    assert _assert_honest(translated(ASKED, asked.model), answer)


_FAILURES = st.sampled_from([
    {"errors": [{"message": "AiError: Internal error", "code": 3040}]}, {"error": {"message": "no"}},
    {"success": False, "errors": [{"message": "no", "code": 3043}]}, {"error": "no"},
    {"finish_reason": "error"}, {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]},
    {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "abort"}]},
    {"response": "a", "finish_reason": "cancelled"},
    "{", "[1]", '"a"', "null", "no json", '{"response":"a"}{"response":"b"}', "<html>", '{"response": "a',
])  # fmt: skip


@each_family
@given(data=st.data(), failure=_FAILURES, at=st.integers(0, 40))
def test_a_stream_in_which_the_backend_fails_never_ends_cleanly(
    family: Family, data: st.DataObject, failure: dict[str, Any] | str, at: int
) -> None:
    asked = data.draw(families.asked(family))
    exchange = translated(ASKED, asked.model)
    raw = streamed(exchange, deltas_of(exchange, [asked.answer.done().failing(at, failure)]))
    stream_rules.check_broken(raw)
    assert b'"finish_reason":"' not in raw


_NO_ANSWERS = st.sampled_from([
    b"", b"{}", b"null", b"[]", b"<html>", b'{"result":null,"success":true}', b'{"success":true}',
    b'{"result":{},"success":true}', b'{"result":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}',
    b'{"result":null,"success":false,"errors":[{"message":"no","code":7000}]}', b'{"result":{"response":"a"}',
])  # fmt: skip


@each_family
@given(
    data=st.data(),
    body=_NO_ANSWERS,
    status=st.sampled_from([200, 400, 401, 404, 408, 413, 429, 500, 502, 504, 529]),
    stream=st.booleans(),
)
def test_what_is_no_answer_is_an_error(
    family: Family,
    data: st.DataObject,
    body: bytes,
    status: int,
    stream: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    model = data.draw(st.sampled_from(family.models))
    exchange = translated(ASKED | {"stream": stream}, model)
    *before, last = deltas_of(exchange, [Answer(body, JSON, status)])
    assert not before
    assert isinstance(last, Failed)
    assert 400 <= last.error.status <= 599


@each_family
@given(data=st.data(), tail=st.binary(max_size=60))
def test_whatever_comes_behind_the_end_is_not_passed_on(
    family: Family, data: st.DataObject, tail: bytes
) -> None:
    asked = data.draw(families.asked(family).filter(lambda each: each.answer.shape.events is not None))
    made = asked.answer.done()
    answer = replace(made, framing=replace(made.framing, last_newline=True)).streamed()
    got = []
    for each in (answer, Answer(answer.body + tail, EVENTS)):
        exchange = translated(ASKED, asked.model)
        got.append(streamed(exchange, deltas_of(exchange, [each])))
    assert got[0] == got[1]


@each_family
@given(choices=st.integers(1, 4), data=st.data())
def test_of_several_answers_each_choice_finishes_once_and_in_order(
    family: Family, choices: int, data: st.DataObject
) -> None:
    model = data.draw(st.sampled_from(family.models))
    given_answers = [data.draw(answers.one_of(family.shapes)).streamed() for _ in range(choices)]
    exchange = translated(ASKED | {"n": choices, "stream_options": {"include_usage": True}}, model)
    deltas = deltas_of(exchange, given_answers)
    assert sorted(delta.choice for delta in deltas if isinstance(delta, Finish)) == list(range(choices))
    assert [isinstance(delta, Usage) for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    stream_rules.check_chat(streamed(exchange, deltas), choices=choices, include_usage=True)


@each_family
@given(choices=st.integers(2, 4), data=st.data())
def test_one_answer_of_several_that_breaks_breaks_the_stream(
    family: Family, choices: int, data: st.DataObject
) -> None:
    model = data.draw(st.sampled_from(family.models))
    given_answers = [data.draw(answers.one_of(family.shapes)).streamed() for _ in range(choices)]
    given_answers[data.draw(st.integers(0, choices - 1))] = Answer(b'data: {"response":"a"}\n\n', EVENTS)
    exchange = translated(ASKED | {"n": choices}, model)
    stream_rules.check_broken(streamed(exchange, deltas_of(exchange, given_answers)))


_SCRAPS = st.sampled_from([
    b"data: ", b"\n\n", b"{", b"}", b'{"response":"\xff"}', b'{"response":"a"}', b"[DONE]", b'{"usage":',
    b"null", b'{"response":{"a":"\xff"}}', b'{"prompt_tokens":1e300,"completion_tokens":1}', b'{"error":1}',
    b"[]",
    b'{"tool_calls":[{"name":"f","arguments":{}},7,{"index":-1,"function":{"name":"g"}}]}',
    b'{"success":false,"errors":[null]}', b'{"result":null}', b'{"result":{"response":"a"},"success":true}',
    b'{"choices":[{"delta":{"content":"a","reasoning":"b"}},null,{"delta":[]},{"message":{"tool_calls":7}}]}',
    b'{"choices":{}}', b'{"choices":[{"text":"a","finish_reason":"stop","index":9}]}',
    b'{"output":[null,{}]}',
    b'{"output":[{"type":"message","content":[{"type":"output_text","text":1}]}],"status":"incomplete"}',
])  # fmt: skip
_WILD = st.binary(max_size=80) | st.lists(_SCRAPS, max_size=8).map(b"".join)


@given(
    model=st.sampled_from(EVERY_MODEL),
    body=_WILD,
    headers=st.sampled_from([EVENTS, JSON, {}]),
    status=st.sampled_from([200, 204, 302, 400, 500]),
)
def test_no_answer_whatsoever_raises_and_each_ends_in_usage_or_an_error(
    model: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    exchange = translated(ASKED, model)
    deltas = deltas_of(exchange, [Answer(body, headers, status)])
    assert isinstance(deltas[-1], Usage | Failed)
    assert sum(isinstance(delta, Usage | Failed) for delta in deltas) == 1
    raw = streamed(exchange, deltas)
    if isinstance(deltas[-1], Failed):
        assert 400 <= deltas[-1].error.status <= 599
        stream_rules.check_broken(raw)
    else:
        stream_rules.check_chat(raw, choices=1, include_usage=False)
