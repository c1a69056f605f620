"""Calls between marks, as a model writes them that was told of tools in words."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.call import Stamp
from translators.chat import Tool
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reason, Reasoning, Text, Usage, fold
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.prompted_calls import PromptedCalls
from translators.model_text.offered import Offered
from translators.model_text.spelled_calls import CLOSE, OPEN

STAMP = Stamp(1, "0123456789abcdefABCDEFGH")
TOOLS = {"f": Tool("f"), "g": Tool("g")}
F = '{"name": "f", "arguments": {"a": [1, {"b": "}"}]}}'
A = '{"a": [1, {"b": "}"}]}'


def said(*pieces: str, reason: Reason = "stop") -> tuple[str, list[tuple[str, str]], str]:
    """Text, calls and finish of an answer in pieces."""
    deltas: list[Delta] = [*(Text(0, piece) for piece in pieces), Finish(0, reason)]
    (choice,) = fold(run([PromptedCalls(Offered(TOOLS), STAMP)], deltas)).choices
    return choice.text_of("text") or "", [(call.name, call.arguments) for call in choice.calls], choice.reason


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        (f"{OPEN}{F}{CLOSE}", "", [("f", A)]),
        (f"\n{OPEN}\n{F}\n{CLOSE}\n", "", [("f", A)]),
        (f"I call.\n\n{OPEN}{F}{CLOSE}", "I call.", [("f", A)]),
        (f'{OPEN}{F}{CLOSE}\n{OPEN}{{"name": "g"}}{CLOSE}', "", [("f", A), ("g", "{}")]),
        (f"{OPEN}{F}{CLOSE} and so on ", " and so on", [("f", A)]),
        (f"{OPEN}{F}", "", [("f", A)]),
        (f"{OPEN}{F}{CLOSE[:5]}", "", [("f", A)]),
        (f"{OPEN}{F}\n{OPEN}{F}", "", [("f", A), ("f", A)]),
        (f"{OPEN}{F} then", "then", [("f", A)]),
        (f'{OPEN}{{"arguments": {A}, "name": "f"}}{CLOSE}', "", [("f", A)]),
        (f'{OPEN}{{"id": 1, "name": "f", "parameters": {A}, "x": {A}}}{CLOSE}', "", [("f", A)]),
        (f'{OPEN}{{"name": "f", "arguments": {A}, "arguments": {{}}}}{CLOSE}', "", [("f", A)]),
        (f'{OPEN}{{"name": "f", "arguments": "{{}}"}}{CLOSE}', "", [("f", "{}")]),
        (f'{OPEN}{{"name": "f", "arguments": null}}{CLOSE}', "", [("f", "{}")]),
        (f"{OPEN}{F[:-1]}{CLOSE}", "", [("f", A)]),
        (f"{OPEN}{F[:-2]}", "", [("f", A)]),
        (f"{OPEN}{{'name': 'f', 'arguments': {{'a': True}}}}{CLOSE}", "", [("f", '{"a": true}')]),
        (f"{OPEN}{{'name': 'f'}}{CLOSE}", "", [("f", "{}")]),
        (f'{OPEN}{{"name": "f", "arguments": {{"a": \'b\',}}}}{CLOSE}', "", [("f", '{"a": "b"}')]),
        (f'{OPEN}{{"name": "f", "arguments": {{"a": b}}}}{CLOSE}', "", [("f", '{"a": b}}')]),
        (f'{OPEN}[{{"name": "f"}}]{CLOSE}', "", [("f", "{}")]),
        (f'{OPEN}{{"name": "f", "arguments": {{"a": 1}}\n{OPEN}{F}', "", [("f", '{"a": 1}'), ("f", A)]),
        (f"{OPEN}{{'name': 'f'\n{OPEN}{F}", "", [("f", "{}"), ("f", A)]),
        (f'{OPEN}{{"name": "f", "arguments": {{"a": 1}}, b}}{CLOSE}', "", [("f", '{"a": 1}')]),
        (f'{OPEN}{{"name": "f",', "", [("f", "{}")]),
    ],
)
def test_a_call_is_read_however_the_text_is_cut(text: str, rest: str, calls: list[tuple[str, str]]) -> None:
    expected = (rest, calls, "tool_calls")
    assert said(text) == expected
    assert said(*text) == expected
    for cut in range(len(text)):
        assert said(text[:cut], text[cut:]) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hi",
        " Hi \n",
        "a < b <tool_cal",
        f"Hi \n {OPEN}",
        f'Hi \n {OPEN}{{"name": "unknown", "arguments": {{}}}}{CLOSE} x',
        f'{OPEN}{{"name": ["f"], "arguments": {{}}}}{CLOSE}',
        f'{OPEN}{{"arguments": {{}}}}{CLOSE}',
        f"{OPEN}{{'name': 'unknown'}}{CLOSE}",
        f"{OPEN}f(1){CLOSE} and more",
        f'{OPEN}[{{"name": "unknown"}}]{CLOSE}',
        f"{OPEN}[]{CLOSE}",
        f'{OPEN}{{"name": "f", "arguments": {{}}, b}}{CLOSE}',
        f'{OPEN}{{"name": "f", b}}{CLOSE}',
        f'{OPEN}{{"name": "f", "arguments": 5}}{CLOSE}',
        f"{OPEN}<function=f>no{CLOSE}",
        f"{OPEN} f{CLOSE}",
        OPEN + "\n" * 100,
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert said(text) == said(*text) == (text, [], "stop")
    for cut in range(len(text)):
        assert said(text[:cut], text[cut:]) == (text, [], "stop")


@pytest.mark.parametrize(
    ("pieces", "out"),
    [
        (["Hi"], [Text(0, "Hi")]),
        (["Hi\n"], [Text(0, "Hi")]),
        (["Hi <to"], [Text(0, "Hi")]),
        (["Hi <to", "p"], [Text(0, "Hi"), Text(0, " <top")]),
        ([" " * 100], [Text(0, " " * 36)]),
        ([OPEN, '{"name": "f'], []),
        ([OPEN, '{"name": "f", "arguments": {"a'], []),
        ([OPEN, '{"name": "f", "arguments": {"type": 1, "b": 2'], []),
        (
            [OPEN, '{"name": "f", "arguments": {"a', '": 1', "2, ", '"b": "x', "y"],
            [
                Call(0, 0, "call_ps0123456789abx0x0", "f"),
                Arguments(0, 0, '{"a": '),
                Arguments(0, 0, "12"),
                Arguments(0, 0, ', "b": "x'),
                Arguments(0, 0, "y"),
            ],
        ),
    ],
)
def test_text_and_arguments_go_on_as_they_come(pieces: list[str], out: list[Delta]) -> None:
    assert run([PromptedCalls(Offered(TOOLS), STAMP)], [Text(0, piece) for piece in pieces]) == out


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        (f"{OPEN}{F[:-2]}", "", [("f", A[:-1])]),
        (f'{OPEN}{{"name": "f"', f'{OPEN}{{"name": "f"', []),
        (f'{OPEN}{{"name": "f', f'{OPEN}{{"name": "f', []),
        (f"{OPEN}{{'name': 'f'}}", f"{OPEN}{{'name': 'f'}}", []),
        (f"{OPEN}{{'name': 'f'}}{CLOSE} x", " x", [("f", "{}")]),
    ],
)
def test_what_was_cut_off_is_not_completed(text: str, rest: str, calls: list[tuple[str, str]]) -> None:
    assert said(text, reason="length") == said(*text, reason="length") == (rest, calls, "length")


def test_what_is_broken_is_not_waited_for_without_end() -> None:
    begun = time.process_time()
    out = run(
        [PromptedCalls(Offered(TOOLS), STAMP)], [Text(0, OPEN + "no call, "), *[Text(0, "and on ")] * 40_000]
    )
    assert len("".join(delta.text for delta in out if isinstance(delta, Text))) > 200_000
    assert time.process_time() - begun < 5


def test_ids_count_the_calls_of_a_choice() -> None:
    out = run([PromptedCalls(Offered(TOOLS), STAMP, 2)], [Text(0, f"{OPEN}{F}{CLOSE}{OPEN}{F}{CLOSE}")])
    assert [each.id for each in out if isinstance(each, Call)] == [
        "call_ps0123456789abx2x0",
        "call_ps0123456789abx2x1",
    ]


def test_choices_do_not_mix_and_what_is_not_text_passes() -> None:
    deltas: list[Delta] = [
        Reasoning(0, "hm"),
        Text(0, OPEN),
        Text(1, "Hi"),
        Text(0, F),
        Finish(1, "stop"),
        Finish(0, "stop"),
        Finish(2, "stop"),
        Usage(1, 1),
    ]
    first, second, third = fold(run([PromptedCalls(Offered(TOOLS), STAMP)], deltas)).choices
    assert (len(first.calls), first.reason) == (1, "tool_calls")
    assert (second.text_of("text"), second.reason, third.reason) == ("Hi", "stop", "stop")


def test_a_break_gives_out_what_was_held() -> None:
    failed = Failed(bad_answer("x"))
    assert run([PromptedCalls(Offered(TOOLS), STAMP)], [Text(0, "Hi <to"), failed])[1:] == [
        Text(0, " <to"),
        failed,
    ]


_PIECES = st.sampled_from(
    [OPEN, CLOSE, "<", "tool", "{", "}", '"name"', ":", '"f"', '"arguments"', ",", "1", " ", "\n", "x", "'f'"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(pieces=st.lists(_PIECES))
def test_the_pieces_do_not_matter(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert said(text) == said(*pieces) == said(*text)
    assert said(text)[1] or said(text)[0] == text


@given(value=st.dictionaries(st.text(max_size=3), _VALUES, max_size=3), size=st.integers(1, 9))
def test_arguments_arrive_byte_for_byte(value: dict[str, Any], size: int) -> None:
    arguments = json.dumps(value, ensure_ascii=False)
    text = f'Yes\n{OPEN}{{"name": "g", "arguments": {arguments}}}{CLOSE}'
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert said(*pieces) == ("Yes", [("g", arguments)], "tool_calls")
