"""Calls that a model writes into its text, the whole way: what is one is called, however the answer comes.

The same answer is read as a stream in pieces of several sizes and as one whole (laws 3 and 4), by a model
that is told of tools in words and by one that knows them.
"""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.exchange import STAMP, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.deltas import Arguments, Call, Delta, Finish, Reason, Text, Usage, fold
from translators.tools import mint_call_id, restore_call_id

TOLD: Final = Facts(family="legacy")  # of tools in words
KNOWING: Final = Facts(family="openai", can=frozenset({"tools"}))
BOTH: Final = pytest.mark.parametrize("facts", [TOLD, KNOWING], ids=["told", "knowing"])

WEATHER: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
LOOKED_UP: Final = {"type": "object", "properties": {"query": {"type": "string"}}}
TOOLS: Final[list[Any]] = [
    {
        "type": "function",
        "function": {"name": "weather", "description": "The weather", "parameters": WEATHER},
    },
    {"type": "function", "function": {"name": "lookup", "parameters": LOOKED_UP}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "custom", "custom": {"name": "python"}},
]
PARIS: Final = {"city": "Paris"}
ONE: Final = [("weather", PARIS)]
CALL: Final = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
OBJECT: Final = '{"name": "weather", "arguments": {"city": "Paris"}}'
DEFINITION: Final = json.dumps({"name": "weather", "description": "The weather", "parameters": WEATHER})
XML: Final = "<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>"

_DEEPSEEK_ONE: Final = (
    '<\uff5ctool\u2581call\u2581begin\uff5c>weather<\uff5ctool\u2581sep\uff5c>{"city": "Paris"}'
)
_KIMI_ONE: Final = (
    '<|tool_call_begin|>weather:0<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|>'
)

