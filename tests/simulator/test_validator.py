"""The validator's texts, row by row as they were reproduced from the package that runs live."""

from typing import Any

import pytest

from gateway.simulator.validator import refusal

ONE: Any = {"type": "string"}
TWO_KEYS = {"a": 1, "b": 2}
NEEDS_B = {"type": "object", "properties": {"b": ONE}, "required": ["b"]}
TEXT_OR_OBJECTS = {"oneOf": [ONE, {"type": "array", "items": {"type": "object"}}]}
TEXT_OR_FLAG = {"oneOf": [ONE, {"type": "boolean"}]}
ABSENT: Any = object()


def needing(name: str) -> dict[str, Any]:
    return {"properties": {name: ONE}, "required": [name]}


def in_object(schema: Any, value: Any, **more: Any) -> str | None:
    """Check `{"a": value}` against an object that declares `a`."""
    body = {} if value is ABSENT else {"a": value}
    return refusal({"type": "object", "properties": {"a": schema}, **more}, body)


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        (ONE, 5, "Type mismatch of '/a', 'string' not in 'number','integer'"),
        (ONE, 1.0, "Type mismatch of '/a', 'string' not in 'number','integer'"),
        (ONE, 1.5, "Type mismatch of '/a', 'string' not in 'number'"),
        (ONE, None, "Type mismatch of '/a', 'string' not in 'null'"),
        (ONE, True, "Type mismatch of '/a', 'string' not in 'boolean'"),
        (ONE, [], "Type mismatch of '/a', 'string' not in 'array','binary'"),
        (ONE, ["x"], "Type mismatch of '/a', 'string' not in 'array','binary'"),
        (ONE, [None, {}], "Type mismatch of '/a', 'string' not in 'array','binary'"),
        (ONE, [{}], "Type mismatch of '/a', 'string' not in 'array'"),
        (ONE, [True], "Type mismatch of '/a', 'string' not in 'array'"),
        (ONE, [{}, None], "Type mismatch of '/a', 'string' not in 'array'"),
        (ONE, {}, "Type mismatch of '/a', 'string' not in 'object'"),
        ({"type": "integer"}, 1.5, "Type mismatch of '/a', 'integer' not in 'number'"),
        ({"type": "integer"}, True, "Type mismatch of '/a', 'integer' not in 'boolean'"),
        ({"type": "array", "items": ONE}, "x", "Type mismatch of '/a', 'array' not in 'string'"),
        ({"type": "array", "items": ONE}, ["x", True], "Type mismatch of '/a/1', 'string' not in 'boolean'"),
        ({"type": ["string", "null"]}, "x", "Type mismatch of '/a', 'string,null' not in 'string'"),
        (NEEDS_B, ABSENT, "required properties at '/a' are 'b'"),
        (NEEDS_B, None, "required properties at '/a' are 'b'"),
        (NEEDS_B, "x", "required properties at '/a' are 'b'"),
        (NEEDS_B, {}, "required properties at '/a' are 'b'"),
        ({"type": "array", "items": NEEDS_B}, {"k": {}}, "required properties at '/a/k' are 'b'"),
        ({"not": ONE}, "x", "not at '/a' not met"),
        ({"not": ONE}, ABSENT, "not at '/a' not met"),
        ({"const": "x"}, "y", "const y doesn't match x at '/a'"),
        ({"const": {}}, {}, "const [object Object] doesn't match [object Object] at '/a'"),
        ({"const": 1}, True, "const true doesn't match 1 at '/a'"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "enum c not in a,b at '/a'"),
        ({"enum": [1, None, [2, None]]}, 1e21, "enum 1e+21 not in 1,,2, at '/a'"),
        ({"enum": "a"}, "c", "enum should be an array at '/a'"),
        ({"type": "string", "maxLength": 3}, "abcd", "Length of '/a' must be <= 3"),
        ({"type": "string", "maxLength": 1}, "\U0001f600", "Length of '/a' must be <= 1"),
        ({"type": "string", "minLength": 1}, "", "Length of '/a' must be >= 1 not met"),
        ({"type": "number", "minimum": 0}, -1, "'/a' must be >= 0"),
        ({"type": "number", "exclusiveMinimum": 0}, 0, "'/a' must be > 0"),
        ({"type": "number", "maximum": 2}, 3, "'/a' must be <= 2"),
        ({"type": "number", "exclusiveMaximum": 2}, 2, "'/a' must be < 2"),
        ({"type": "integer", "multipleOf": 8}, 12, "'/a' must be multiple of 8"),
        ({"type": "number", "multipleOf": 0.01}, 0.07, "'/a' must be multiple of 0.01"),
        ({"type": "string", "pattern": "^a+$"}, "b", "'/a' failed test ^a+$ patttern"),
        ({"type": "string", "pattern": "^a+$"}, "a\n", "'/a' failed test ^a+$ patttern"),
        ({"type": "string", "pattern": "("}, "b", "'/a' failed test ( patttern"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, {"b": 1},
         "Additional or unevaluated properties '/a/b' at '/a' not allowed"),
        ({"type": "object", "additionalProperties": ONE}, {"b": 1},
         "Type mismatch of '/b', 'string' not in 'number','integer'"),
        ({"type": "array"}, [{}], "No schema for path '/a/0'"),
    ],
)  # fmt: skip
def test_a_property_is_refused_with_the_text_of_the_wire(schema: Any, value: Any, text: str) -> None:
    assert in_object(schema, value) == text


