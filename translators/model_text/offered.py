"""The tools that were offered, and what of a call's arguments is meant for them.

OpenAI promises that arguments are a JSON object. Models also write them as a string that holds one, as the
one value that a tool with one parameter takes, or beside the tool's name; and small ones repeat a tool's
definition in place of a call. What is meant is taken only where it is sure.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from translators.chat import Tool
from translators.model_text.almost_json import decoded, mend
from translators.model_text.arguments import ToolSchema, repaired

NONE: Final = "{}"  # the arguments of a call that states none: clients parse them as JSON

_NAMESPACE: Final = "functions."  # in which gpt-oss and Kimi know their tools
_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
SCHEMA_WORDS: Final = frozenset({
    "$schema", "$defs", "additionalProperties", "allOf", "anyOf", "const", "default", "definitions",
    "description", "enum", "examples", "format", "items", "maximum", "minimum", "nullable", "oneOf",
    "pattern", "properties", "required", "strict", "title", "type",
})  # fmt: skip


class Offered:
    """The tools of a request by their names; a schema is read when its tool is first called."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self.names = frozenset(tools)
        self._tools = tools
        self._schemas: dict[str, ToolSchema] = {}

    def called(self, value: object) -> str | None:
        """The tool that a value names."""
        if not isinstance(value, str):
            return None
        names = (value, value.removeprefix(_NAMESPACE))
        return next((name for name in names if name in self.names), None)

    def schema(self, name: str) -> ToolSchema:
        """What a tool takes."""
        if name not in self._schemas:
            self._schemas[name] = ToolSchema(self._tools[name])
        return self._schemas[name]

    def parameters(self, name: str) -> Mapping[str, Any]:
        """The parameters that a tool declares, with the schema of each."""
        return parameters_of(self.schema(name))

    def fit(self, name: str, arguments: str) -> bool:
        """Whether arguments are what the tool takes, once they are set right."""
        schema = self.schema(name)
        return schema.fits(decoded(repaired(arguments, schema)))

    def typed(self, name: str, parameter: str, text: str) -> str:
        """The JSON of a value that stands as bare text, of the type that its parameter asks for."""
        written = object_of({parameter: _json(text)})
        return _json(decoded(repaired(written, self._schema_of(name, parameter)))[parameter])

    def suits(self, name: str, parameter: str, value: str) -> bool:
        """Whether the JSON of a value is what a parameter takes, as it stands."""
        return self._schema_of(name, parameter).fits(decoded(object_of({parameter: value})))

    def _schema_of(self, name: str, parameter: str) -> ToolSchema:
        """What a tool takes that has one parameter of another alone."""
        declared = self.parameters(name).get(parameter, {})
        return ToolSchema(Tool(name, parameters={"type": "object", "properties": {parameter: declared}}))

    def defines(self, name: str, arguments: str) -> bool:
        """Whether what stands for arguments is a schema: a definition of the tool is no call of it."""
        value = decoded(arguments)
        if not value or not isinstance(value, dict):
            return False
        if value.keys() <= self.parameters(name).keys():
            return all(map(_is_schema, value.values())) and not self.schema(name).fits(value)
        return _is_schema(value)


def parameters_of(schema: ToolSchema) -> Mapping[str, Any]:
    """The parameters that a schema declares."""
    properties = schema.shape.get("properties")
    return properties if isinstance(properties, dict) else {}


def held_object(text: str) -> str | None:
    """The object that arguments are, or that a string holds, as JSON text."""
    value = decoded(text)
    inner = mend(value) if isinstance(value, str) else text
    return inner if inner is not None and isinstance(decoded(inner), dict) else None


def as_object(text: str, schema: ToolSchema) -> str | None:
    """The object that arguments are meant to be, as JSON text; None where that is not sure.

    `null` states no arguments. A value that is no object, nor a string that holds one, is the parameter of a
    tool that has just one, where it is exactly what that takes.
    """
    if text.strip() == "null":
        return NONE
    parameters = list(parameters_of(schema))
    lone = object_of({parameters[0]: text.strip()}) if len(parameters) == 1 else ""
    return held_object(text) or (lone if schema.fits(decoded(lone)) else None)


def object_of(members: Mapping[str, str]) -> str:
    """The JSON of an object whose values are JSON text."""
    return f"{{{', '.join(f'{_json(key)}: {value}' for key, value in members.items())}}}"


def _is_schema(value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() <= SCHEMA_WORDS:
        return False
    return isinstance(value.get("properties"), dict) or value.get("type") in _TYPES


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