Said = tuple[str, list[tuple[str, Any]], str]


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def said(text: str, facts: Facts, size: int, reason: Reason = "stop", **fields: Any) -> Said:
    """Text, calls and finish of an answer that comes in pieces of so many characters."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS, **fields}
    deltas: list[Delta] = [*(Text(0, piece) for piece in _pieces(text, size)), Finish(0, reason), Usage(1, 1)]
    (choice,) = fold(translated(body, facts=facts).dialogue.take(0, deltas)).choices
    calls = [
        (call.name, json.loads(call.arguments) if call.kind == "function" else call.arguments)
        for call in choice.calls
    ]
    return choice.text_of("text") or "", calls, choice.reason


def in_any_pieces(text: str, facts: Facts, reason: Reason = "stop", **fields: Any) -> Said:
    """The same, once it is seen that the pieces do not matter."""
    whole = said(text, facts, max(1, len(text)), reason, **fields)
    for size in (1, 2, 3, 7, 19):
        assert said(text, facts, size, reason, **fields) == whole
    return whole


@pytest.mark.parametrize(
    ("inner", "calls"),
    [
        ('{"name": "weather", "city": "Paris"}', ONE),
        ('{"city": "Paris", "days": 2, "name": "weather"}', [("weather", {"city": "Paris", "days": 2})]),
        ('{"type": "function", "name": "weather", "id": "x", "city": "Paris"}', ONE),
        ('{"name": "weather", "city": "Paris", "days": "2"}', [("weather", {"city": "Paris", "days": 2})]),
        ('{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}', ONE),
        ('{"name": "weather", "arguments": "{\'city\': \'Paris\'}"}', ONE),
        ('{"name": "lookup", "arguments": "Paris"}', [("lookup", {"query": "Paris"})]),
        ('{"name": "now", "arguments": null}', [("now", {})]),
        ('{"name": "now"}', [("now", {})]),
        ('{"name": "python", "arguments": "1 + 1"}', [("python", "1 + 1")]),
        ('{"name": "functions.weather", "arguments": {"city": "Paris"}}', ONE),
    ],
)
@BOTH
def test_arguments_between_marks_become_an_object_where_what_is_meant_is_sure(
    inner: str, calls: Any, facts: Facts
) -> None:
    assert in_any_pieces(f"<tool_call>{inner}</tool_call>", facts) == ("", calls, "tool_calls")


@pytest.mark.parametrize(
    "inner",
    [
        '{"name": "weather", "town": "Paris"}',
        '{"name": "weather", "city": "Paris", "sky": 1}',
        '{"name": "weather", "days": 2}',
        '{"name": "weather", "arguments": "Paris"}',
        '{"name": "weather", "arguments": ["Paris"]}',
        '{"name": "lookup", "arguments": 5}',
        '{"name": "now", "arguments": 5}',
        '{"name": "now", "query": "Paris"}',
        DEFINITION,
        json.dumps({"type": "function", "function": json.loads(DEFINITION)}),
        json.dumps({"name": "weather", "arguments": WEATHER}),
        json.dumps({"name": "lookup", "parameters": LOOKED_UP["properties"]}),
        '{"name": "now", "description": "", "parameters": {}}',
        "<function=weather><parameter=city>Paris",
        "<function=unknown><parameter=city>Paris</parameter></function>",
        "weather\n<arg_key>city</arg_key>",
        "weather(city='Paris')",
    ],
)
@BOTH
def test_what_is_not_sure_and_what_defines_a_tool_is_text(inner: str, facts: Facts) -> None:
    text = f"<tool_call>{inner}</tool_call>"
    assert in_any_pieces(text, facts) == (text, [], "stop")


@pytest.mark.parametrize("text", [DEFINITION, f"```json\n{DEFINITION}\n```", f"[{DEFINITION}]"])
@pytest.mark.parametrize("choice", ["auto", "required"])
@BOTH
def test_a_definition_is_no_call_in_any_spelling(text: str, choice: str, facts: Facts) -> None:
    if choice == "auto":
        assert in_any_pieces(text, facts) == (text, [], "stop")
    else:  # held, and asked for once more
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
        dialogue = translated({**body, "tool_choice": choice}, facts=facts).dialogue
        assert dialogue.take(0, [Text(0, text), Finish(0, "stop"), Usage(1, 1)]) == []
        assert len(dialogue.next()) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"You would write {CALL}.",
        f"You would write {CALL}",
        f"The form is: {CALL}",
        f"Write `{CALL}` to call.",
        f"`{CALL}`",
        f"So:\n```\n{CALL}\n```\nThat is all.",
        f"```xml\n{CALL}\n```\nis how it looks.",
        f"Like this:\n\n```json\n{OBJECT}\n```",
        f"```\n{CALL}",
        f"```python\n{OBJECT}\n```",
        f"Use {OBJECT}",
        f"> {CALL}",
        "commentary to=functions.weather in the air",
    ],
)
@BOTH
def test_a_call_that_is_shown_is_text(text: str, facts: Facts) -> None:
    assert in_any_pieces(text, facts) == (text, [], "stop")


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{OBJECT}\n```",
        f"```\n{CALL}\n```",
        f"\n```tool_call\n{OBJECT}\n```\n",
        f"```xml\n{CALL}\n```",
        f"```json\n[{OBJECT}]\n```",
        '```tool_code\nweather(city="Paris")\n```',
        '```tool_code\nprint(weather(city="Paris"))\n```',
        '[weather(city="Paris")]',
        f"[{OBJECT}]",
    ],
)
@BOTH
def test_a_call_that_is_the_whole_answer_is_made_though_it_stands_in_a_fence(text: str, facts: Facts) -> None:
    assert in_any_pieces(text, facts) == ("", ONE, "tool_calls")


@pytest.mark.parametrize(
    ("text", "before"), [(f"I look.\n{CALL}", "I look."), (f"Sure! {CALL}", "Sure!"), (CALL, "")]
)
@BOTH
def test_a_call_of_its_own_is_made_behind_what_is_said(text: str, before: str, facts: Facts) -> None:
    assert in_any_pieces(text, facts) == (before, ONE, "tool_calls")
    fence = "```\nprint()\n```\n"
    assert in_any_pieces(fence + text, facts) == (fence.rstrip() if not before else fence + before, *_CALLED)


_CALLED: Final = (ONE, "tool_calls")


@pytest.mark.parametrize(
    "behind",
    [
        '\n<tool_response>\n{"sky": "blue"}\n</tool_response>\nIt is blue.',
        '<tool_response name="weather">\nblue',
        f"\n<tool_response>blue</tool_response>{CALL}",
        "\n<tool_resp",
    ],
)
@pytest.mark.parametrize("call", [CALL, CALL.removesuffix("</tool_call>"), OBJECT, XML])
@BOTH
def test_what_a_model_says_in_the_place_of_its_tool_is_left_out(call: str, behind: str, facts: Facts) -> None:
    assert in_any_pieces(call + behind, facts) == ("", *_CALLED)
    if len(behind) > len("\n<tool_response>"):  # the call was whole, whatever was cut
        assert in_any_pieces(call + behind, facts, "length") == ("", *_CALLED)


def test_a_result_without_a_call_before_it_is_text_and_so_is_its_mention() -> None:
    for text in ("<tool_response>blue</tool_response>", f"<tool_response>\n{CALL[1:]}"):
        assert in_any_pieces(text, TOLD) == (text, [], "stop")
    text = f"{CALL}\nThe answer comes in <tool_response>."
    assert in_any_pieces(text, TOLD) == ("\nThe answer comes in <tool_response>.", *_CALLED)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"<tool_call>\n{XML}\n</tool_call>", ONE),
        (XML, ONE),
        (f"<tool_call>{XML}</tool_call>\n<tool_call>{XML}</tool_call>", [*ONE, *ONE]),
        (
            (
                "<tool_call><function=weather><parameter=days>3</parameter><parameter=city>7\n</parameter>"
                "</function></tool_call>"
            ),
            [("weather", {"days": 3, "city": "7"})],
        ),
        ("<tool_call><function=now></function></tool_call>", [("now", {})]),
        (
            (
                "<tool_call><function=python><parameter=input>\nif a < b:\n  </p>\n</parameter></function>"
                "</tool_call>"
            ),
            [("python", "if a < b:\n  </p>")],
        ),
        (f'<tool_call>{{"type": "function", "function": {OBJECT}}}</tool_call>', ONE),
        (f'<tool_call>{{"function": {OBJECT}, "id": "x"}}</tool_call>', ONE),
        (f"<tool_call>[{OBJECT}, {OBJECT}]</tool_call>", [*ONE, *ONE]),
        (f'{{"function": {OBJECT}}}', ONE),
        (
            '{"type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}}',
            ONE,
        ),
        (f'{{"tool_calls": [{OBJECT}, {{"id": "x", "function": {OBJECT}}}]}}', [*ONE, *ONE]),
        ("<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>", ONE),
        (
            (
                "<tool_call>weather<arg_key>city</arg_key><arg_value>Paris</arg_value>"
                "<arg_key>days</arg_key><arg_value>2</arg_value></tool_call>"
            ),
            [("weather", {"city": "Paris", "days": 2})],
        ),
        (
            (
                "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>"
                "function<\uff5ctool\u2581sep\uff5c>weather\n"
                '```json\n{"city": "Paris"}\n```'
                "<\uff5ctool\u2581call\u2581end\uff5c><\uff5ctool\u2581calls\u2581end\uff5c>"
            ),
            ONE,
        ),
        (
            (
                "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>weather<\uff5ctool\u2581sep\uff5c>"
                '{"city": "Paris"}<\uff5ctool\u2581call\u2581end\uff5c>'
            ),
            ONE,
        ),
        (f"{_DEEPSEEK_ONE}<\uff5ctool\u2581call\u2581end\uff5c>", ONE),
        (f"<|tool_calls_section_begin|>{_KIMI_ONE}", ONE),
        (f"{_KIMI_ONE}\n{_KIMI_ONE}<|tool_calls_section_end|>", [*ONE, *ONE]),
        ('commentary to=functions.weather json{"city": "Paris"}', ONE),
        ('assistantcommentary to=functions.weather json {"city": "Paris"}', ONE),
        (
            (
                "<|start|>assistant to=functions.weather<|channel|>commentary <|constrain|>json"
                '<|message|>{"city": "Paris"}<|call|>'
            ),
            ONE,
        ),
        (f"<tool_call>\n```json\n{OBJECT}\n```\n</tool_call>", ONE),
        ("<tool_call><function=weather><parameter=city>Paris</parameter>\n</tool_call>", ONE),
        ('[TOOL_CALLS]weather[CALL_ID]abc12[ARGS]{"city": "Paris"}', ONE),
        ('<|python_tag|>weather.call(city="Paris")', ONE),
        (f"<|python_tag|>{OBJECT}<|eom_id|>", ONE),
    ],
)
@BOTH
def test_the_spellings_of_all_families_are_called(text: str, calls: Any, facts: Facts) -> None:
    assert in_any_pieces(text, facts) == ("", calls, "tool_calls")


_LEAKED: Final = {
    "hermes": CALL,
    "hermes-slipped": "<tool_call>{'name': 'weather', 'arguments': {'city': 'Paris'}}</tool_call>",
    "qwen": f"<tool_call>\n{XML}\n</tool_call>",
    "qwen-bare": XML,
    "glm": "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
    "kimi": f"<|tool_calls_section_begin|>{_KIMI_ONE}<|tool_calls_section_end|>",
    "kimi-bare": _KIMI_ONE,
    "deepseek": f"{_DEEPSEEK_ONE}<\uff5ctool\u2581call\u2581end\uff5c><\uff5ctool\u2581calls\u2581end\uff5c>",
    "gpt-oss": '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Paris"}',
    "gpt-oss-stripped": 'assistantcommentary to=functions.weather json{"city": "Paris"}',
    "llama": '<|python_tag|>weather.call(city="Paris")<|eom_id|>',
    "mistral": '[TOOL_CALLS]weather[ARGS]{"city": "Paris"}',
    "gemma": '<|tool_call>call:weather{city:<|"|>Paris<|"|>}<tool_call|>',
    "gemma-stripped": "call:weather{city:Paris}",
}
each_leaked = pytest.mark.parametrize("leaked", _LEAKED.values(), ids=_LEAKED)


@each_leaked
@BOTH
def test_a_call_that_leaks_behind_prose_is_made_in_every_spelling(leaked: str, facts: Facts) -> None:
    assert in_any_pieces(leaked, facts) == ("", *_CALLED)
    assert in_any_pieces(f"I look it up.\n\n{leaked}", facts) == ("I look it up.", *_CALLED)
    assert in_any_pieces(f"I look.\n{leaked}\nDone.", facts)[0].split() == ["I", "look.", "Done."]
    assert in_any_pieces(f"I look.\n{leaked}\nDone.", facts)[1:] == _CALLED
    twice = in_any_pieces(f"I look.\n{leaked}\n{leaked}", facts)
    assert twice == ("I look.", [*ONE, *ONE], "tool_calls")


@each_leaked
@pytest.mark.parametrize(
    "shown",
    [
        "For example:\n\n{}",
        "The syntax (e.g. of Qwen) is:\n{}\n",
        "So:\n```\n{}\n```\nThat is it.",
        "For example, {}",
        "You would write `{}`",
        "> {}",
        "Like this: {} or so",
    ],
)
@BOTH
def test_a_call_that_is_only_talked_about_is_text_in_every_spelling(
    leaked: str, shown: str, facts: Facts
) -> None:
    text = shown.format(leaked) if "{}" in shown else shown
    assert in_any_pieces(text, facts) == (text, [], "stop")


@each_leaked
@BOTH
def test_a_call_of_a_tool_that_was_not_offered_is_text_behind_prose(leaked: str, facts: Facts) -> None:
    text = f"I look.\n{leaked.replace('weather', 'whether')}"
    assert in_any_pieces(text, facts) == (text, [], "stop")


@each_leaked
@BOTH
def test_where_no_tool_may_be_called_a_leaked_call_is_text(leaked: str, facts: Facts) -> None:
    text = f"I look.\n{leaked}"
    assert in_any_pieces(text, facts, tool_choice="none") == (text, [], "stop")
    assert in_any_pieces(text, facts, tools=[]) == (text, [], "stop")


@pytest.mark.parametrize(
    "arguments",
    ['{"city": b}', "[1]", '"Paris"', '{"city": "Paris"}, b', json.dumps(WEATHER)],
)
def test_a_leaked_call_is_never_made_of_what_is_no_object(arguments: str) -> None:
    text = f'I look.\n<tool_call>{{"name": "weather", "arguments": {arguments}}}</tool_call> So.'
    assert in_any_pieces(text, KNOWING) == (text, [], "stop")


@pytest.mark.parametrize("before", ["", "I look.\n", "I look. \n\t"])
@BOTH
def test_gemmas_bare_calls_are_made_where_they_are_all_of_a_line(before: str, facts: Facts) -> None:
    said_before = before.strip()
    two = "call:weather{city:Paris}call:now{}"
    assert in_any_pieces(before + two, facts) == (said_before, [*ONE, ("now", {})], "tool_calls")
    lines = "call:weather{city:Paris} \ncall:now{}\r\nThat is it."
    expected = [*ONE, ("now", {})]
    assert in_any_pieces(before + lines, facts)[1:] == (expected, "tool_calls")
    for text in (
        "call:weather{city:Paris} is how it is written.",
        "recall:weather{city:Paris}",
        "So call:weather{city:Paris}",
        "Yes. call:weather{city:Paris}",
        "call: weather{city:Paris}",
        "call:weather {city:Paris}",
        "call:weather(city:Paris)",
        "call:whether{city:Paris}",
        "call:weather{town:Paris}",
        "call:weather{Paris}",
        "`call:weather{city:Paris}`",
    ):
        assert in_any_pieces(before + text, facts) == (before + text, [], "stop")


@BOTH
def test_python_that_no_call_is_as_long_as_is_text_wherever_it_is_cut(facts: Facts) -> None:
    text = f'<|python_tag|>weather.call(city="{"a" * 11_000}")<|eom_id|>'
    for size in (100, 12_000):
        assert said(text, facts, size) == (text, [], "stop")


@BOTH
def test_python_as_long_as_a_call_may_be_is_one_wherever_its_end_is_cut(facts: Facts) -> None:
    python = f'weather.call(city="{"a" * 9_979}")'
    assert len(python) == 10_000
    text = f"<|python_tag|>{python}<|eom_id|>"
    for size in (1, 7, 100, 12_000):
        assert [name for name, _arguments in said(text, facts, size)[1]] == ["weather"]


def test_a_leaked_call_that_was_cut_is_text() -> None:
    for text in (f"I look.\n{CALL[:-20]}", f"I look.\n{XML[:-12]}", "I look.\ncall:weather{city:Par"):
        assert in_any_pieces(text, KNOWING, "length") == (text, [], "length")


def _with_native(deltas: list[Delta]) -> list[tuple[int, str, str]]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
    out = translated(body, facts=KNOWING).dialogue.take(0, [*deltas, Finish(0, "tool_calls"), Usage(1, 1)])
    (choice,) = fold(out).choices
    assert (choice.text_of("text"), choice.reason) == ("I look.", "tool_calls")
    assert len({call.id for call in choice.calls}) == len(choice.calls)
    begun = [delta.index for delta in out if isinstance(delta, Call)]
    assert begun == sorted(set(begun)) == list(range(len(begun)))
    return [(call.index, call.name, call.arguments) for call in choice.calls]


@each_leaked
@given(size=st.integers(1, 30), kept=st.booleans())
def test_calls_of_the_backend_and_leaked_ones_share_their_numbers(
    leaked: str,
    size: int,
    kept: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    said: list[Delta] = [Text(0, piece) for piece in _pieces(f"I look.\n{leaked}", size)]
    native: list[list[Delta]] = [
        [
            Call(0, index, mint_call_id(STAMP, 0, index, "functions.now:0" if kept else None), "now"),
            Arguments(0, index, "{}"),
        ]
        for index in (0, 1)
    ]
    paris = json.dumps(PARIS)
    made = [(name, "{}" if name == "now" else paris) for name in ("now", "weather", "now")]
    assert [each[1:] for each in _with_native([*native[0], *said, *native[1]])] == made
    assert [each[1:] for each in _with_native([*said, *native[0], *native[1]])] == [made[1], made[0], made[0]]


def test_the_id_that_a_backend_gave_its_call_is_kept_behind_a_leaked_one() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
    native = Call(0, 0, mint_call_id(STAMP, 0, 0, "functions.now:7"), "now")
    out = translated(body, facts=KNOWING).dialogue.take(0, [Text(0, CALL), native, Arguments(0, 0, "{}")])
    ids = [delta.id for delta in out if isinstance(delta, Call)]
    assert [restore_call_id(each) for each in ids] == [mint_call_id(STAMP, 0, 0, None), "functions.now:7"]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "weather", "arguments": {"days": 2}}',
        '[weather(days="x")]',
        '```json\n{"name": "weather", "arguments": {"town": "Paris"}}\n```',
        '{"function": {"name": "weather", "arguments": {}}}',
    ],
)
@BOTH
def test_what_may_be_an_answer_is_a_call_only_where_its_arguments_fit(text: str, facts: Facts) -> None:
    assert in_any_pieces(text, facts) == (text, [], "stop")
    assert in_any_pieces(text, facts, tool_choice="required")[1:] != ([], "stop")


_WORDS = st.sampled_from(
    [
        "<tool_call>", "</tool_call>", "<tool_response>", "```", "\n", " ", "`", "Hi.", "so", "{", "}", "[",
        "]", OBJECT, DEFINITION, XML, '{"name": "weather", ', '"arguments": ', '{"city": "Paris"}',
        '"city": "x"', ",",
        "<function=weather>", "<parameter=city>", "</parameter>", "</function>", "weather", "<arg_key>",
        "city", "</arg_key>", "<arg_value>", "</arg_value>", "json", "tool_code", 'weather(city="a")',
        "call:", "<|tool_call>", "weather{city:", '<|"|>', "<tool_call|>", "commentary to=functions.", CALL,
        "I look.\n", "<|channel|>", "<|tool_call_begin|>", "<|im_end|>", "<|eom", "a", "c",
    ]
)  # fmt: skip


@given(
    words=st.lists(_WORDS, max_size=12), size=st.integers(1, 9), reason=st.sampled_from(["stop", "length"])
)
@BOTH
def test_the_pieces_never_matter_and_no_call_is_made_up(
    words: list[str], size: int, reason: Reason, facts: Facts
) -> None:
    text = "".join(words)
    whole = said(text, facts, max(1, len(text)), reason)
    assert said(text, facts, size, reason) == whole
    if not whole[1]:
        assert whole == (text, [], reason)
    for name, arguments in whole[1]:
        assert name in text
        assert isinstance(arguments, dict)
        assert all(key in text for key in arguments)
