"""Schemas that clients send: references replaced, everything else bounded."""

from typing import Any

import pytest

from translators.errors import ApiError
from translators.schemas import MAX_DEPTH, MAX_NODES, inline


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


@pytest.mark.parametrize(
    ("reference", "target"),
    [("#/a~1b", {"type": "string"}), ("#/m~0n", {"type": "number"}), ("#/list/1", {"type": "boolean"})],
)
def test_a_pointer_is_followed_through_escapes_and_arrays(reference: str, target: dict[str, Any]) -> None:
    schema = {
        "a/b": {"type": "string"},
        "m~n": {"type": "number"},
        "list": [{}, {"type": "boolean"}],
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
