"""Calls as JSON states them."""

import pytest

from translators.chat import Tool
from translators.model_text.offered import Offered
from translators.model_text.stated_calls import NoCallError, SpelledCall, stated_calls

OFFERED = Offered(
    {
        "f": Tool("f", parameters={"type": "object", "properties": {"a": {"type": "integer"}}}),
        "type": Tool("type", parameters={"type": "object", "properties": {"type": {"type": "string"}}}),
        "any": Tool("any"),
    }
)


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('{"name": "f", "arguments": {"a":  1}}', SpelledCall("f", '{"a":  1}')),
        ('{"name": "f", "parameters": {}, "id": "x", "index": 0}', SpelledCall("f", "{}", "x")),
        ('{"id": 7, "name": "f", "arguments": {}}', SpelledCall("f", "{}")),
        ('{"function": {"name": "f", "arguments": {}}, "id": "x"}', SpelledCall("f", "{}", "x")),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', SpelledCall("f", '{"a": 1}')),
        ('{"tool_calls": [{"name": "f", "arguments": {}}]}', SpelledCall("f", "{}")),
        (' [{"name": "functions.f", "arguments": {}}]', SpelledCall("f", "{}")),
        ('{"name": "type", "arguments": {"type": "string"}}', SpelledCall("type", '{"type": "string"}')),
        ('{"name": "any", "arguments": {"type": "x", "b": 1}}', SpelledCall("any", '{"type": "x", "b": 1}')),
    ],
)
def test_a_call_is_read_in_the_forms_of_apis(text: str, call: SpelledCall, *, marked: bool) -> None:
    assert stated_calls(text, OFFERED, marked=marked) == [call]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('{"name": "f"}', SpelledCall("f", "{}")),
        ('{"name": "f", "arguments": null}', SpelledCall("f", "{}")),
        ('{"name": "f", "arguments": 5}', SpelledCall("f", '{"a": 5}')),
        ('{"name": "f", "a": 5, "type": "function"}', SpelledCall("f", '{"a": 5}')),
        ('{"function": "f", "arguments": {"a": 5}}', SpelledCall("f", '{"a": 5}')),
        ('{"name": "type", "type": "x"}', SpelledCall("type", '{"type": "x"}')),
        ('{"name": "f", "arguments": {}, "why": "so"}', SpelledCall("f", "{}")),
        ('{"name": "f", "description": "I call", "arguments": {}}', SpelledCall("f", "{}")),
    ],
)
def test_between_marks_more_is_a_call(text: str, call: SpelledCall) -> None:
    assert stated_calls(text, OFFERED, marked=True) == [call]
    with pytest.raises(NoCallError):
        stated_calls(text, OFFERED, marked=False)


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "[]",
        "[7]",
        '{"tool_calls": []}',
        '{"tool_calls": {}}',
        '{"tool_calls": [{"name": "f", "arguments": {}}], "x": 1}',
        '{"name": "g", "arguments": {}}',
        '{"name": ["f"], "arguments": {}}',
        '{"name": "f", "arguments": [1]}',
        '{"name": "f", "arguments": "5x"}',
        '{"name": "any", "arguments": "5"}',
        '{"name": "any", "description": "", "parameters": {}}',
        '{"name": "any", "parameters": {"type": "object", "properties": {}}}',
        '{"name": "f", "arguments": {"type": "object", "properties": {"a": {"type": "integer"}}}}',
        '{"name": "f", "arguments": {"a": {"type": "integer"}}}',
        '{"function": {"name": "f", "arguments": {}}, "x": 1}',
        '{"function": {"name": "f", "description": "", "parameters": {}}}',
        '{"function": {"function": {"name": "f", "arguments": {}}}}',
        '{"name": "f", "arguments": {}, "a": "\ud800"}',
    ],
)
def test_what_is_not_sure_is_none(text: str, *, marked: bool) -> None:
    with pytest.raises(NoCallError):
        stated_calls(text, OFFERED, marked=marked)


def test_another_type_than_a_function_is_none() -> None:
    text = '{"type": "custom", "name": "f", "arguments": {}}'
    with pytest.raises(NoCallError):
        stated_calls(text, OFFERED, marked=False)
