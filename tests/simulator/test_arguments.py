"""Invented arguments: valid for any schema a tool has, and taken from the sentence where it offers some."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.arguments import invent
from gateway.simulator.clues import Clues

SENTENCES = st.sampled_from(
    [
        "",
        "What is the weather in Paris and London?",
        "Add -3, 4.5 and 120 to 'the list' by 2026-01-05.",
        "send an email to ann@example.org about “the plan” at 12:30",
        "x" * 300,
    ]
)
NAMES = st.sampled_from(
    ["a", "city", "query", "to", "count", "is_open", "targetLanguage", "email", "expression"]
)
SMALL = st.integers(-50, 50)


def with_some(
    required: dict[str, Any], optional: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({key: st.just(value) for key, value in required.items()}, optional=optional)


STRINGS = st.one_of(
    st.integers(0, 12).flatmap(
        lambda low: with_some({"type": "string", "minLength": low}, {"maxLength": st.integers(low, low + 9)})
    ),
    with_some(
        {"type": "string"}, {"format": st.sampled_from(["date", "date-time", "email", "uuid", "uri", "ipv4"])}
    ),
    st.sampled_from(
        [r"^[A-Z]{3}$", r"^\d{4}-\d{2}$", r"^(yes|no)$", r"^#[0-9a-fA-F]{6}$", r"^\w+@\w+\.com$", "[^a-z]"]
    ).map(lambda pattern: {"type": "string", "pattern": pattern}),
)
# In any nine integers are the three multiples that an array of unique items may ask for.
INTEGERS = SMALL.flatmap(
    lambda low: with_some(
        {"type": "integer", "minimum": low},
        {"maximum": st.integers(low + 8, low + 60), "multipleOf": st.just(3)},
    )
)
NUMBERS = SMALL.flatmap(
    lambda low: with_some(
        {"type": "number", "exclusiveMinimum": low}, {"exclusiveMaximum": st.floats(low + 0.5, low + 9)}
    )
)
UPPER = st.sampled_from([{"type": "integer", "maximum": -7}, {"type": "number", "exclusiveMaximum": 0}])
ENUMS = st.lists(st.one_of(st.text(max_size=5), SMALL, st.booleans(), st.none()), min_size=1, max_size=4).map(
    lambda members: {"enum": members}
)
LEAVES = st.one_of(
    STRINGS,
    INTEGERS,
    NUMBERS,
    UPPER,
    ENUMS,
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {},
            True,
            {"const": {"k": [1]}},
            {"type": ["null", "integer"]},
        ]
    ),
    st.just({"$ref": "#/$defs/leaf"}),
)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    declared = st.dictionaries(NAMES, values, min_size=1, max_size=4)
    return declared.flatmap(
        lambda properties: st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.just(properties),
                "required": st.one_of(
                    st.just(sorted(properties)), st.lists(st.sampled_from(sorted(properties)), unique=True)
                ),
                "additionalProperties": st.just(False),
            }
        )
    )


def nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arrays = st.integers(0, 3).flatmap(
        lambda low: st.fixed_dictionaries(
            {
                "type": st.just("array"),
                "items": values,
                "minItems": st.just(low),
                "maxItems": st.integers(low, 5),
            }
        )
    )
    unique = st.fixed_dictionaries(
        {
            "type": st.just("array"),
            "items": st.one_of(INTEGERS, st.just({"type": "string", "maxLength": 8})),
            "minItems": st.integers(0, 3),
            "uniqueItems": st.just(True),
        }
    )
    any_of = values.map(lambda value: {"anyOf": [{"type": "null"}, value]})
    one_of = st.tuples(INTEGERS, STRINGS).map(lambda options: {"oneOf": list(options)})
    all_of = values.map(lambda value: {"allOf": [value, {"description": "d"}]})
    return st.one_of(objects(values), arrays, unique, all_of, any_of, one_of)


DRAFT = "https://json-schema.org/draft/2020-12/schema"
DEFS = {"leaf": {"type": "string", "minLength": 1}}
TOOLS = objects(st.recursive(LEAVES, nested, max_leaves=8))


@given(schema=TOOLS, sentence=SENTENCES)
def test_arguments_satisfy_the_schema(schema: dict[str, Any], sentence: str) -> None:
    whole = {"$schema": DRAFT, "$defs": DEFS, **schema}
    arguments = invent(whole, Clues(sentence))
    jsonschema_rs.validate(whole, arguments, validate_formats=True)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": r"^[A-Z]{3}-\d{2,4}$"},
        {"pattern": r"^(yes|no)?x*y+z{2,}$"},
        {"pattern": r"^#[0-9a-fA-F]{6}$", "minLength": 7},
        {"pattern": r"^(?:\w+\s)(?<tail>\S\D\W.)$"},
        {"pattern": r"[^a-z0-9]\."},
        {"pattern": "^[a-z]+?$", "minLength": 9},
        {"pattern": r"^[\d_]{2}\t$"},
        {"type": "object", "properties": {"n": {"type": "null"}}, "minProperties": 3},
        {"type": "object", "required": ["k"], "additionalProperties": {"type": "integer"}},
        {"allOf": [
            {"properties": {"m": {"minimum": 3}}, "required": ["m"]},
            {"properties": {"n": {"enum": [1, "a"], "type": "string"}}, "required": ["n", "m"]},
        ]},
        {"allOf": [{"minimum": 3, "maximum": 90}, {"minimum": 7, "maximum": 8}, {"type": "integer"}]},
        {"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]},
        {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/leaf"}], "description": "beside"},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
        {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "minItems": 1}},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "items": {"type": "string", "minLength": 3, "maxLength": 3}, "minItems": 4,
         "uniqueItems": True},
        {"type": ["integer", "string"], "enum": [None, 2.5, [1], {"a": 1}, 7]},
        {"type": "number", "default": 0.25, "maximum": 0.5, "exclusiveMinimum": 0.2},
        {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2},
        {"type": "integer", "minimum": -4, "maximum": 2, "multipleOf": 3},
        {"type": "boolean"},
        {"const": None},
        {"$ref": "#/$defs/missing~1or~0not"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("sentence", ["", "It is not 8 in Paris or Rome, says 'ann'."])
def test_each_kind_of_schema_is_satisfied(schema: dict[str, Any], sentence: str) -> None:
    defs = {**DEFS, "missing/or~not": {"type": "integer"}}
    whole = {
        "$schema": DRAFT,
        "$defs": defs,
        "type": "object",
        "properties": {"a": schema},
        "required": ["a"],
    }
    jsonschema_rs.validate(whole, invent(whole, Clues(sentence)))


@given(schema=TOOLS, sentence=SENTENCES)
def test_arguments_are_the_same_every_time(schema: dict[str, Any], sentence: str) -> None:
    whole = {"$defs": DEFS, **schema}
    assert invent(whole, Clues(sentence)) == invent(whole, Clues(sentence))


KEYWORDS = (
    "type", "properties", "items", "enum", "required", "allOf", "anyOf", "$ref", "const", "pattern",
    "minimum", "maxLength", "minItems", "multipleOf", "format", "a", "default", "prefixItems",
)  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), SMALL, st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(schema=st.dictionaries(st.sampled_from(["properties", "required", "allOf", "$ref", "a"]), JSON))
def test_a_schema_that_is_none_does_no_harm(schema: dict[str, Any]) -> None:
    assert isinstance(invent(schema, Clues("What is 2 plus 3 in Rome?")), dict)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"properties": {"a": {"type": "array", "minItems": 10**9, "items": {"minLength": 10**6}}}},
        {"required": ["a"], "properties": {"a": {"type": "string", "pattern": "x{999999999}"}}},
    ],
)
def test_a_schema_without_an_end_ends(schema: dict[str, Any]) -> None:
    assert isinstance(invent(schema, Clues("a b")), dict)


def test_an_optional_recursion_stays_short() -> None:
    node = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
            "required": ["value"]}  # fmt: skip
    schema = {"$defs": {"node": node}, "properties": {"head": {"$ref": "#/$defs/node"}}, "required": ["head"]}
    assert invent(schema, Clues("start with 7")) == {"head": {"value": 7}}


def required(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}
NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("sentence", "schema", "expected"),
    [
        ("What is the weather in Paris?", required(city=TEXT), {"city": "Paris"}),
        ("what's the weather in new york tomorrow?", required(location=TEXT), {"location": "new york"}),
        ("Weather in San Francisco, CA please", required(location=TEXT), {"location": "San Francisco, CA"}),
        ("add 2 and -3.5", required(a=NUMBER, b=NUMBER), {"a": 2, "b": -3.5}),
        ("sum 1, 2 and 3", required(numbers={"type": "array", "items": NUMBER}), {"numbers": [1, 2, 3]}),
        ("Translate 'good night' to German", required(target_language=TEXT, text=TEXT),
         {"target_language": "German", "text": "good night"}),
        ("Fly from Oslo to New York on 2026-01-05 with two people",
         required(origin=TEXT, destination=TEXT, date={**TEXT, "format": "date"}, seats={"type": "integer"}),
         {"origin": "Oslo", "destination": "New York", "date": "2026-01-05", "seats": 2}),
        ("search the web for cheap hotels in Rome", required(query=TEXT), {"query": "cheap hotels in Rome"}),
        ("calculate (2 + 3) * 4", required(expression=TEXT), {"expression": "(2 + 3) * 4"}),
        ("in fahrenheit", required(unit={"enum": ["celsius", "fahrenheit"]}), {"unit": "fahrenheit"}),
        ("mail ann@example.org", required(email=TEXT), {"email": "ann@example.org"}),
        ("set the color to Red", required(color=TEXT), {"color": "Red"}),
        ("do it at level 900", required(level={"type": "integer", "maximum": 10}), {"level": 1}),
    ],
)  # fmt: skip
def test_arguments_come_from_the_sentence(sentence: str, schema: dict[str, Any], expected: Any) -> None:
    assert invent(schema, Clues(sentence)) == expected


def test_an_optional_argument_is_passed_only_when_the_sentence_speaks_of_it() -> None:
    schema = {"type": "object", "properties": {"city": TEXT, "unit": {"enum": ["celsius", "kelvin"]}},
              "required": ["city"]}  # fmt: skip
    assert invent(schema, Clues("Weather in Paris")) == {"city": "Paris"}
    assert invent(schema, Clues("Weather in Paris in kelvin")) == {"city": "Paris", "unit": "kelvin"}
