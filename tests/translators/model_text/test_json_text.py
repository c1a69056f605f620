"""Finding the JSON that a model's text holds, and never any that it does not."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.model_text.json_text import read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = VALUES.filter(lambda value: isinstance(value, dict | list))
WORDS = st.text().filter(lambda text: not set(text) & set('{}[]"'))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _anything(_value: Any) -> bool:
    return True


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\t\n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}```',
        'Here it is:\n\n```json\n{"a": 1}\n```\nI hope that it\'s "right"!',
        'It is {"a": 1}. Ask me [more].',
        '{"a": 1}\n{"a":1}',
        '"{\\"a\\": 1}"',
        '"```json\\n{\\"a\\": 1}\\n```"',
        'see [1 here: {"a": 1}',
        'see [1, 2 here: {"a": 1}',
        'as {so {"a": 1} said',
        'the keys of {"a"} are: {"a": 1}',
        '[[see] and {"a": 1}',
        '{{"a": 1}}',
        '{"a": 1}}',
        '{"a": 1} (see [the docs',
        "{'a': 1}",
        "So: {'a': 1}, and no more",
        "```python\n{'a': 1,}\n```",
        '{"a": 1, // the first\n # and last\n}',
        '/* so */ {"a": /* one */ 1}',
        "{a: 1}",
        '{"a": 2, "a": 1} {"a": 1}',
    ],
)
def test_an_object_is_found_in_whatever_it_stands(text: str) -> None:
    reading = read_json(text, _is_object)
    assert reading.fits
    assert reading.found is not None
    assert (reading.found.value, json.loads(reading.found.text)) == ({"a": 1}, {"a": 1})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("I would rather not.", "it holds no whole JSON value"),
        ('{"a": {"b": 1}', "it holds no whole JSON value"),
        ('{"a": {"b": 1}, , }', "it holds no whole JSON value"),
        ("{'a': {\"b\": 1}", "it holds no whole JSON value"),
        ('{"a": 1 "b": {"c": 1}}', "it holds no whole JSON value"),
        ('{"a": oops {"b": 1}}', "it holds no whole JSON value"),
        ('{"a": oops {"b": 1}', "it holds no whole JSON value"),
        ('{a": {"b": 1}, "c": {}', "it holds no whole JSON value"),
        ("{a': {'b': 1}, 'c': ''}", "it holds no whole JSON value"),
        ('{"a": 1, b {"c": 1}}', "it holds no whole JSON value"),
        ('["a" "b", {"c": 1}]', "it holds no whole JSON value"),
        ('[{"a": 1} {"c": 1}]', "it holds no whole JSON value"),
        ('{"a": 1, /* {"b": 1}', "it holds no whole JSON value"),
        ('{"a": NaN, "b": {"c": 1}}', "it holds no whole JSON value"),
        ('{"a": 1e999}', "it holds no whole JSON value"),
        ('{"a": "\\ud800"}', "it holds no whole JSON value"),
        ("{'a': 1}, or else {'a': 2}", "it holds several JSON values"),
        ('{"a": [}', "it holds no whole JSON value"),
        ('{"a": "', "it holds no whole JSON value"),
        ('First {"a": 1}, or else {"a": 2}', "it holds several JSON values"),
        ("[" * 129 + "]" * 129, "it is nested too deeply"),
        ("[" * 9000 + "]" * 9000, "it is nested too deeply"),
    ],
)
def test_what_is_broken_or_undecided_holds_nothing(text: str, problem: str) -> None:
    reading = read_json(text, _is_object)
    assert (reading.found, reading.fits) == (None, False)
    assert reading.problem.startswith(problem)


def test_of_several_values_the_one_that_fits_is_meant() -> None:
    reading = read_json('See [1] for {"a": 1}', _is_object)
    assert reading.found is not None
    assert reading.found.text == '{"a": 1}'


def test_json_outranks_what_is_almost_json() -> None:
    reading = read_json("Not {'a': 2} but {\"a\": 1}", _is_object)
    assert reading.found is not None
    assert reading.found.text == '{"a": 1}'


def test_what_is_almost_json_and_fits_outranks_json_that_does_not() -> None:
    reading = read_json("See [1] for {'a': [None, True, 'b']}", _is_object)
    assert reading.found is not None
    assert reading.found.text == '{"a": [null, true, "b"]}'


def test_an_object_is_the_same_in_whatever_order_it_is_said_again() -> None:
    assert read_json('{"a": 1, "b": 2} {"b": 2, "a": 1}', _is_object).fits


def test_the_only_value_is_given_though_it_does_not_fit() -> None:
    reading = read_json("So: [1]", _is_object)
    assert reading.found is not None
    assert (reading.found.value, reading.fits) == ([1], False)


def test_a_string_is_a_value_where_one_is_wanted() -> None:
    reading = read_json('"{\\"a\\": 1}"', lambda value: isinstance(value, str))
    assert reading.found is not None
    assert reading.found.value == '{"a": 1}'


@given(value=VALUES, before=st.sampled_from(["", " ", "\n\n"]), after=st.sampled_from(["", " ", "\n"]))
def test_any_json_is_read_as_it_is(value: Any, before: str, after: str) -> None:
    text = json.dumps(value, ensure_ascii=False)
    reading = read_json(f"{before}{text}{after}", _anything)
    assert reading.found is not None
    assert (reading.found.text, reading.fits) == (text, True)


@given(value=CONTAINERS, before=WORDS, after=WORDS, fence=st.booleans())
def test_words_and_fences_around_a_value_are_left_out(
    value: Any, before: str, after: str, *, fence: bool
) -> None:
    text = json.dumps(value)
    inner = f"```json\n{text}\n```" if fence else text
    reading = read_json(f"{before}{inner}{after}", lambda each: each == value)
    assert reading.found is not None
    assert reading.found.text == text


@given(value=CONTAINERS, part=st.floats(0, 1, exclude_max=True))
def test_json_that_was_cut_is_never_made_whole_nor_are_its_parts(value: Any, part: float) -> None:
    text = json.dumps(value)
    assert read_json(text[: int(part * len(text))], _anything).found is None


@given(text=st.text(alphabet='{}[]":,\\ a1tn\n`', max_size=60))
def test_what_is_found_stands_in_the_text(text: str) -> None:
    found = read_json(text, _anything).found
    if found is not None:
        assert json.loads(found.text) == found.value
        assert found.text in text or found.text in json.loads(text)


@given(value=CONTAINERS, before=st.text(alphabet="[{ x1,\n", max_size=20), after=WORDS)
def test_brackets_that_only_stand_in_words_hide_nothing(value: Any, before: str, after: str) -> None:
    text = json.dumps(value)
    reading = read_json(f"{before}x {text} {after}", lambda each: each == value)
    assert reading.found is not None
    assert json.loads(reading.found.text) == value


@given(value=CONTAINERS, part=st.floats(0, 1, exclude_max=True))
def test_what_python_writes_is_never_made_whole_either(value: Any, part: float) -> None:
    text = str(value)
    assert read_json(text[: int(part * len(text))], _anything).found is None


@given(pieces=st.lists(st.sampled_from([*"{}[]:,'\"\\a1 \n", "None", "//", "/*", "*/", '{"a":1}'])))
def test_what_is_found_is_json_to_everybody(pieces: list[str]) -> None:
    found = read_json("".join(pieces), _anything).found
    if found is not None:
        assert json.loads(found.text) == found.value


DOCUMENTS: list[dict[str, Any]] = [
    {"name": {"first": "Ann", "age": 3}, "tags": [{"id": 1}, {"id": 2}]},
    {"order": {"items": [{"sku": "a-1"}], "note": "it's here"}, "sum": 9.5},
    {"city": {"at": {"lat": 48.9, "lon": 2.3}}},
]


def _parts(value: Any) -> Iterator[Any]:
    """What stands inside a value."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield inner
        yield from _parts(inner)


