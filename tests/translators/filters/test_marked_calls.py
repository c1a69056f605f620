"""Calls between marks, as a model writes them that was told of tools in words."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.call import Stamp
from translators.chat import Tool
from translators.deltas import (
    Arguments,
    Call,
    Delta,
    Failed,
    Finish,
    Reason,
    Reasoning,
    Refusal,
    Text,
    Usage,
    fold,
)
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.marked_calls import MarkedCalls
from translators.model_text.offered import Offered
from translators.model_text.spelled_calls import CLOSE, OPEN
from translators.tools import mint_call_id, restore_call_id

STAMP = Stamp(1, "0123456789abcdefABCDEFGH")
TOOLS = {"f": Tool("f"), "g": Tool("g")}
F = '{"name": "f", "arguments": {"a": [1, {"b": "}"}]}}'
A = '{"a": [1, {"b": "}"}]}'


def said(*pieces: str, reason: Reason = "stop") -> tuple[str, list[tuple[str, str]], str]:
    """Text, calls and finish of an answer in pieces."""
    deltas: list[Delta] = [*(Text(0, piece) for piece in pieces), Finish(0, reason)]
    (choice,) = fold(run([MarkedCalls(Offered(TOOLS), STAMP, flows=True)], deltas)).choices
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
    assert run([MarkedCalls(Offered(TOOLS), STAMP, flows=True)], [Text(0, piece) for piece in pieces]) == out


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
        [MarkedCalls(Offered(TOOLS), STAMP, flows=True)],
        [Text(0, OPEN + "no call, "), *[Text(0, "and on ")] * 40_000],
    )
    assert len("".join(delta.text for delta in out if isinstance(delta, Text))) > 200_000
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "begun",
    [
        "{'name': 'f', 'arguments': {'a': '",
        '{"name": "f", "arguments": {"a": \'',
        '{"name": "f", "arguments": {"a": nul',
        '{"name": "f", "arguments": {"a": 1, "b" ',
    ],
)
@pytest.mark.parametrize("length", [65_400, 65_536, 70_000])
def test_how_long_what_is_broken_is_waited_for_does_not_depend_on_the_cuts(begun: str, length: int) -> None:
    text = f"Hi.\n{OPEN}{begun}{'x' * length}'}}}}{CLOSE} and so on"
    (seen,) = {
        str(said(*[text[at : at + size] for at in range(0, len(text), size)]))
        for size in (7, 1000, 65_000, len(text))
    }
    assert seen.count("x") >= length


def test_ids_count_the_calls_of_a_choice() -> None:
    out = run(
        [MarkedCalls(Offered(TOOLS), STAMP, 2, flows=True)], [Text(0, f"{OPEN}{F}{CLOSE}{OPEN}{F}{CLOSE}")]
    )
    assert [each.id for each in out if isinstance(each, Call)] == [
        "call_ps0123456789abx2x0",
        "call_ps0123456789abx2x1",
    ]


def leaked(*deltas: Delta) -> list[Delta]:
    """What becomes of an answer of a model that knows tools."""
    return run([MarkedCalls(Offered(TOOLS), STAMP, flows=False)], deltas)


def test_a_leaked_call_is_held_until_it_is_whole() -> None:
    begun: list[Delta] = [Text(0, "Yes.\n"), Text(0, OPEN), Text(0, '{"name": "f", "arguments": {"a": 1}')]
    assert leaked(*begun) == [Text(0, "Yes.")]
    assert leaked(*begun, Text(0, "}"))[1:] == [
        Call(0, 0, "call_ps0123456789abx0x0", "f"),
        Arguments(0, 0, '{"a": 1}'),
    ]
    (cut,) = fold(leaked(*begun, Finish(0, "length"))).choices
    said_whole = "".join(each.text for each in begun if isinstance(each, Text))
    assert (cut.text_of("text"), cut.calls, cut.reason) == (said_whole, (), "length")


def test_text_is_waited_for_only_where_a_call_may_begin() -> None:
    for text in ("a cat. I c", "so a", "`<x", "music", "as. or c"):
        assert leaked(Text(0, text)) == [Text(0, text)]
    for text, held in (
        ("recall:", ""),
        ("Hi. c", " c"),
        ("Hi.\na", "\na"),
        ("call:", "call:"),
        ("Hi <|tool", " <|tool"),
    ):
        given = "".join(each.text for each in leaked(Text(0, text)) if isinstance(each, Text))
        assert given == text.removesuffix(held)


def test_a_call_of_the_backend_ends_the_text_before_it() -> None:
    native = Call(0, 0, "call_x", "g")
    for text in ("Yes.\n", f"{OPEN}no", f'{OPEN}{{"name": "f", "arguments": ', "call:f{a:", "Yes. c"):
        out = leaked(Text(0, text), native, Arguments(0, 0, "{}"), Finish(0, "tool_calls"))
        assert out[-3:] == [native, Arguments(0, 0, "{}"), Finish(0, "tool_calls")]
        assert "".join(each.text for each in out[:-3] if isinstance(each, Text)) == text


def test_calls_behind_one_of_the_backend_are_numbered_on() -> None:
    out = leaked(
        Call(0, 0, "call_ps0123456789abx0x0", "g"),
        Text(0, f"{OPEN}{F}{CLOSE}"),
        Refusal(0, "no"),
        Call(0, 1, "call_ps0123456789abx0x1", "g"),
        Arguments(0, 1, "{}"),
        Arguments(0, 0, "{}"),
        Text(0, "call:f{}"),
        Finish(0, "tool_calls"),
    )
    assert [(each.index, each.id[-2:]) for each in out if isinstance(each, Call)] == [
        (number, f"x{number}") for number in range(4)
    ]
    assert [each.index for each in out if isinstance(each, Arguments)] == [1, 2, 0, 3]
    assert out[-1] == Finish(0, "tool_calls")


_SPOKEN = st.sampled_from(
    [f"Yes.\n{OPEN}{F}{CLOSE}", "call:f{}", "\n", "So. ", OPEN, '{"name": "f"', "<tool_resp"]
)


@given(spoken=st.lists(_SPOKEN | st.none(), max_size=8), flows=st.booleans(), has_ids=st.booleans())
def test_whoever_makes_the_calls_their_numbers_rise_and_their_ids_differ(
    spoken: list[str | None], *, flows: bool, has_ids: bool
) -> None:
    deltas: list[Delta] = []
    native: list[str] = []
    for each in spoken:
        if each is not None:
            deltas.append(Text(0, each))
            continue
        number = len(native)
        native.append(f"g:{number}")
        call_id = mint_call_id(STAMP, 0, number, native[-1] if has_ids else None)
        deltas += [Call(0, number, call_id, "g"), Arguments(0, number, f'{{"n": {number}}}')]
    out = run([MarkedCalls(Offered(TOOLS), STAMP, flows=flows)], [*deltas, Finish(0, "stop")])
    calls = fold(out).choices[0].calls
    assert [call.index for call in calls] == list(range(len(calls)))
    assert len({call.id for call in calls}) == len(calls)
    kept = [call for call in calls if call.name == "g"]
    assert [json.loads(call.arguments)["n"] for call in kept] == list(range(len(native)))
    assert not has_ids or [restore_call_id(call.id) for call in kept] == native


def test_what_the_model_says_in_the_place_of_its_tool_stays_left_out_behind_another_call() -> None:
    native = Call(0, 0, "call_ps0123456789abx0x0", "g")
    out = leaked(Text(0, f"{OPEN}{F}{CLOSE}<tool_response>a"), native, Text(0, "b"), Finish(0, "length"))
    assert not [each for each in out if isinstance(each, Text)]
    assert out[-1] == Finish(0, "tool_calls")


@pytest.mark.parametrize("end", ["<|im_end|>", "<|eot_id|>", "\n<|im_end|>\n"])
def test_the_mark_at_the_end_of_a_turn_is_left_out_behind_a_call_alone(end: str) -> None:
    assert said(f"Yes.\n{OPEN}{F}{CLOSE}{end}") == ("Yes.", [("f", A)], "tool_calls")
    assert said(f"Yes.{end}") == (f"Yes.{end}", [], "stop")


def test_log_probabilities_stay_with_text_that_is_waited_for_and_go_with_a_call() -> None:
    first, second = msgspec.Raw(b"1"), msgspec.Raw(b"2")
    out = leaked(Text(0, "Hi", first), Text(0, ".\n", second), Text(0, "So"), Finish(0, "stop"))
    assert out == [
        Text(0, "Hi", first), Text(0, "."), Text(0, "\n", second), Text(0, "So"), Finish(0, "stop")
    ]  # fmt: skip
    out = leaked(Text(0, "Hi. ", first), Text(0, f"{OPEN}{F}{CLOSE}", second), Finish(0, "stop"))
    assert not [each for each in out if isinstance(each, Text) and each.logprobs]


def test_marks_without_calls_take_no_more_than_a_bounded_time() -> None:
    begun = time.process_time()
    for again in ("<function=f><parameter=a>", f"\n{OPEN}{{'name': ", "call:f{\n", "\n[TOOL_CALLS]f{"):
        text = again * 8_000
        out = leaked(*(Text(0, text[at : at + 50]) for at in range(0, len(text), 50)), Finish(0, "stop"))
        assert fold(out).choices[0].text_of("text") == text
    assert time.process_time() - begun < 10


def test_many_marks_without_calls_are_talk_about_calls() -> None:
    text = f"\n{OPEN}no" * 40
    assert said(text + f"\n{OPEN}{F}{CLOSE}") == (text + f"\n{OPEN}{F}{CLOSE}", [], "stop")


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
    first, second, third = fold(run([MarkedCalls(Offered(TOOLS), STAMP, flows=True)], deltas)).choices
    assert (len(first.calls), first.reason) == (1, "tool_calls")
    assert (second.text_of("text"), second.reason, third.reason) == ("Hi", "stop", "stop")


def test_a_break_gives_out_what_was_held() -> None:
    failed = Failed(bad_answer("x"))
    assert run([MarkedCalls(Offered(TOOLS), STAMP, flows=True)], [Text(0, "Hi <to"), failed])[1:] == [
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
