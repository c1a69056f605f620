"""Calls that a model wrote into its text."""

import json

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
    WholeCall,
    fold,
)
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.salvage import Salvage
from translators.model_text import spelled_calls
from translators.model_text.offered import Offered

STAMP = Stamp(1, "0123456789abcdefABCDEFGH")
OBJECT = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"f": Tool("f"), "get_weather": Tool("get_weather", parameters=OBJECT), "get_weather2": Tool("x")}
PARIS = '{"city": "Paris"}'


def salvage(*, forced: bool = False) -> Salvage:
    return Salvage(Offered(TOOLS), STAMP, forced=forced)


def said(
    *pieces: str, forced: bool = False, reason: Reason = "stop"
) -> tuple[str, list[tuple[str, str]], str]:
    """Text, calls and finish of an answer in pieces."""
    deltas: list[Delta] = [*(Text(0, piece) for piece in pieces), Finish(0, reason)]
    (choice,) = fold(run([salvage(forced=forced)], deltas)).choices
    calls = [(item.name, item.arguments) for item in choice.items if isinstance(item, WholeCall)]
    return choice.text_of("text") or "", calls, choice.reason


OPEN = '<tool_call>{"name": "f", "arguments": {}}'
KIMI, KIMI_END = "<|tool_calls_section_begin|><|tool_call_begin|>", "<|tool_calls_section_end|>"
ONE = [("get_weather", PARIS)]
UNMISTAKABLE = [
    (f'{{"name": "get_weather", "arguments": {PARIS}}}', ONE),
    (f'\n {{"name": "get_weather", "parameters": {PARIS}}} \n', ONE),
    (f'{{"type": "function", "name": "get_weather", "parameters": {PARIS}}}', ONE),
    (f'{{"arguments": {PARIS}, "name": "get_weather", "id": null}}', ONE),
    ('{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}', ONE),
    (f'{{"name": "get_weather", "arguments": {PARIS}', ONE),
    (
        f'{{"name": "f", "parameters": {{}}}}; {{"name": "get_weather", "parameters": {PARIS}}}',
        [("f", "{}"), *ONE],
    ),
    (f'<|python_tag|>{{"name": "get_weather", "parameters": {PARIS}}}', ONE),
    (f"<function=get_weather>{PARIS}</function>", ONE),
    (f"<function=get_weather>{PARIS}\n<function=f>{{}}</function>", [*ONE, ("f", "{}")]),
    (f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>', ONE),
    (
        f'<tool_call>{{"name": "get_weather", "arguments": {PARIS}}}</tool_call>\n{OPEN}',
        [*ONE, ("f", "{}")],
    ),
    (f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {PARIS}}}]', ONE),
    (f"[TOOL_CALLS]get_weather[ARGS]{PARIS}", ONE),
    (f"[TOOL_CALLS]get_weather{PARIS}[TOOL_CALLS]f{{}}", [*ONE, ("f", "{}")]),
    (
        f"{KIMI}functions.get_weather:0<|tool_call_argument_begin|>{PARIS}<|tool_call_end|>{KIMI_END}",
        ONE,
    ),
    (f"<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{PARIS}<|call|>", ONE),
    (f"<|start|>assistant<|channel|>commentary to=functions.get_weather<|message|>{PARIS}", ONE),
]
AS_AN_ANSWER = [  # what an answer may look like as well
    (
        f'[{{"name": "get_weather", "arguments": {PARIS}}}, {{"name": "f", "arguments": {{}}}}]',
        [*ONE, ("f", "{}")],
    ),
    (f'```json\n{{"name": "get_weather", "arguments": {PARIS}}}\n```', ONE),
    (f'```\n[{{"name": "get_weather", "arguments": {PARIS}}}]\n```', ONE),
    ('[get_weather(city="Paris")]', ONE),
    ("[get_weather( city = 'Paris' ,), f()]\n", [*ONE, ("f", "{}")]),
    ("[f(a=1, b=[True, None], c={'d': 'e'})]", [("f", '{"a": 1, "b": [true, null], "c": {"d": "e"}}')]),
]
NEVER = [
    "",
    " ",
    "Hello",
    "{",
    "{}",
    "[]",
    "<p>no</p>",
    '{"name": "Alice", "arguments": {}}',
    '{"name": "get_weather"}',
    '{"name": "get_weather", "arguments": []}',
    '{"name": "get_weather", "arguments": "no"}',
    '{"name": ["f"], "arguments": {}}',
    '{"name": {"a": 1}, "arguments": {}}',
    '{"name": "get_weather", "arguments": {}, "note": 1}',
    '{"city": "Paris"}',
    '{"name": x}',
    f'{{"name": "get_weather", "arguments": {PARIS}}} is the call',
    f'Now: {{"name": "get_weather", "arguments": {PARIS}}}',
    '{"name": "get_weather", "arguments": {"city": "Par',
    "{'name': 'f', 'arguments': {}}",
    '{"name": "get_weather3", "arguments": {}}',
    '{"\\ud800": 1}',
    "<function=unknown>{}</function>",
    "<function=f>[]</function>",
    "<function=f>",
    "<function=f>{}</function> and more",
    "<tool_call>f</tool_call>",
    "<tool_call>",
    "[TOOL_CALLS]",
    "[TOOL_CALLS][]",
    "[TOOL_CALLS]unknown{}",
    "<|tool_calls_section_begin|><|tool_calls_section_end|>",
    "<|tool_calls_section_begin|>no",
    "<|tool_calls_section_begin|><|tool_call_begin|>f:0",
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0000000<|tool_call_argument_begin|>",
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0",
    "<|channel|>commentary to=functions.f <|constrain|>xml<|message|>{}",
    "<|channel|>final<|message|>Hi",
    "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581calls\u2581end\uff5c>",
    "[TOOL_CALLS]f[ARGS]x",
    "[1, 2]",
    "[unknown()]",
    "[f",
    "[f(",
    "[f(1)]",
    "[f(a=)]",
    "[f(a=b)]",
    "[f(a='b)]",
    "[f()",
    "[f(), unknown()]",
    "[f(), 1]",
    "[f(), ]",
    "[f()] and more",
    "[f(a=1 b=2)]",
    "[f(" + "a" * 11_000,
    "```python\nprint(1)\n```",
    "```a long word in front of it\n",
    "```",
    f'```json\n{{"name": "f", "arguments": {PARIS}}}\n',
]


