"""Tools and tool choices, in all forms."""

from typing import Any

import pytest

from translators.chat import AUTO, Tool, ToolChoice
from translators.clients.openai_chat.tools import (
    check_choice,
    read_choice,
    read_function_call,
    read_functions,
    read_tools,
)
from translators.errors import ApiError

F = {"name": "f", "description": "d", "parameters": {"type": "object"}}


def test_a_function_tool_and_its_flat_form_are_the_same() -> None:
    expected = ("f", "d", {"type": "object"}, "function")
    for form in ({"type": "function", "function": F}, {"type": "function", **F}, {"function": F}):
        (tool,) = read_tools([form])
        assert (tool.name, tool.description, tool.parameters, tool.kind) == expected


def test_a_custom_tool_may_have_a_format() -> None:
    plain, formatted = read_tools(
        [
            {"type": "custom", "custom": {"name": "a"}},
            {"type": "custom", "custom": {"name": "b", "format": {"type": "text"}}},
        ]
    )
    assert plain == Tool("a", kind="custom", place="tools[0]")
    assert formatted.format == {"type": "text"}


def test_there_are_at_most_128_tools() -> None:
    each = {"name": "f"}
    assert len(read_tools([each] * 128)) == len(read_functions([each] * 128)) == 128
    for read, place in ((read_tools, "tools"), (read_functions, "functions")):
        with pytest.raises(ApiError) as caught:
            read([each] * 129)
        assert (caught.value.param, caught.value.code) == (place, "array_above_max_length")


def test_deprecated_functions_know_their_place() -> None:
    assert read_functions([F])[0].place == "functions[0]"


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ({}, "tools"),
        ([1], "tools[0]"),
        ([{"type": "web_search"}], "tools[0].type"),
        ([{"type": "function"}], "tools[0].function"),
        ([{"type": "function", "function": {}}], "tools[0].function.name"),
        (
            [{"type": "function", "function": {"name": "f", "description": 1}}],
            "tools[0].function.description",
        ),
        ([{"type": "function", "function": {"name": "f", "parameters": []}}], "tools[0].function.parameters"),
        ([{"type": "custom"}], "tools[0].custom"),
        ([{"type": "custom", "custom": {"name": "c", "format": 1}}], "tools[0].custom.format"),
    ],
)
def test_a_tool_at_fault_is_named(tools: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_tools(tools)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("none", ToolChoice("none")),
        ("auto", AUTO),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "auto"}, AUTO),
        ({"type": "tool", "name": "f"}, ToolChoice("named", "f")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("named", "f")),
        ({"type": "function", "name": "f"}, ToolChoice("named", "f")),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice("named", "c")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "c"}},
                        {"type": "function", "name": "g"},
                    ],
                },
            },
            ToolChoice("required", allowed=frozenset({"f", "c", "g"})),
        ),
    ],
)
def test_every_form_of_a_choice_is_read(value: Any, choice: ToolChoice) -> None:
    assert read_choice(value) == choice


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("many", "tool_choice"),
        ("tool", "tool_choice"),
        ({"type": "tool"}, "tool_choice.function"),
        ({"type": ["any"]}, "tool_choice.type"),
        (1, "tool_choice"),
        ({}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.function"),
        ({"type": "function", "function": {}}, "tool_choice.function.name"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "none"}}, "tool_choice.allowed_tools.mode"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{}]}},
            "tool_choice.allowed_tools.tools[0].name",
        ),
    ],
)
def test_a_choice_at_fault_is_named(value: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_choice(value)
    assert caught.value.param == param


def test_the_deprecated_choice() -> None:
    assert read_function_call("none") == ToolChoice("none")
    assert read_function_call({"name": "f"}) == ToolChoice("named", "f")
    with pytest.raises(ApiError):
        read_function_call("required")


def test_a_choice_must_be_met_by_the_tools_at_hand() -> None:
    tools = (Tool("f"),)
    check_choice(AUTO, (), "tool_choice")
    check_choice(ToolChoice("none"), (), "tool_choice")
    check_choice(ToolChoice("required"), tools, "tool_choice")
    check_choice(ToolChoice("auto", allowed=frozenset({"f"})), tools, "tool_choice")
    with pytest.raises(ApiError, match="only allowed when 'tools'"):
        check_choice(ToolChoice("required"), (), "tool_choice")
    for choice in (ToolChoice("named", "g"), ToolChoice("auto", allowed=frozenset({"f", "g"}))):
        with pytest.raises(ApiError, match="names the tool 'g'"):
            check_choice(choice, tools, "tool_choice")
