"""What has been said is gone on with where that is exact, and nowhere else."""

from typing import Any

import msgspec
import pytest

from translators.asking.seam import Seam, can_be_continued
from translators.chat import ChatRequest, Text, Turn
from translators.clients import OPENAI_CHAT
from translators.deltas import Call, Delta, Failed, Finish, Reasoning, Usage
from translators.deltas import Text as Said
from translators.errors import bad_answer

BROKEN = Failed(bad_answer("It broke."))


def asked(**fields: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True, **fields}
    return OPENAI_CHAT.read(msgspec.json.encode(body))


def seam(*deltas: Delta, **fields: Any) -> Seam:
    made = Seam(asked(**fields))
    made.take(deltas, may_break=True)
    return made


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": False},
        {"n": 2},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
    ],
)
def test_only_a_stream_of_plain_text_can_be_continued(fields: dict[str, Any]) -> None:
    assert can_be_continued(asked())
    assert not can_be_continued(asked(**fields))


def test_the_rest_is_asked_for_behind_what_was_said() -> None:
    made = Seam(asked(max_tokens=9))
    assert made.take([Said(0, "Hel")], may_break=False) == [Said(0, "Hel")]
    assert made.take([Said(0, "lo"), BROKEN], may_break=True) == [Said(0, "lo")]
    assert made.failure == BROKEN
    rest = made.rest(Usage(5, 3))
    assert rest is not None
    assert rest.turns[-1] == Turn("assistant", (Text("Hello"),))
    assert (rest.max_tokens, rest.continues, made.failure) == (6, True, None)


def test_the_usage_is_that_of_all_parts_with_the_prompt_once() -> None:
    made = seam(Said(0, "a"), BROKEN)
    made.rest(Usage(5, 1, cached=2))
    made.take([Said(0, "b"), BROKEN], may_break=True)
    rest = made.rest(Usage(6, 1))
    assert rest is not None
    assert rest.turns[-1].parts == (Text("ab"),)
    last = made.take([Said(0, "c"), Finish(0, "stop"), Usage(7, 1, cached=0)], may_break=True)
    assert last[-1] == Usage(5, 3, cached=2)


@pytest.mark.parametrize(
    "said",
    [
        [],
        [Said(0, "<think>Hm")],
        [Reasoning(0, "Hm"), Said(0, "a")],
        [Said(0, "a"), Call(0, 0, "i", "f")],
        [Said(0, "a", msgspec.Raw(b"{}"))],
    ],
)
def test_what_is_no_plain_text_stays_broken(said: list[Delta]) -> None:
    made = Seam(asked())
    assert made.take([*said, BROKEN], may_break=True) == [*said, BROKEN]
    assert made.failure is None


def test_what_nobody_has_seen_begins_anew_elsewhere() -> None:
    assert Seam(asked()).take([Said(0, "a"), BROKEN], may_break=False)[-1] == BROKEN


def test_without_a_count_of_tokens_nobody_can_say_how_much_is_left() -> None:
    assert seam(Said(0, "a"), BROKEN, max_tokens=9).rest(Usage(5, 1, estimated=True)) is None
    rest = seam(Said(0, "a"), BROKEN).rest(Usage(5, 1, estimated=True))
    assert rest is not None
    assert rest.max_tokens is None


def test_an_answer_that_broke_off_behind_its_last_token_is_whole() -> None:
    made = seam(Said(0, "a"), BROKEN, max_tokens=9)
    assert made.ending(Usage(5, 8)) == []
    assert made.ending(Usage(5, 9, estimated=True)) == []
    assert made.failure == BROKEN
    assert made.ending(Usage(5, 9)) == [Finish(0, "length"), Usage(5, 9)]
    assert made.failure is None
    assert seam(Said(0, "a"), BROKEN).ending(Usage(5, 9)) == []