@pytest.mark.parametrize(("text", "calls"), UNMISTAKABLE)
@pytest.mark.parametrize("forced", [False, True])
def test_a_call_in_any_spelling_is_made_a_call_however_the_text_is_cut(
    text: str, calls: list[tuple[str, str]], *, forced: bool
) -> None:
    expected = ("", calls, "tool_calls")
    assert said(text, forced=forced) == expected
    assert said(*text, forced=forced) == expected
    for cut in range(0, len(text), 5 if forced else 1):
        assert said(text[:cut], text[cut:], forced=forced) == expected


@pytest.mark.parametrize(("text", "calls"), AS_AN_ANSWER)
@pytest.mark.parametrize("forced", [False, True])
def test_what_an_answer_may_look_like_as_well_is_a_call_where_all_of_it_is_one_that_fits(
    text: str, calls: list[tuple[str, str]], *, forced: bool
) -> None:
    for cut in range(len(text)):
        assert said(text[:cut], text[cut:], forced=forced) == ("", calls, "tool_calls")
    assert said(*text, forced=forced) == ("", calls, "tool_calls")
    unfit = text.replace("city", "town")
    is_unfit = unfit != text and not forced
    assert said(unfit, forced=forced)[1:] == (([], "stop") if is_unfit else (said(unfit, forced=True)[1:]))


@pytest.mark.parametrize("text", NEVER)
@pytest.mark.parametrize("forced", [False, True])
def test_what_is_no_call_stays_text(text: str, *, forced: bool) -> None:
    assert said(text, forced=forced) == said(*text, forced=forced) == (text, [], "stop")


@pytest.mark.parametrize(
    ("pieces", "held"),
    [
        (["Hello"], 0),
        (["  "], 1),
        (["{"], 1),
        (['{"name'], 1),
        (['{"name": "f'], 1),
        (['{"name": "fo"'], 0),
        (['{"na": '], 0),
        (["<"], 1),
        (["<p"], 0),
        (["[T"], 1),
        (["[1"], 0),
        ([f'{{"name": "get_weather", "arguments": {PARIS}}}'], 1),
        ([f'{{"name": "get_weather", "arguments": {PARIS}}}', " x"], 0),
        (["<|python_tag|>", "import"], 0),
        (["`"], 1),
        (["```py"], 1),
        (["```python\n"], 0),
        (["```json\n[1"], 0),
        (['{"type": "object"'], 0),
        (['{"function": "'], 0),
        (['{"function": {"name": "f", "description"'], 0),
        (['{"function": {"name": "f", "arguments": {"function": {"x": "'], 1),
        (['{"tool_calls": [{"function": {"name": "fo"'], 0),
    ],
)
def test_text_is_held_only_while_it_may_be_a_call(pieces: list[str], held: int) -> None:
    deltas: list[Delta] = [Text(0, piece) for piece in pieces]
    assert run([salvage()], deltas) == ([] if held else deltas)


