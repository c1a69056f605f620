"""Finding the JSON that a model's text holds, and never any that it does not."""

import json
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
        ('{"a": {"b": 1},}', "it holds no whole JSON value"),
        ("{'a': {\"b\": 1}}", "it holds no whole JSON value"),
        ('{"a": [}', "it holds no whole JSON value"),
        ('{"a": "', "it holds no whole JSON value"),
        ('First {"a": 1}, or else {"a": 2}', "it holds several JSON values"),
        ("[" * 129 + "]" * 129, "it is nested too deeply"),
        ("[" * 9000 + "]" * 9000, "it holds no whole JSON value"),
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
