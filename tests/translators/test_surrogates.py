"""Characters that come in halves."""

from typing import Any

import msgspec
import pytest

from translators.deltas import Arguments, Call, Delta, Finish, Reasoning, Refusal, Text, Usage
from translators.surrogates import Halves

FACE = "\U0001f600"


def _texts(*pieces: bytes) -> list[str]:
    """What text the pieces are, each the inside of a JSON string; behind them what is left of halves."""
    halves = Halves()
    deltas: list[Delta] = []
    for piece in pieces:
        text: Any = msgspec.json.decode(halves.read(b'"%s"' % piece))
        deltas += halves.join([Text(0, text)])
    return [each.text for each in [*deltas, *halves.end()] if isinstance(each, Text)]


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        (rb"\ud83d\ude00", FACE),
        (rb"a\ud83d b", "a\ufffd b"),
        ("\U0010f83d".encode(), "\U0010f83d"),
    ],
)
def test_what_has_no_half_at_an_edge_stays_as_it_is(piece: bytes, text: str) -> None:
    assert _texts(piece) == [text]


@pytest.mark.parametrize("cut", range(1, 4))
def test_characters_are_whole_wherever_their_escapes_are_cut(cut: int) -> None:
    escapes = [rb"\ud83d", rb"\ude00", rb"\ud83d", rb"\ude00"]
    assert "".join(_texts(b"".join(escapes[:cut]), b"".join(escapes[cut:]))) == FACE * 2


def test_the_halves_of_choices_do_not_meet() -> None:
    halves = Halves()
    first = msgspec.json.decode(halves.read(rb'"\ud83d"'))
    second = msgspec.json.decode(halves.read(rb'"\ude00"'))
    assert halves.join([Refusal(0, first), Refusal(1, first), Refusal(1, second)]) == [Refusal(1, FACE)]
    assert halves.join([Refusal(0, second)]) == [Refusal(0, FACE)]
    assert halves.join([Arguments(0, 1, first), Arguments(0, 2, second)]) == [Arguments(0, 2, "\ufffd")]
    assert halves.end() == [Arguments(0, 1, "\ufffd")]
    assert halves.end() == []


def test_names_and_log_probabilities_have_no_halves_and_the_latter_are_not_held() -> None:
    halves = Halves()
    half = msgspec.json.decode(halves.read(rb'"\ud83d"'))
    logprobs = msgspec.Raw(msgspec.json.encode({"token": half}))
    clean = msgspec.Raw('{"token":"\ufffd"}'.encode())
    deltas = [Call(0, 0, "id", half), Text(0, half, logprobs), Finish(0, "stop"), Usage(1, 1)]
    assert halves.join(deltas) == [
        Call(0, 0, "id", "\ufffd"),
        Text(0, "", clean),
        Finish(0, "stop"),
        Usage(1, 1),
    ]
    assert halves.end() == [Text(0, "\ufffd")]


def test_a_character_may_begin_in_thinking_and_end_in_text() -> None:
    halves = Halves()
    first, second, plain = (
        msgspec.json.decode(halves.read(b'"%s"' % each)) for each in (rb"a\ud83d", rb"\ude00b", b"c")
    )
    assert halves.join([Reasoning(0, first), Text(1, plain), Text(0, ""), Text(0, second)]) == [
        Reasoning(0, "a"),
        Text(1, "c"),
        Text(0, f"{FACE}b"),
    ]
    assert halves.end() == []


def test_half_a_character_that_thinking_ends_with_stands_before_what_follows() -> None:
    halves = Halves()
    first, plain = (msgspec.json.decode(halves.read(b'"%s"' % each)) for each in (rb"a\ud83d", b"c"))
    told = [Reasoning(0, "a"), Reasoning(0, "\ufffd")]
    assert halves.join([Reasoning(0, first), Text(0, plain)]) == [*told, Text(0, "c")]
    assert halves.join([Reasoning(0, first), Call(0, 0, "id", "f")]) == [*told, Call(0, 0, "id", "f")]
    assert halves.end() == []