@pytest.mark.parametrize(
    ("schema", "body", "text"),
    [
        ({"type": "object", "properties": {"a": ONE}, "required": ["a", "z"]}, {"a": "x", "z": 1},
         "required properties at '/' are 'a,z'"),
        ({"type": "object", "oneOf": [needing("a"), needing("b")]}, {"a": "x", "b": "y"},
         "oneOf at '/' not met, 2 matches"),
        ({"type": "object", "oneOf": [needing("a"), needing("b")]}, {},
         ("oneOf at '/' not met, 0 matches: "
         "required properties at '/' are 'a', required properties at '/' are 'b'")),
        ({"type": "object", "anyOf": [needing("a"), needing("b")]}, {},
         "anyOf at '/' not met: required properties at '/' are 'a', required properties at '/' are 'b'"),
        ({"type": "object", "minProperties": 2}, {"a": 1}, "minProperties at '/' is 2, got 1"),
        ({"type": "object", "maxProperties": 1}, TWO_KEYS, "maxProperties at '/' is undefined, got 2"),
        ({"type": "object", "minProperties": 0, "maxProperties": 1}, TWO_KEYS,
         "maxProperties at '/' is 0, got 2"),
        ({"type": "object", "minProperties": 1}, None, "Cannot convert undefined or null to object"),
        ({"type": "object", "properties": {"a": ONE}, "additionalProperties": False},
         {"a": "x", "b": 1, "c": 2}, "Additional or unevaluated properties '/b, /c' at '/' not allowed"),
        ({"type": "object", "properties": {"a": ONE}, "unevaluatedProperties": False},
         {"a": "x", "b": 1}, "Additional or unevaluated properties '/b' at '/' not allowed"),
        ({"type": "object", "properties": {"a": TEXT_OR_OBJECTS, "b": {"type": "integer"}},
          "required": ["a"]},
         {"a": "ok", "b": None},
         "Type mismatch of '/b', 'integer' not in 'null': Type mismatch of '/a', 'array' not in 'string'"),
        ({"type": "object", "oneOf": [{"oneOf": [needing("q"), needing("r")]}, needing("b")]}, {},
         ("oneOf at '/' not met, 0 matches: required properties at '/' are 'q', "
         "required properties at '/' are 'r', oneOf at '/' not met, 0 matches, "
         "required properties at '/' are 'b'")),
        ({"oneOf": [{}, ONE]}, {}, ("oneOf at '/' not met, 0 matches: "
          "Type mismatch of '/', 'undefined' not in 'object', "
          "Type mismatch of '/', 'string' not in 'object'")),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, "oneOf at '/' not met, 2 matches"),
        ({"allOf": [ONE, {"minLength": 3}]}, "ab", "Length of '/' must be >= 3 not met"),
    ],
)  # fmt: skip
def test_a_body_is_refused_with_the_text_of_the_wire(schema: Any, body: Any, text: str) -> None:
    assert refusal(schema, body) == text


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"required": ["a"]}, "required properties at '/' are 'a'"),
        ({"additionalProperties": False}, "Additional or unevaluated properties '/a' at '/' not allowed"),
    ],
)
def test_a_failed_nested_list_surfaces_only_where_its_property_must_match(more: Any, text: str) -> None:
    noise = ", ".join(
        f"Type mismatch of '/a', '{kind}' not in 'number','integer'" for kind in ("string", "boolean")
    )
    assert in_object(TEXT_OR_FLAG, 1, **more) == f"{text}: {noise}"
    assert in_object(TEXT_OR_FLAG, 1) is None


