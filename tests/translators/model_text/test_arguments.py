"""Arguments of tool calls that are almost what the tool's schema asks."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.chat import Tool
from translators.model_text.arguments import _LONGEST, ToolSchema, repaired

PROPERTIES = {
    "n": {"type": "integer"},
    "x": {"type": "number"},
    "b": {"type": "boolean"},
    "s": {"type": "string"},
    "l": {"type": "array", "items": {"type": "integer"}},
    "names": {"type": ["array", "null"], "items": {"type": "string"}},
    "o": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    "m": {"anyOf": [{"type": "object", "properties": {"n": {"type": "integer"}}}, {"type": "null"}]},
    "e": {"enum": [1, 2]},
    "u": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    "any": True,
}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["s"], "additionalProperties": False}


def schema(parameters: Any = SCHEMA) -> ToolSchema:
    return ToolSchema(Tool("f", parameters=parameters, place="tools[0].function"))


@pytest.mark.parametrize(
    ("slipped", "right"),
    [
        ('{"s": "a", "n": "5"}', '{"s": "a", "n": 5}'),
        ('{"s": "a", "n": " 5 "}', '{"s": "a", "n": 5}'),
        ('{"s": "a", "n": "5.0"}', '{"s": "a", "n": 5.0}'),
        ('{"s": "a", "x": "-1.5e3"}', '{"s": "a", "x": -1.5e3}'),
        ('{"s": "a", "x": "5"}', '{"s": "a", "x": 5}'),
        ('{"s": "a", "b": "true"}', '{"s": "a", "b": true}'),
        ('{"s": "a", "b": "False"}', '{"s": "a", "b": false}'),
        ('{"s": "a", "l": "[1, 2]"}', '{"s": "a", "l": [1, 2]}'),
        ('{"s": "a", "l": 1}', '{"s": "a", "l": [1]}'),
        ('{"s": "a", "l": "1"}', '{"s": "a", "l": [1]}'),
        ('{"s": "a", "l": [1, "2"]}', '{"s": "a", "l": [1, 2]}'),
        ('{"s": "a", "l": "[1, \\"2\\"]"}', '{"s": "a", "l": [1, 2]}'),
        ('{"s": "a", "names": "bob"}', '{"s": "a", "names": ["bob"]}'),
        ('{"s": "a", "names": "null"}', '{"s": "a", "names": null}'),
        ('{"s": "a", "o": "{\\"n\\": 1}"}', '{"s": "a", "o": {"n": 1}}'),
        ('{"s": "a", "o": {"n": "1"}}', '{"s": "a", "o": {"n": 1}}'),
        ('{"s": "a", "m": {"n": "1"}}', '{"s": "a", "m": {"n": 1}}'),
        ('{"s": "a", "u": "1"}', '{"s": "a", "u": 1}'),
        ('{"s": "a", "n": null}', '{"s": "a"}'),
        ('{"n": null, "s": "a"}', '{ "s": "a"}'),
        ('{"n": null, "x": null, "b": null, "s": "a"}', '{  "s": "a"}'),
        ('{"s": "a", "m": {"n": null}}', '{"s": "a", "m": {}}'),
        ("{'s': 'a', 'n': '5',}", '{"s": "a", "n": 5}'),
        ('"{\\"s\\": \\"a\\"}"', '{"s": "a"}'),
        ('```json\n{"s": "a"}\n```', '{"s": "a"}'),
        ('{"s": "a", "l": [1', '{"s": "a", "l": [1]}'),
    ],
)
def test_a_slip_is_set_right(slipped: str, right: str) -> None:
    assert repaired(slipped, schema()) == right


@pytest.mark.parametrize(
    "text",
    [
        '{"s": "a", "n": 5}',
        '{"s": 5}',  # a number where a string is asked is no slip of these kinds
        '{"s": null}',  # what is required cannot be left out
        '{"s": "a", "n": "five"}',
        '{"s": "a", "n": "5.5"}',
        '{"s": "a", "b": "yes"}',
        '{"s": "a", "l": null, "z": 1}',
        '{"s": "a", "o": "{}"}',
        '{"s": "a", "n": "5", "z": 1}',  # still wrong when the number is right
        '{"s": "a", "l": [1, null]}',
        '{"s": "a", "n": "null"}',
        '{"s": "a", "o": ["5"]}',
        '{"s": "a", "e": "1"}',
        '{"s": "a", "b": "',
        "[1]",
        "5",
        "",
        "no",
    ],
)
def test_what_does_not_fit_in_the_end_stays_as_it_was(text: str) -> None:
    assert repaired(text, schema()) == text


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object", "properties": 5, "required": 5}])
def test_a_schema_that_says_nothing_asks_for_an_object(parameters: Any) -> None:
    assert repaired('{"a": "5"}', schema(parameters)) == '{"a": "5"}'
    assert repaired("{'a': '5'}", schema(parameters)) == '{"a": "5"}'


@pytest.mark.parametrize(
    "parameters",
    [{"properties": {"a": {"$ref": "http://x"}}}, {"properties": {"a": {"pattern": "(?<=a)b"}}}],
)
def test_a_schema_that_cannot_be_used_forbids_nothing(parameters: Any) -> None:
    assert repaired("{'a': 5}", schema(parameters)) == '{"a": 5}'


def test_what_takes_too_many_turns_is_left_alone() -> None:
    nested: Any = {"type": "integer"}
    for depth in range(5):
        parameters = {"type": "object", "properties": {"a": nested}}
        assert (repaired('{"a": 1}', schema(parameters)) != '{"a": 1}') == (0 < depth < 4)
        nested = {"type": "array", "items": nested}


def test_further_properties_have_a_type_as_well() -> None:
    parameters = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert repaired('{"a": "5"}', schema(parameters)) == '{"a": 5}'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    value=st.dictionaries(st.sampled_from([*PROPERTIES, "z"]), _JSON), indent=st.sampled_from([None, 0, 2])
)
def test_valid_arguments_are_never_changed_and_a_change_always_fits(
    value: dict[str, Any], indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    out = repaired(text, schema())
    if schema().fits(value):
        assert out == text
    elif out != text:
        assert schema().fits(json.loads(out))
        assert json.loads(out).keys() <= value.keys()


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        ('{"s": "a", "l": [', '"1", ', '"1"]}'),
        ('{"s": "a", ', '"n": null, ', '"n": "1"}'),
        ('{"s": "', "\\u0041", '", "n": "5"}'),
        ("{'s': '", '"', "', n: 1, "),
    ],
)
def test_a_repair_takes_bounded_time_and_what_is_longer_is_left_alone(
    start: str, piece: str, end: str
) -> None:
    begun = time.process_time()
    longest = start + piece * ((_LONGEST - len(start + end)) // len(piece)) + end
    assert repaired(longest, schema()) != longest
    megabyte = start + piece * (1_000_000 // len(piece)) + end
    assert repaired(megabyte, schema()) == megabyte
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "mended"),
    [('{"n": "x"', '{"n": "x"}'), ("{'n': 'x',}", '{"n": "x"}'), ('"{\\"s\\": 1}"', '{"s": 1}')],
)
def test_what_cannot_be_made_to_fit_is_json_all_the_same(text: str, mended: str) -> None:
    assert repaired(text, schema()) == mended
