"""Thinking that stands in the text."""

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.deltas import Call, Delta, Failed, Finish, Reasoning, Text, Usage
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.think import Think

END: list[Delta] = [Finish(0, "stop"), Usage(1, 1)]


def _said(*pieces: str) -> tuple[str, str]:
    """The thinking and the text of an answer in pieces."""
    deltas = run([Think()], [*(Text(0, piece) for piece in pieces), *END])
    assert deltas[-2:] == END
    thinking = "".join(delta.text for delta in deltas if isinstance(delta, Reasoning))
    return thinking, "".join(delta.text for delta in deltas if isinstance(delta, Text))


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\nHm\n</think>\n\nHi", "\nHm\n", "Hi"),
        ("\n <think>Hm</think>Hi", "Hm", "Hi"),
        ("<think>a < b\n\n\nc </thin\n d</think> x", "a < b\n\n\nc </thin\n d", "x"),
        ("<think></think>Hi", "", "Hi"),
        ("<think>\n\n</think>\n\nHi", "", "Hi"),
        ("<think>\n \n", "", ""),
        ("<think>\n\n<", "\n\n<", ""),
        ("<think>Hm", "Hm", ""),
        ("<think>Hm</thi", "Hm</thi", ""),
        ("<thin", "", "<thin"),
        ("  Hi", "", "  Hi"),
        ("Hi <think>no</think>", "", "Hi <think>no</think>"),
        ("<think>a</think>b</think>", "a", "b</think>"),
        ("", "", ""),
    ],
)
def test_thinking_is_taken_out_however_the_text_is_cut(text: str, thinking: str, answer: str) -> None:
    assert _said(text) == (thinking, answer)
    assert _said(*text) == (thinking, answer)
    for cut in range(len(text)):
        assert _said(text[:cut], text[cut:]) == (thinking, answer)


@given(pieces=st.lists(st.sampled_from(["<think>", "</think>", "\n", "<", "/", "a", " ", "</th", "ink>"])))
def test_the_pieces_do_not_matter(pieces: list[str]) -> None:
    assert _said("".join(pieces)) == _said(*pieces)


def test_text_without_a_tag_is_given_out_at_once() -> None:
    think = Think()
    assert run([think], [Text(0, "Hi")]) == [Text(0, "Hi")]
    assert run([think], [Text(0, "<think>")]) == [Text(0, "<think>")]


def test_what_is_held_comes_before_what_follows() -> None:
    call = Call(0, 0, "c", "f")
    assert run([Think()], [Text(0, "<thi"), call]) == [Text(0, "<thi"), call]
    failed = Failed(bad_answer("x"))
    deltas = run([Think()], [Text(1, "<think>a<"), Text(0, "<"), failed])
    assert deltas == [Reasoning(1, "a"), Text(0, "<"), Reasoning(1, "<"), failed]


def test_each_choice_thinks_by_itself() -> None:
    deltas = run([Think()], [Text(0, "<think>a"), Text(1, "b"), Text(0, "</think>c")])
    assert deltas == [Reasoning(0, "a"), Text(1, "b"), Text(0, "c")]


def _always(text: str, reason: Literal["stop", "length"] = "stop") -> tuple[str, str]:
    """The same of a model that always thinks, at every cut."""
    seen = set()
    for at in range(len(text) + 1):
        pieces = [Text(0, piece) for piece in (text[:at], text[at:]) if piece]
        deltas = run([Think(always=True)], [*pieces, Finish(0, reason)])
        assert deltas[-1] == Finish(0, reason)
        thinking = "".join(delta.text for delta in deltas if isinstance(delta, Reasoning))
        seen.add((thinking, "".join(delta.text for delta in deltas if isinstance(delta, Text))))
    (said,) = seen
    return said


def test_a_closing_tag_alone_ends_thinking_where_the_model_always_thinks() -> None:
    assert _always("Hm\n</think>\n\nHi </think>") == ("Hm\n", "Hi </think>")
    assert _always("<think>Hm</think>Hi") == ("Hm", "Hi")
    assert _said("Hm</think>Hi") == ("", "Hm</think>Hi")


def test_what_is_cut_before_a_tag_was_thinking_and_what_ends_by_itself_an_answer() -> None:
    assert _always("Hm, </thi", "length") == ("Hm, </thi", "")
    assert _always("Hi, </thi") == ("", "Hi, </thi")


def test_what_is_held_comes_before_whatever_follows_it() -> None:
    call = Call(0, 0, "c", "f")
    assert run([Think(always=True)], [Text(0, "Hi"), Text(0, " you"), call]) == [Text(0, "Hi you"), call]


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_where_the_server_splits_off_the_thinking_all_text_is_answer(
    reason: Literal["stop", "length"],
) -> None:
    think = Think(always=True)
    deltas: list[Delta] = [Reasoning(0, "Hm"), Text(0, " Hi"), Text(0, " <think>you"), Finish(0, reason)]
    assert [run([think], [delta]) for delta in deltas] == [[delta] for delta in deltas]


def test_text_before_thinking_that_the_server_splits_off_is_given_out_first() -> None:
    deltas: list[Delta] = [Text(0, "\n"), Reasoning(0, "Hm"), Text(0, "Hi")]
    assert run([Think(always=True)], deltas) == deltas


def test_white_space_that_comes_bit_by_bit_is_looked_at_once() -> None:
    think = Think()
    for _ in range(50_000):
        assert run([think], [Text(0, " ")]) == []
    assert run([think], [Text(0, "Hi")]) == [Text(0, " " * 50_000 + "Hi")]


def test_an_answer_without_a_block_keeps_its_log_probabilities() -> None:
    probable = msgspec.Raw(b'{"content":[]}')
    assert list(Think().feed(Text(0, "Hi", probable))) == [Text(0, "Hi", probable)]


def test_log_probabilities_stay_with_text_that_was_held_and_go_with_thinking() -> None:
    one, two, three = (msgspec.Raw(text) for text in (b"1", b"2", b"3"))
    begun: list[Delta] = [Text(0, "\n", one), Text(0, " <", two), Text(0, "b>", three)]
    assert run([Think()], begun) == [Text(0, "\n", one), Text(0, " <", two), Text(0, "b>", three)]
    thought: list[Delta] = [Text(0, "<think>a", one), Text(0, "</think>\n\n", one), Text(0, "Hi", two)]
    assert run([Think()], [*thought, Text(0, "!", three)]) == [
        Reasoning(0, "a"),
        Text(0, "Hi", two),
        Text(0, "!", three),
    ]
    assert run([Think()], [Text(0, "<thi", one), Finish(0, "stop")]) == [
        Text(0, "<thi", one),
        Finish(0, "stop"),
    ]
    always: list[Delta] = [Text(0, "Hi", one), Text(0, " you", two), Finish(0, "stop")]
    assert run([Think(always=True)], always) == always