def _is_part_taken(broken: str, whole: Any) -> bool:
    reading = read_json(broken, _is_object)
    value = reading.found.value if reading.found else None
    return reading.fits and value != whole and any(value == part for part in _parts(whole))


@pytest.mark.parametrize("whole", DOCUMENTS, ids=["tags", "order", "city"])
@pytest.mark.parametrize(
    "spelt", [json.dumps, partial(json.dumps, indent=1), str], ids=["", "lines", "python"]
)
def test_no_part_passes_for_the_whole_wherever_two_characters_are_missing(
    whole: dict[str, Any], spelt: Callable[[Any], str]
) -> None:
    text = spelt(whole)
    for first, second in combinations(range(len(text)), 2):
        broken = text[:first] + text[first + 1 : second] + text[second + 1 :]
        assert not _is_part_taken(broken, whole), broken


@given(
    value=st.dictionaries(st.text(min_size=1, max_size=5), VALUES, min_size=1, max_size=3),
    at=st.integers(0, 10_000),
    put=st.sampled_from(["", *"{}[]:,'\" x"]),
    instead=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_no_part_passes_for_the_whole_wherever_a_slip_is(
    value: dict[str, Any], at: int, put: str, indent: int | None, *, instead: bool
) -> None:
    text = json.dumps(value, indent=indent)
    at %= len(text)
    broken = text[:at] + put + text[at + (instead or not put) :]
    assert not _is_part_taken(broken, value), broken


@pytest.mark.parametrize(
    "text",
    [
        '"a": {"b": 1}}',
        '"a": {"b": 1}',
        "'a': {'b': 1}",
        '{"b": 1}, "a": 2}',
        '{"b": 1} "a": 2}',
        '{"b": 1}a": 2}',
        '"x", {"b": 1}]',
        "1, {'b': 1}]",
        '{x, y: {"b": 1} z}',
        '{"b": 1}\n }\n}',
        '{"b": 1} and so on }',
        '{"b": 1}}, {',
        '{"b": 1}}: "',
        ': {"b": 1}}',
        ']{"b": 1}}',
        'Here it is: {"a": oops}, or {"b": 1}',
        'Here "it" is: {"b": 1}}',
        '"\\"a\\": {\\"b\\": 1}}"',
    ],
)
def test_what_stands_in_the_remains_of_a_larger_value_is_not_taken(text: str) -> None:
    reading = read_json(text, _is_object)
    assert (reading.found, reading.fits) == (None, False)
    assert reading.problem == "it holds no whole JSON value, but what may be a part of a broken one"


@pytest.mark.parametrize(
    "text",
    [
        'Here it is: {"b": 1}}',
        '{{"b": 1}}',
        'It\'s as you said, {"b": 1}, and so on.',
        'As in [1], {"b": 1}.',
        '(see [so {"b": 1} and {so}])',
        'The "config" is {"b": 1} (the "last" one).',
        '{"b": 1} and the "rest" is [here]',
    ],
)
def test_what_stands_among_words_is_taken(text: str) -> None:
    assert read_json(text, lambda value: value == {"b": 1}).fits


@pytest.mark.parametrize(
    "text",
    ["{} " * 1_001, "[x " * 1_001, "[" + "0," * 40_000 + "oops]", "[x " + "['a'," * 20 + "'a'," * 20_000],
)
def test_what_no_answer_looks_like_holds_nothing(text: str) -> None:
    reading = read_json(text, _anything)
    assert (reading.found, reading.fits) == (None, False)
    assert reading.problem == "it is too long for one JSON value to be found in it"


def test_a_long_value_between_words_is_found() -> None:
    text = json.dumps([{"a": "[" * 100}] * 5_000)
    reading = read_json(f"So: {text} It is long.", _anything)
    assert reading.found is not None
    assert reading.found.text == text


def _seconds(text: str) -> float:
    """The least of some tries, for others may take the processor's caches."""
    return min(_once(text) for _ in range(3))


def _once(text: str) -> float:
    begun = time.process_time()
    read_json(text, _is_object)
    return time.process_time() - begun


@pytest.mark.parametrize(
    ("before", "again"),
    [
        ("", "{}"),
        ("", "["),
        ("", "{"),
        ("", '{"a":'),
        ("", "[x"),
        ("", "[1 "),
        ("", "[1,"),
        ("", "[/*"),
        ("", "[NaN,"),
        ("", '[""'),
        ("", '{"a"}'),
        ("", "{'}',"),
        ("", '[x\\"'),
        ("[", "{},"),
        ("{", "'a':1,"),
        ("[NaN," * 200, "1,"),
        ("[1," * 126, "[],"),
        ('"', "{}"),
    ],
)
def test_time_grows_with_the_text_and_no_faster(before: str, again: str) -> None:
    short, long = (before + again * (size // len(again)) for size in (100_000, 1_000_000))
    assert _seconds(long) < 40 * _seconds(short) + 0.05