def test_all_of_below_the_root_is_absorbed() -> None:
    schema = {"allOf": [ONE, {"minLength": 3}]}
    expected = "required properties at '/' are 'a': Length of '/a' must be >= 3 not met"
    assert in_object(schema, "ab", required=["a"]) == expected
    assert in_object(schema, "ab") is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object"}, "x"),
        ({"type": "array"}, 5),
        ({"type": "array"}, None),
        ({"type": "array", "items": ONE}, [1, "x"]),
        ({"type": "array", "items": ONE}, [None]),
        ({"type": "array", "items": ONE, "maxItems": 1}, ["x", "y"]),
        ({"minimum": 5}, 1),
        (False, "anything"),
        (False, None),
        ({"$ref": "#/nowhere"}, 1),
        ({"const": 1}, 1.0),
        ({"enum": ["x"]}, "x"),
        ({"type": "string", "format": "email"}, "no address"),
        ({"type": "string", "pattern": r"\d(?<last>x)$"}, "a1x"),
    ],
)
def test_what_a_conforming_validator_would_refuse_or_question_passes(schema: Any, value: Any) -> None:
    assert in_object(schema, value) is None


def test_a_property_without_declared_ones_never_counts_as_sent() -> None:
    assert in_object({"type": "object"}, {}, required=["a"]) == "required properties at '/' are 'a'"


def test_one_of_stops_at_an_option_that_returns_nothing_without_raising() -> None:
    schema = {"type": "object", "oneOf": [{"properties": {"a": ONE}}, needing("b")]}
    assert refusal(schema, {"b": "x"}) == "oneOf at '/' not met, 0 matches"


def test_an_array_option_counts_each_element_in_one_of_but_not_in_any_of() -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {"t": ONE}}}
    two = [{"t": "x"}, {"t": "y"}]
    assert in_object({"oneOf": [items]}, two, required=["a"]) == "required properties at '/' are 'a'"
    assert in_object({"anyOf": [items]}, two, required=["a"]) is None


def test_additional_properties_that_match_do_not_help_required() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": ONE, "required": ["b"]}
    assert refusal(schema, {"b": "x"}) == "required properties at '/' are 'b'"


def test_a_key_with_a_slash_loses_what_stands_before_it() -> None:
    schema = {"type": "object", "additionalProperties": NEEDS_B}
    assert refusal(schema, {"x/y": {"b": "z"}}) == "required properties at '/y' are 'b'"


def test_a_discriminated_item_passes_beside_a_good_one_and_fails_alone() -> None:
    part = {
        "oneOf": [
            {
                "type": "object",
                "properties": {"type": {"type": "string", "enum": [kind]}},
                "required": ["type"],
            }
            for kind in ("text", "image_url")
        ]
    }
    content = {"type": "array", "items": part}
    schema = {"type": "object", "properties": {"content": content}, "required": ["content"]}
    assert refusal(schema, {"content": [{"type": "zzz"}, {"type": "text"}]}) is None
    assert refusal(schema, {"content": [{"type": "zzz"}]}) == (
        "required properties at '/' are 'content': enum zzz not in text at '/content/0/type', "
        "enum zzz not in image_url at '/content/0/type'"
    )


def test_not_passes_where_the_inner_schema_raises() -> None:
    assert in_object({"not": ONE, "type": "integer"}, 5) is None


def test_leaves_that_match_inside_all_of_count_for_the_whole_body() -> None:
    members = [{"properties": {"a": ONE}}]
    schema = {"type": "object", "allOf": members, "required": ["a"], "unevaluatedProperties": False}
    assert refusal(schema, {"a": "x"}) is None
    text = "Additional or unevaluated properties '/b' at '/' not allowed"
    assert refusal(schema, {"a": "x", "b": "y"}) == text


def test_of_two_members_of_all_of_the_later_overwrites() -> None:
    schema = {"allOf": [needing("a"), needing("b")], "type": "object"}
    assert refusal(schema, {"b": "x"}) is None


@pytest.mark.parametrize("body", ["\U0001f600", [1, 2], {"x": 1, "y": 2}])
def test_the_size_of_any_body_is_counted(body: Any) -> None:
    schema = {"type": "object", "minProperties": 2, "maxProperties": 2}
    assert refusal(schema, body) is None
    assert refusal({**schema, "minProperties": 3}, body) == "minProperties at '/' is 3, got 2"


def test_nested_bounds_on_size_count_the_keys_of_the_whole_body() -> None:
    schema = {"type": "object", "minProperties": 2}
    assert in_object(schema, {"x": 1, "y": 2}) == "minProperties at '/a' is 2, got 1"
