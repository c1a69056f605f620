"""Laws 3 and 4 for choices that come together: told apart by their numbers, in whatever order they come."""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.exchange import STAMP
from translators.backends.openai_server.response import Reader
from translators.deltas import Completion, Delta, Failed, Usage, fold

Json = dict[str, Any]

TEXTS = st.lists(st.text(min_size=1, max_size=8), max_size=4)
CALLS = st.lists(st.tuples(st.sampled_from("fgh"), st.text(max_size=5)), max_size=2)
# What one choice says: thoughts, text, calls, and why it ends.
SAID = st.tuples(TEXTS, TEXTS, CALLS, st.sampled_from(["stop", "length"]))
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def _call(number: int, name: str, argument: str) -> Json:
    function = {"name": name, "arguments": json.dumps({"a": argument})}
    return {"index": number, "id": f"id{number}", "type": "function", "function": function}


def _whole(said: list[Any]) -> bytes:
    choices = [
        {
            "index": number,
            "message": {
                "role": "assistant",
                "content": "".join(texts) or None,
                "reasoning_content": "".join(thoughts) or None,
                "tool_calls": [_call(at, *call) for at, call in enumerate(calls)],
            },
            "finish_reason": reason,
        }
        for number, (thoughts, texts, calls, reason) in enumerate(said)
    ]
    return json.dumps({"choices": choices, "usage": USAGE}).encode()


def _pieces(number: int, said: Any) -> Iterator[Json]:
    thoughts, texts, calls, reason = said
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": text} for text in thoughts]
    deltas += [{"content": text} for text in texts]
    deltas += [{"tool_calls": [_call(at, *call)]} for at, call in enumerate(calls)]
    for delta in deltas:
        yield {"index": number, "delta": delta, "finish_reason": None}
    yield {"index": number, "delta": {}, "finish_reason": reason}


def _streamed(said: list[Any], order: random.Random) -> bytes:
    """All choices' pieces, each choice's own in order; now and then two in one event."""
    left = [list(_pieces(number, each)) for number, each in enumerate(said)]
    events: list[Json] = []
    while some := [each for each in left if each]:
        together = order.sample(some, order.randint(1, len(some)))
        events.append({"choices": [each.pop(0) for each in together]})
    events.append({"choices": [], "usage": USAGE})
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events) + b"data: [DONE]\n\n"


def _read(body: bytes, choices: int, cuts: tuple[int, ...] = ()) -> list[Delta]:
    reader = Reader(STAMP, 0, 100, 7, choices)
    reader.start(200, {})
    ends = (0, *cuts, len(body))
    return [
        d for begin, end in itertools.pairwise(ends) for d in reader.feed(body[begin:end])
    ] + reader.close()


def _comparable(completion: Completion) -> list[Any]:
    return [
        (
            choice.index,
            choice.text_of("reasoning"),
            choice.text_of("text"),
            [(call.id, call.name, json.loads(call.arguments)) for call in choice.calls],
            choice.reason,
        )
        for choice in completion.choices
    ]


@given(said=st.lists(SAID, min_size=2, max_size=4), order=st.randoms(use_true_random=False))
def test_choices_that_come_together_are_the_same_whole_and_streamed(
    said: list[Any], order: random.Random
) -> None:
    whole, streamed = (fold(_read(body, len(said))) for body in (_whole(said), _streamed(said, order)))
    assert _comparable(streamed) == _comparable(whole)
    assert [choice.index for choice in whole.choices] == list(range(len(said)))
    assert streamed.usage == whole.usage == Usage(11, 5)
    for choice, (thoughts, texts, _calls, _reason) in zip(whole.choices, said, strict=True):
        assert (choice.text_of("text") or "") == "".join(texts)
        assert (choice.text_of("reasoning") or "") == "".join(thoughts)
    ids = [call.id for choice in whole.choices for call in choice.calls]
    assert len(set(ids)) == len(ids)


@settings(max_examples=30)
@given(
    said=st.lists(SAID, min_size=2, max_size=3),
    order=st.randoms(use_true_random=False),
    cuts=st.sets(st.integers(1, 400), max_size=20),
)
def test_choices_that_come_together_read_the_same_however_they_are_cut(
    said: list[Any], order: random.Random, cuts: set[int]
) -> None:
    for body in (_whole(said), _streamed(said, order)):
        uncut = _read(body, len(said))
        assert _read(body, len(said), tuple(sorted(each for each in cuts if each < len(body)))) == uncut
        assert _read(body, len(said), tuple(range(1, len(body)))) == uncut


@given(said=st.lists(SAID, min_size=2, max_size=4), order=st.randoms(use_true_random=False))
def test_an_answer_without_one_of_its_choices_is_none(said: list[Any], order: random.Random) -> None:
    for body in (_whole(said), _streamed(said, order)):
        assert isinstance(_read(body, len(said) + 1)[-1], Failed)
