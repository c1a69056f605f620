"""Schemas that clients send: references replaced, everything else bounded."""

from typing import Any

import pytest

from translators.errors import ApiError
from translators.schemas import MAX_DEPTH, MAX_NODES, Budget, JsonSchema, inline


def _refusal(schema: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        inline(schema, "tools[0].function.parameters")
    return caught.value


def test_a_reference_is_replaced_by_what_it_names_and_the_definitions_go() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    assert inline(schema, "x") == {"properties": {"a": {"type": "string"}}}


def test_the_older_name_of_definitions_works_as_well() -> None:
    schema = {"items": [{"$ref": "#/definitions/A"}], "definitions": {"A": True}}
    assert inline(schema, "x") == {"items": [True]}


def test_keywords_beside_a_reference_hold_and_outrank_it() -> None:
    schema = {"a": {"$ref": "#/b", "description": "mine"}, "b": {"type": "string", "description": "its"}}
    assert inline(schema, "x")["a"] == {"type": "string", "description": "mine"}


def test_a_schema_that_contains_itself_is_cut_at_its_second_turn() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    once = {"type": "object", "properties": {"next": {"type": "object"}}}
    assert inline(schema, "x") == {"type": "object", "properties": {"next": once}}


def test_a_root_that_is_a_reference_leaves_no_definitions_behind() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "title": "A"}}}
    assert inline(schema, "x") == {"type": "object", "title": "A"}


def test_a_root_that_names_no_object_is_no_schema() -> None:
    assert inline({"$ref": "#/$defs/A", "$defs": {"A": True}}, "x") == {}


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"properties": {"$ref": {"type": "string"}, "definitions": {"type": "string"}}}
    assert inline(schema, "x") == schema


@pytest.mark.parametrize("keyword", ["const", "default", "enum", "example", "examples"])
@pytest.mark.parametrize("reference", ["#/$defs/A", "#", "#/none", "https://example.com/s.json"])
def test_what_looks_like_a_reference_in_a_plain_value_is_none(keyword: str, reference: str) -> None:
    schema = {"properties": {"a": {keyword: [{"$ref": reference}]}}, "$defs": {"A": {"type": "string"}}}
    assert inline(schema, "x") == {"properties": schema["properties"]}
    assert JsonSchema(schema, "x").fits({"a": [{"$ref": reference}]}) is (keyword != "enum")


@pytest.mark.parametrize("keyword", ["properties", "patternProperties", "dependentSchemas", "dependencies"])
@pytest.mark.parametrize("name", ["const", "default", "enum", "example", "examples", "properties"])
def test_a_property_called_like_a_keyword_for_values_is_a_schema(keyword: str, name: str) -> None:
    schema = {keyword: {name: {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    assert inline(schema, "x") == {keyword: {name: {"type": "string"}}}


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("#/a~1b", {"type": "string"}),
        ("#/m~0n", {"type": "number"}),
        ("#/list/1", {"type": "boolean"}),
        ("#/Page%5Ba%2Fb%5D", {"type": "null"}),
        ("#/50%25", {"type": "array"}),
        ("#/50%", {"type": "array"}),
    ],
)
def test_a_pointer_is_followed_through_escapes_and_arrays(reference: str, target: dict[str, Any]) -> None:
    schema = {
        "a/b": {"type": "string"},
        "m~n": {"type": "number"},
        "list": [{}, {"type": "boolean"}],
        "Page[a/b]": {"type": "null"},
        "50%": {"type": "array"},
        "properties": {"x": {"$ref": reference}},
    }
    assert inline(schema, "x")["properties"]["x"] == target


@pytest.mark.parametrize(
    "reference", ["https://example.com/s.json", "file:///etc/passwd", "other.json#/a", "#anchor", "#a/b"]
)
def test_a_reference_out_of_the_schema_is_refused(reference: str) -> None:
    error = _refusal({"properties": {"x": {"$ref": reference}}})
    assert (error.status, error.param, error.code) == (400, "tools[0].function.parameters", "invalid_schema")
    assert reference in error.message


@pytest.mark.parametrize(
    "reference", ["#/none", "#/", "#/list/2", "#/list/x", "#/list/01", "#/text/0", "#/list/" + "9" * 5000]
)
def test_a_reference_that_names_nothing_is_refused(reference: str) -> None:
    error = _refusal({"list": [1, 2], "text": "t", "properties": {"x": {"$ref": reference}}})
    assert "names nothing" in error.message
    assert len(error.message) < 300


def test_a_schema_of_the_greatest_depth_is_taken_and_one_deeper_is_not() -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"not": nested(levels - 1)} if levels else {}

    assert inline(nested(MAX_DEPTH), "x") == nested(MAX_DEPTH)
    assert "nested deeper" in _refusal(nested(MAX_DEPTH + 1)).message


