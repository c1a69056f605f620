"""Tools as the legacy schema takes them."""

from typing import Any

import pytest

from tests.laws.exchange import translated
from translators.errors import ApiError

GRANITE = "@cf/ibm-granite/granite-4.0-h-micro"
BASE = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]


def _parameters(schema: dict[str, Any]) -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    (body,) = translated(BASE | {"tools": [tool]}).bodies
    sent: dict[str, Any] = body["tools"][0]["function"]["parameters"]
    return sent


def _property(schema: Any) -> dict[str, Any]:
    sent: dict[str, Any] = _parameters({"type": "object", "properties": {"unitSystem": schema}})
    return sent["properties"]["unitSystem"]  # type: ignore[no-any-return]  # JSON


def test_a_complete_tool_is_sent_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "d"}},
        "required": ["a"],
    }
    assert _parameters(schema) == schema


def test_what_the_schema_asks_for_is_filled_in() -> None:
    (body,) = translated(BASE | {"tools": [TOOLS[0]]}).bodies
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "f", "parameters": empty}}
    ]


@pytest.mark.parametrize("required", [None, [], ["a"]])
def test_granite_is_told_what_is_required_be_it_nothing(required: list[str] | None) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string", "description": "d"}}}
    schema |= {} if required is None else {"required": required}
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}]
    (body,) = translated(BASE | {"tools": [*tools, TOOLS[1]]}, GRANITE).bodies
    first, second = (tool["function"]["parameters"] for tool in body["tools"])
    assert first == schema | {"required": required or []}
    assert second == {"type": "object", "properties": {}, "required": []}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"type": "string"}, {"type": "string", "description": "unit system"}),
        ({"type": "string", "description": ""}, {"type": "string", "description": "unit system"}),
        ({"type": ["string", "null"]}, {"type": "string", "description": "unit system (may be null)"}),
        (
            {"type": ["string", "integer"], "description": "d"},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "type": "string", "description": "d"},
        ),
        ({"type": ["null"]}, {"type": "string", "description": "unit system (may be null)"}),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "description": "d"},
            {"type": "integer", "minimum": 1, "description": "d (may be null)"},
        ),
        ({"oneOf": [{"type": "integer"}]}, {"type": "integer", "description": "unit system"}),
        (
            {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}], "description": "d"},
            {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "type": "integer",
                "description": "d (may be null)",
            },
        ),
        (
            {"allOf": [{"properties": {}}], "description": "d"},
            {"allOf": [{"properties": {}}], "type": "object", "description": "d"},
        ),
        ({"items": {}, "description": "d"}, {"items": {}, "type": "array", "description": "d"}),
        (True, {"type": "string", "description": "unit system"}),
    ],
)
def test_a_property_has_one_type_and_a_description(schema: Any, sent: dict[str, Any]) -> None:
    assert _property(schema) == sent


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "boolean"),
        (1, "integer"),
        (1.5, "number"),
        ("a", "string"),
        ([], "array"),
        ({}, "object"),
        (None, "string"),
    ],
)
def test_a_type_that_is_not_said_is_read_off_the_values(value: Any, kind: str) -> None:
    assert _property({"const": value})["type"] == kind
    assert _property({"enum": [value, "x"]})["type"] == kind


@pytest.mark.parametrize(
    ("name", "words"),
    [("search_papers", "search papers"), ("get-user-id", "get user id"), ("π", "π"), ("__", "__")],
)
def test_a_missing_description_is_the_name_in_words(name: str, words: str) -> None:
    sent = _parameters({"properties": {name: {"type": "string"}}})
    assert sent["properties"][name]["description"] == words


def test_a_root_of_alternatives_is_one_object_that_requires_what_all_require() -> None:
    members = [
        {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a", "b"]},
        {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        True,
    ]
    sent = _parameters({"anyOf": members, "properties": {"c": {"type": "string"}}, "required": ["c"]})
    assert {name: value["type"] for name, value in sent["properties"].items()} == {
        "a": "string",
        "b": "string",
        "c": "string",
    }
    assert sent["required"] == ["c", "b"]
    assert "anyOf" not in sent


def test_a_root_of_all_of_requires_everything() -> None:
    members = [{"required": ["a"]}, {"allOf": [{"required": ["b", "a"]}]}]
    assert _parameters({"allOf": members})["required"] == ["a", "b"]
    assert _parameters({"oneOf": []})["required"] == []


def test_what_is_no_schema_is_left_out() -> None:
    sent = _parameters({"$schema": "x", "type": "object", "properties": [], "required": "a", "title": "t"})
    assert sent == {"type": "object", "properties": {}, "title": "t"}
    assert _parameters({"required": ["a", 1]})["required"] == ["a"]


def test_a_schema_out_of_bounds_is_refused_at_its_place() -> None:
    with pytest.raises(ApiError) as caught:
        _parameters({"properties": {"a": {"$ref": "#/none"}}})
    assert caught.value.param == "tools[0].function.parameters"


def test_a_custom_tool_is_offered_as_a_function_of_one_string() -> None:
    custom = {"name": "py", "description": "Runs", "format": {"type": "grammar"}}
    (body,) = translated(BASE | {"tools": [{"type": "custom", "custom": custom}]}).bodies
    function = body["tools"][0]["function"]
    assert function["description"] == "Runs"
    assert function["parameters"]["required"] == ["input"]
    assert "grammar" in function["parameters"]["properties"]["input"]["description"]


NAMED_F = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("choice", "offered", "sent"),
    [
        ("auto", ["f", "g"], None),
        ("none", None, None),
        ("required", ["f", "g"], "required"),
        (NAMED_F, ["f"], NAMED_F),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED_F]}}, ["f"], None),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED_F]}},
            ["f"],
            NAMED_F,
        ),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}, None, None),
    ],
)
def test_every_tool_choice(choice: Any, offered: list[str] | None, sent: Any) -> None:
    exchange = translated(BASE | {"tools": TOOLS, "tool_choice": choice})
    (body,) = exchange.bodies
    assert [tool["function"]["name"] for tool in body["tools"]] == offered if offered else "tools" not in body
    assert body.get("tool_choice") == sent
    as_it_is = choice == "auto"
    assert (exchange.fates()["tool_choice"] == "kept") == as_it_is


def test_the_one_tool_is_required_by_its_name() -> None:
    exchange = translated(BASE | {"tools": TOOLS[:1], "tool_choice": "required"})
    assert exchange.bodies[0]["tool_choice"] == NAMED_F
    assert exchange.fates()["tool_choice"] == "emulated"


def test_strictness_that_nobody_enforces_is_told() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
    for strict, fate in ((True, "transformed"), (False, "kept")):
        tool = {"type": "function", "function": {**function, "strict": strict}}
        assert translated(BASE | {"tools": [tool]}).fates()["tools"] == fate


def test_without_tools_there_is_nothing_to_emulate() -> None:
    fates = translated(BASE | {"tool_choice": "none", "parallel_tool_calls": False}).fates()
    assert (fates["tool_choice"], fates["parallel_tool_calls"]) == ("kept", "kept")