def test_an_answer_that_was_cut_is_not_completed() -> None:
    text = f'{{"name": "get_weather", "arguments": {PARIS}'
    assert said(text, reason="length") == (text, [], "length")
    assert said(text + "}", reason="length") == ("", ONE, "length")


def test_ids_are_ours_and_carry_that_of_the_model() -> None:
    text = UNMISTAKABLE[15][0]
    call = run([Salvage(Offered(TOOLS), STAMP, 2)], [Text(0, text), Finish(0, "stop")])[0]
    assert isinstance(call, Call)
    assert call.id.startswith("call_ps0123456789abx2x0-")
    plain = run([salvage()], [Text(1, UNMISTAKABLE[0][0]), Finish(1, "stop")])[0]
    assert plain == Call(1, 0, "call_ps0123456789abx1x0", "get_weather")


def test_what_is_held_is_given_out_as_it_came_before_what_shows_that_it_is_none() -> None:
    held: list[Delta] = [Text(0, "{"), Text(0, '"name"')]
    for after in (Call(0, 0, "c", "f"), Refusal(0, "no"), Failed(bad_answer("x"))):
        assert run([salvage()], [*held, after]) == [*held, after]
    assert run([salvage()], [Call(0, 0, "c", "f"), Text(0, "{"), Arguments(0, 0, "{}")])[1] == Text(0, "{")


def test_thinking_and_usage_pass() -> None:
    deltas: list[Delta] = [Reasoning(0, "hm"), Usage(1, 1)]
    assert run([salvage()], [Text(0, "{"), *deltas]) == deltas


def test_each_choice_is_read_by_itself() -> None:
    deltas: list[Delta] = [Text(0, UNMISTAKABLE[0][0]), Text(1, "Hi"), Finish(1, "stop"), Finish(0, "stop")]
    first, second = fold(run([salvage()], deltas)).choices
    assert (len(first.calls), second.text_of("text")) == (1, "Hi")


def test_an_answer_without_text_is_none_of_its_business() -> None:
    assert run([salvage()], [Finish(0, "stop")]) == [Finish(0, "stop")]


_WORDS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"name"',
        '"arguments"',
        ":",
        ",",
        '"f"',
        "{}",
        " ",
        "x",
        "<tool_call>",
        "</tool_call>",
        "```",
        "\n",
        "[TOOL_CALLS]",
        "f",
        "(",
        ")",
        "a=1",
        "<function=f>",
        "</function>",
        ";",
        "[f(",
        "<|python_tag|>",
    ]
)


@given(pieces=st.lists(_WORDS), forced=st.booleans())
def test_text_and_calls_do_not_depend_on_the_cuts_and_nothing_is_lost(
    pieces: list[str], *, forced: bool
) -> None:
    text = "".join(pieces)
    out = said(text, forced=forced)
    assert out == said(*pieces, forced=forced) == said(*text, forced=forced)
    assert out[0] == ("" if out[1] else text)
    assert all(name in TOOLS and isinstance(json.loads(arguments), dict) for name, arguments in out[1])


@given(text=st.text())
def test_text_is_never_changed(text: str) -> None:
    assert said(text) == (text, [], "stop")


def test_where_an_object_is_an_answer_only_the_marks_of_templates_begin_a_call() -> None:
    call = f'{{"name": "f", "arguments": {PARIS}}}'
    for text, is_call in ((call, False), (f"<tool_call>{call}</tool_call>", True)):
        deltas = run(
            [Salvage(Offered(TOOLS), STAMP, marks=spelled_calls.TEMPLATES)],
            [Text(0, text), Finish(0, "stop")],
        )
        assert [type(delta) for delta in deltas] == ([Call, Arguments, Finish] if is_call else [Text, Finish])