def test_references_cannot_multiply_without_bound() -> None:
    doubling = {f"D{k}": {"allOf": [{"$ref": f"#/$defs/D{k + 1}"}] * 2} for k in range(14)}
    schema = {"$ref": "#/$defs/D0", "$defs": {**doubling, "D14": {}}}
    assert f"{MAX_NODES} nodes" in _refusal(schema).message


def test_what_references_leave_out_again_is_counted_all_the_same() -> None:
    """Keys beside a reference are copied to what it names, though a schema that contains itself is cut."""
    big = {"$ref": "#/$defs/loop", **{f"k{n}": 1 for n in range(1000)}}
    properties = {f"p{n}": {"$ref": "#/$defs/big"} for n in range(100)}
    error = _refusal({"properties": properties, "$defs": {"big": big, "loop": {"$ref": "#/$defs/loop"}}})
    assert "Send fewer tools or smaller schemas" in error.message


@pytest.mark.parametrize(
    ("name", "text"), [("page", "x" * 100_000), ("x" * 100_000, "page")], ids=["text", "references"]
)
def test_references_cannot_multiply_text_without_bound(name: str, text: str) -> None:
    properties = {f"p{n}": {"$ref": f"#/$defs/{name}"} for n in range(100)}
    assert "characters" in _refusal({"properties": properties, "$defs": {name: {"title": text}}}).message


def test_schemas_of_one_request_share_what_they_may_come_to() -> None:
    schema = {"properties": {f"p{n}": {"type": "string"} for n in range(4000)}}
    budget = Budget()
    for place in ("tools[0]", "tools[1]", "tools[2]"):
        inline(schema, place, budget)
    JsonSchema(schema, "x", Budget())
    JsonSchema(schema, "response_format", budget)
    with pytest.raises(ApiError) as caught:
        inline(schema, "tools[3]", budget)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, "tools[3]", "invalid_schema")


PLACE = "response_format.json_schema.schema"
NODE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "next": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["name", "next"],
    "additionalProperties": False,
}


def _unusable(schema: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        JsonSchema(schema, PLACE)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, PLACE, "invalid_schema")
    assert len(caught.value.message) < 400
    return caught.value


def _chain(length: int, end: Any) -> Any:
    value = end
    for _ in range(length):
        value = {"name": "a", "next": value}
    return value


def test_an_answer_is_held_against_the_schema_itself_through_every_turn_of_its_recursion() -> None:
    schema = JsonSchema(NODE, PLACE)
    assert schema.fits(_chain(3, None))
    assert not schema.fits(_chain(3, 7))


def test_a_recursion_that_branches_takes_no_exponential_time() -> None:
    schema = JsonSchema(NODE, PLACE)
    value = _chain(90, 7)
    assert not schema.fits(value)
    assert schema.problems(value, 1000) == []
    assert schema.problems(_chain(1, 7), 1000) == [
        "at '/next' it is not valid under any of the schemas listed in the 'anyOf' keyword"
    ]


def test_problems_name_their_places_and_are_few() -> None:
    schema = {"items": {"type": "object", "properties": {"a/b~": {"type": "integer"}}, "required": ["c"]}}
    value = [{"c": 1, "a/b~": "x"}, {}, {}, {}]
    assert JsonSchema(schema, PLACE).problems(value, 40) == [
        "at '/0/a~1b~0' it is not of type \"integer\"",
        "at '/1' \"c\" is a required property",
        "at '/2' \"c\" is a required property",
    ]


@pytest.mark.parametrize(("size", "count"), [(1000, 2), (10**6, 1), (10**9, 0)])
def test_the_longer_an_answer_the_fewer_of_its_problems_are_looked_for(size: int, count: int) -> None:
    schema = JsonSchema({"required": ["a", "b"], "type": "object"}, PLACE)
    assert len(schema.problems({}, size)) == count


def test_what_only_a_deeper_turn_of_recursion_refuses_is_no_problem_that_can_be_named() -> None:
    schema = JsonSchema({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, PLACE)
    deep = {"a": {"a": {"a": {}}}}
    assert not schema.fits(deep)
    assert schema.problems(deep, 10) == schema.problems(deep, 2_000_000) == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strin"}, "at '/type'"),
        ({"required": "a"}, "at '/required' it is not of type \"array\""),
        ({"minimum": "1"}, "at '/minimum'"),
        ({"properties": {"a": None}}, "at '/properties/a'"),
        ({"$schema": "https://example.com/mine"}, "Unknown meta-schema"),
        ({"$id": "::"}, "Invalid URI"),
        ({"$defs": {"unused": {"$ref": "https://example.com/x"}}}, "Retrieval is disabled"),
        ({"$dynamicRef": "file:///etc/passwd"}, "file:///etc/passwd"),
    ],
)
def test_a_schema_that_is_wrong_in_itself_is_refused_and_nothing_is_fetched(
    schema: dict[str, Any], words: str
) -> None:
    assert words in _unusable(schema).message


