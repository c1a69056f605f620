"""Law 5: one finish a choice, one terminal event, and never a clean ending after a dead backend."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import answers, stream_rules
from tests.laws.answers import Said, Spelling
from tests.laws.exchange import EVENTS, JSON, Answer, Translated, deltas_of, streamed, translated
from tests.wire.cases import STREAMED, Case
from translators.deltas import Failed, Finish, Usage

ASKED = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stream": True}
_DONE = b"data: [DONE]\n\n"


def _end_was_seen(body: bytes) -> bool:
    """Whether the backend has said that it is done, read off the bytes line by line.

    Usage says so where it stands alone and nothing of the answer follows.
    """
    ended = False
    for line in re.split(rb"\r\n|\n|\r", body):
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return True
        try:
            event: Any = json.loads(data)
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        if event.get("finish_reason"):
            return True
        usage = event.get("usage")
        counted = isinstance(usage, dict) and any(usage.get(f"{k}_tokens") for k in ("prompt", "completion"))
        ended = not event.get("response") and not event.get("tool_calls") and (counted or ended)
    return ended


def _assert_honest(exchange: Translated, answer: Answer) -> bool:
    """Whether the client's stream ended cleanly, which it may only where the backend's did."""
    raw = streamed(exchange, deltas_of(exchange, [answer]))
    if raw.endswith(_DONE):
        assert _end_was_seen(answer.body)
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


@given(stream=answers.ended_streams(), part=st.floats(0, 1))
def test_a_generated_stream_that_breaks_never_ends_cleanly(stream: tuple[Said, Answer], part: float) -> None:
    _, answer = stream
    _assert_honest(translated(ASKED), _truncated(answer, int(part * len(answer.body))))


@given(stream=answers.ended_streams())
def test_a_stream_that_says_that_it_is_whole_ends_cleanly(stream: tuple[Said, Answer]) -> None:
    assert _assert_honest(translated(ASKED), stream[1])


@given(said=answers.SAID, spelling=answers.SPELLINGS, tail=st.binary(max_size=60))
def test_whatever_comes_behind_the_end_is_not_passed_on(said: Said, spelling: Spelling, tail: bytes) -> None:
    whole = answers.stream(said, Spelling(**{**vars(spelling), "done": True, "last_newline": True}))
    longer = Answer(whole.body + tail, EVENTS)
    first, second = translated(ASKED), translated(ASKED)
    assert streamed(first, deltas_of(first, [longer])) == streamed(second, deltas_of(second, [whole]))


@given(choices=st.integers(1, 4), data=st.data())
def test_of_several_answers_each_choice_finishes_once_and_in_order(choices: int, data: st.DataObject) -> None:
    given_answers = [data.draw(answers.ended_streams())[1] for _ in range(choices)]
    exchange = translated(ASKED | {"n": choices, "stream_options": {"include_usage": True}})
    deltas = deltas_of(exchange, given_answers)
    assert sorted(delta.choice for delta in deltas if isinstance(delta, Finish)) == list(range(choices))
    assert [isinstance(delta, Usage) for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    stream_rules.check_chat(streamed(exchange, deltas), choices=choices, include_usage=True)


@given(choices=st.integers(2, 4), data=st.data())
def test_one_answer_of_several_that_breaks_breaks_the_stream(choices: int, data: st.DataObject) -> None:
    given_answers = [data.draw(answers.ended_streams())[1] for _ in range(choices)]
    given_answers[data.draw(st.integers(0, choices - 1))] = Answer(b'data: {"response":"a"}\n\n', EVENTS)
    exchange = translated(ASKED | {"n": choices})
    stream_rules.check_broken(streamed(exchange, deltas_of(exchange, given_answers)))


_WILD = st.one_of(
    st.binary(max_size=80),
    st.lists(st.sampled_from([
        b"data: ", b"\n\n", b"{", b"}", b'{"response":"\xff"}', b'{"response":"a"}', b"[DONE]", b'{"usage":',
        b'{"response":{"a":"\xff"}}', b'{"prompt_tokens":1e300,"completion_tokens":1}', b'{"error":1}',
        b'{"tool_calls":[{"name":"f","arguments":{}},7,{"index":-1,"function":{"name":"g"}}]}', b"null",
        b"[]", b'{"success":false,"errors":[null]}', b'{"result":null}',
        b'{"result":{"response":"a"},"success":true}',
    ]), max_size=8).map(b"".join),
)  # fmt: skip


@given(
    body=_WILD, headers=st.sampled_from([EVENTS, JSON, {}]), status=st.sampled_from([200, 204, 302, 400, 500])
)
def test_no_answer_whatsoever_raises_and_each_ends_in_usage_or_an_error(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    exchange = translated(ASKED)
    deltas = deltas_of(exchange, [Answer(body, headers, status)])
    assert isinstance(deltas[-1], Usage | Failed)
    assert sum(isinstance(delta, Usage | Failed) for delta in deltas) == 1
    raw = streamed(exchange, deltas)
    if isinstance(deltas[-1], Failed):
        assert 400 <= deltas[-1].error.status <= 599
        stream_rules.check_broken(raw)
    else:
        stream_rules.check_chat(raw, choices=1, include_usage=False)
