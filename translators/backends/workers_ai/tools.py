"""Tools, written so that the model's schema takes them: as they came where that is OpenAI's.

The legacy schema asks more than OpenAI's: a tool needs a description and parameters; parameters need `type`
'object' and `properties`; every property needs a `type` that is one string, and a description (model page
of `@cf/meta/llama-3.1-8b-instruct-fast`, `tools`). References are replaced by what they name, since the
validator resolves none. Granite's schema also wants the list of those that are required, be it empty
(Cloudflare's generated types).

The schema has no `tool_choice`. It is passed on all the same: the validator lets unknown fields through,
and the named form is enforced by the server where a model knows it. Mistral's models take none
(langchain-cloudflare leaves it out for them) and are told in words (prompted_tools.py).
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from translators.backends.workers_ai.catalogue import Facts
from translators.chat import ChatRequest, Tool
from translators.report import Fate, Report
from translators.schemas import Budget, inline
from translators.tools import as_function, forced_names, in_words, named_form, offered_tools

_ASKED_AGAIN: Final = "an answer without a call is asked for once more"

OF_TOOLS: Final = frozenset({"tools", "tool_choice", "parallel_tool_calls"})

_LISTS: Final = ("allOf", "anyOf", "oneOf")


def translate_tools(chat: ChatRequest, facts: Facts, report: Report, budget: Budget) -> dict[str, Any]:
    """The fields `tools` and `tool_choice`, where they are to be sent.

    Raises:
        ApiError: 400 naming a tool whose schema is out of bounds.
    """
    report.note("tools", Fate.KEPT)
    report.note("tool_choice", Fate.KEPT)
    report.note("parallel_tool_calls", *_parallel_fate(chat))
    if not chat.tools:
        return {}
    choice, tools = chat.tool_choice, offered_tools(chat)
    if choice.mode == "none":
        report.note("tool_choice", Fate.EMULATED, "the tools are withheld from the model")
    if choice.allowed is not None:
        report.note("tool_choice", Fate.TRANSFORMED, "only the allowed tools are offered")
    if choice.mode == "named":
        report.note("tool_choice", Fate.TRANSFORMED, "only the named tool is offered")
    if not tools:
        return {}
    fields: dict[str, Any] = {"tools": [_tool(tool, facts, report, budget) for tool in tools]}
    if forced_names(chat):
        report.note("tool_choice", Fate.EMULATED, _ASKED_AGAIN)
    if forced_names(chat) and facts.takes_tool_choice:
        fields["tool_choice"] = _forced(tools, report)
    return fields


def _parallel_fate(chat: ChatRequest) -> tuple[Fate, str]:
    if chat.parallel_calls or not chat.tools:
        return Fate.KEPT, ""
    return Fate.EMULATED, "calls after the first are left out of the answer"


def _forced(tools: tuple[Tool, ...], report: Report) -> Any:
    """The named form where there is one tool: 'required' alone is only advice to several models."""
    if len(tools) > 1:
        return "required"
    report.note("tool_choice", Fate.TRANSFORMED, "the one tool is asked for by name")
    return named_form(tools[0].name)


def described(tool: Tool, report: Report, budget: Budget) -> dict[str, Any]:
    """A tool as a model is told of it in words: its schema as it came, without references."""
    _note_kind(tool, report)
    if tool.kind == "custom":
        return as_function(tool)
    parameters = inline(tool.parameters or {}, f"{tool.place}.parameters", budget)
    return {"name": tool.name, "description": tool.description or "", "parameters": parameters}


def _note_kind(tool: Tool, report: Report) -> None:
    if tool.kind == "custom":
        report.note("tools", Fate.EMULATED, "custom tools are offered as functions with one string")
    elif tool.strict:
        report.note("tools", Fate.TRANSFORMED, "the model does not enforce 'strict'")


def _tool(tool: Tool, facts: Facts, report: Report, budget: Budget) -> dict[str, Any]:
    _note_kind(tool, report)
    if tool.kind == "custom":
        return {"type": "function", "function": as_function(tool)}
    if facts.speaks_openai:
        return {"type": "function", "function": _as_it_came(tool, budget)}
    function = _function(tool, budget)
    if facts.family == "openai_or_legacy":
        function["parameters"].setdefault("required", [])
    if (tool.description, tool.parameters) != (function["description"], function["parameters"]):
        report.note("tools", Fate.TRANSFORMED, "schemas are completed to what the model's schema asks")
    return {"type": "function", "function": function}


def _as_it_came(tool: Tool, budget: Budget) -> dict[str, Any]:
    """A tool for a model whose schema is OpenAI's: the schema in it may be any.

    One without parameters takes none, which some chat templates want to read.
    """
    inline(tool.parameters or {}, f"{tool.place}.parameters", budget)  # it is in bounds, or refused
    described = {"description": tool.description} if tool.description else {}
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {"name": tool.name, **described, "parameters": parameters}


def _function(tool: Tool, budget: Budget) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description or in_words(tool.name),
        "parameters": _parameters(tool.parameters or {}, f"{tool.place}.parameters", budget),
    }


def _parameters(schema: Mapping[str, Any], place: str, budget: Budget) -> dict[str, Any]:
    """An object schema with described and typed properties."""
    merged = _merge_lists(inline(schema, place, budget))
    properties = merged.get("properties")
    required = merged.get("required")
    parameters: dict[str, Any] = {
        **merged,
        "type": "object",
        "properties": {
            name: _property(value, name)
            for name, value in (properties.items() if isinstance(properties, dict) else ())
        },
    }
    parameters.pop("$schema", None)
    if isinstance(required, list):
        parameters["required"] = [name for name in required if isinstance(name, str)]
    else:
        parameters.pop("required", None)
    return parameters


def _merge_lists(schema: dict[str, Any]) -> dict[str, Any]:
    """One object schema of a root that is spelled as allOf, anyOf or oneOf.

    All properties are offered; required is what every alternative of anyOf and oneOf requires.
    """
    if not any(key in schema for key in _LISTS):
        return schema
    merged = {key: value for key, value in schema.items() if key not in _LISTS}
    parts = [merged]
    required = _names(merged)
    for key in _LISTS:
        members = [_merge_lists(each) for each in _list(schema.get(key)) if isinstance(each, dict)]
        parts += members
        asked = [_names(member) for member in members]
        required += chain.from_iterable(asked) if key == "allOf" else _common(asked)
    properties: dict[str, Any] = {}
    for part in reversed(parts):  # the first to name a property describes it
        properties |= _object(part.get("properties"))
    return {**merged, "properties": properties, "required": list(dict.fromkeys(required))}


def _names(schema: Mapping[str, Any]) -> list[str]:
    return [name for name in _list(schema.get("required")) if isinstance(name, str)]


def _common(lists: list[list[str]]) -> list[str]:
    if not lists:
        return []
    everywhere = set(lists[0]).intersection(*lists[1:])
    return [name for name in lists[0] if name in everywhere]


def _property(value: Any, name: str) -> dict[str, Any]:
    schema = dict(_object(value))
    schema, nullable = _without_null(schema)
    schema["type"] = _type(schema)
    description = schema.get("description")
    text = description if isinstance(description, str) and description else in_words(name)
    schema["description"] = f"{text} (may be null)" if nullable else text
    return schema


def _without_null(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with null taken out of its alternatives, and whether it was there."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        rest = {key: value for key, value in schema.items() if key != "type"}
        if len(others) == 1:
            rest["type"] = others[0]
        elif others:
            rest["anyOf"] = [{"type": kind} for kind in others]
        return rest, "null" in kinds
    for key in ("anyOf", "oneOf"):
        alternatives = _list(schema.get(key))
        others = [each for each in alternatives if _object(each).get("type") != "null"]
        rest = {name: value for name, value in schema.items() if name != key}
        if len(others) == 1 and alternatives:
            return {**_object(others[0]), **rest}, len(others) < len(alternatives)
        if len(others) < len(alternatives):
            return {**rest, key: others}, True
    return schema, False


def _type(schema: Mapping[str, Any]) -> str:
    """The one type of a property: declared, or read off its other keywords."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return declared
    if isinstance(schema.get("properties"), dict):
        return "object"
    if "items" in schema:
        return "array"
    values = [*_list(schema.get("enum")), *([schema["const"]] if "const" in schema else [])]
    if values:
        return _type_of_value(values[0])
    alternatives = [each for key in _LISTS for each in _list(schema.get(key)) if isinstance(each, dict)]
    return _type(alternatives[0]) if alternatives else "string"


def _type_of_value(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "string"


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