BEYOND = ["(", "(?=a)b", r"(a)\1", "[ab]*a[ab]{9000}", "(a{1,1000}){1,1000}", r"\p{L}{1,5000}"]


@pytest.mark.parametrize("pattern", BEYOND)
def test_a_pattern_that_cannot_be_run_in_linear_time_is_not_judged_but_all_else_is(pattern: str) -> None:
    text = {"pattern": pattern, "maxLength": 3}
    schema = JsonSchema({"properties": {"a": text, "b": {"pattern": "^b$"}}}, PLACE)
    assert schema.unjudged == {pattern}
    assert schema.fits({"a": "zzz", "b": "b"})
    assert schema.problems({"a": "zzz", "b": "b"}, 20) == []
    assert not schema.fits({"a": "zzzz"})
    assert not schema.fits({"a": "zzz", "b": "c"})
    assert "longer than 3" in schema.problems({"a": "zzzz"}, 20)[0]


@pytest.mark.parametrize("pattern", BEYOND)
def test_names_that_such_a_pattern_may_match_are_not_judged(pattern: str) -> None:
    named = {pattern: {"type": "string"}, "^b": {"type": "integer"}}
    schema = JsonSchema({"patternProperties": named, "additionalProperties": False}, PLACE)
    assert schema.unjudged == {pattern}
    assert schema.fits({"a": "zzz", "b": 1})
    assert schema.fits({"a": 7, "b": 1})
    assert not schema.fits({"b": "1"})
    assert JsonSchema({"patternProperties": named, "additionalProperties": {"type": "null"}}, PLACE).fits(
        {"a": None}
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"pattern": "(?=a)b"}},
        {"oneOf": [{"pattern": "(?=a)b"}, {"type": "string"}]},
        {"if": {"pattern": "(?=a)b"}, "then": False},
        {"if": {"pattern": "(?=a)b"}, "else": False},
        {"not": {"$ref": "#/$defs/A"}, "$defs": {"A": {"pattern": "(?=a)b"}}},
    ],
)
def test_what_is_not_judged_does_not_turn_into_its_contrary(schema: dict[str, Any]) -> None:
    assert JsonSchema(schema, PLACE).fits("zzz")


def test_patterns_share_what_they_may_take() -> None:
    heavy = [f"[ab]*a[ab]{{{count}}}" for count in range(1000, 1040)]
    assert not JsonSchema({"pattern": heavy[0]}, PLACE).unjudged
    assert JsonSchema({"anyOf": [{"pattern": each} for each in heavy]}, PLACE).unjudged == set(heavy)
    assert JsonSchema({"patternProperties": dict.fromkeys(heavy, True)}, PLACE).unjudged == set(heavy)
    light = [{"pattern": rf"^(?<year>\d{{4}})-{count}$"} for count in range(100)]
    assert not JsonSchema({"anyOf": light}, PLACE).unjudged


def test_definitions_that_nothing_names_may_not_be_nested_without_bound() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"not": deep}
    assert "nested" in _unusable({"$defs": {"unused": deep}}).message
    assert "nested" in _unusable({"default": deep}).message


def test_a_pattern_that_would_backtrack_for_ever_is_answered_at_once() -> None:
    assert not JsonSchema({"pattern": "^(a+)+$"}, PLACE).fits("a" * 50_000 + "b")


def test_what_is_called_pattern_but_is_a_value_is_no_pattern() -> None:
    schema = {"properties": {"pattern": {"enum": [{"pattern": "("}]}}, "default": {"pattern": "("}}
    assert not JsonSchema(schema, PLACE).unjudged
    assert JsonSchema(schema, PLACE).fits({"pattern": {"pattern": "("}})


@pytest.mark.parametrize("name", ["const", "default", "enum", "example", "examples", "pattern"])
def test_the_pattern_of_a_property_called_like_a_keyword_is_one(name: str) -> None:
    schema = JsonSchema({"properties": {name: {"pattern": "(?=a)b"}}}, PLACE)
    assert schema.unjudged == {"(?=a)b"}
    assert schema.fits({name: "zzz"})
