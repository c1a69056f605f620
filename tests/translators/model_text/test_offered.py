"""The tools that were offered, and the arguments that are meant for them."""

import pytest

from translators.chat import Tool
from translators.model_text.arguments import ToolSchema
from translators.model_text.offered import Offered, as_object

ONE = {"type": "object", "properties": {"a": {"type": "string"}}}
TWO = {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": ["integer", "null"]}}}


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [
        ('{"b": 1}', '{"b": 1}', '{"b": 1}'),
        ('"{\\"a\\": \\"x\\"}"', '{"a": "x"}', '{"a": "x"}'),
        ("\"{'a': True,}\"", '{"a": true}', '{"a": true}'),
        ("null", "{}", "{}"),
        ('"x"', '{"a": "x"}', None),
        ("5", None, None),
        ('["x"]', None, None),
        ('"[1]"', '{"a": "[1]"}', None),
        ("", None, None),
        ("x", None, None),
        ('{"a": ', None, None),
    ],
)
def test_arguments_become_an_object_only_where_it_is_sure_which(
    text: str, one: str | None, two: str | None
) -> None:
    for expected, schema in ((one, ONE), (two, TWO)):
        assert as_object(text, ToolSchema(Tool("f", parameters=schema, place="x"))) == expected


@pytest.mark.parametrize(
    ("parameter", "text", "json"),
    [
        ("a", "5", '"5"'),
        ("n", "5", "5"),
        ("n", "null", "null"),
        ("n", "five", '"five"'),
        ("b", "5", '"5"'),
    ],
)
def test_bare_text_is_of_the_type_that_its_parameter_asks_for(parameter: str, text: str, json: str) -> None:
    assert Offered({"f": Tool("f", parameters=TWO)}).typed("f", parameter, text) == json


def test_the_namespace_of_a_name_is_left_out_unless_it_belongs_to_it() -> None:
    assert Offered({"f": Tool("f")}).called("functions.f") == "f"
    assert Offered({"functions.f": Tool("f")}).called("functions.f") == "functions.f"
    assert Offered({"f": Tool("f")}).called("functions.functions.f") is None
    assert Offered({"f": Tool("f")}).called(["f"]) is None


def test_a_schema_that_cannot_be_used_fits_nothing_but_objects() -> None:
    offered = Offered({"f": Tool("f", parameters={"type": "object", "properties": {"a": {"pattern": "("}}})})
    assert offered.fit("f", '{"a": "x"}')
    assert not offered.fit("f", '"x"')
