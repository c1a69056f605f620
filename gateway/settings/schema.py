"""The JSON Schema of the configuration: published for editors, and asked what a place may hold."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from gateway.settings.document import Loc
from gateway.settings.shape import Settings

Schema = dict[str, Any]

SCALARS = frozenset({"string", "integer", "number", "boolean"})
# A `${VAR}` may stand where a number or one of a few words is expected.
VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}
# What stands in quotes, or is a word of YAML 1.1, is read as what it says.
IN_WORDS = {
    "integer": {"type": "string", "pattern": r"^[+-]?[0-9]+(_[0-9]+)*$"},
    "number": {"type": "string", "pattern": r"^[+-]?[0-9]+(_[0-9]+)*(\.[0-9]+)?([eE][+-]?[0-9]+)?$"},
    "boolean": {"type": "string", "pattern": "^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|[Nn]o|[Oo]n|[Oo]ff)$"},
}
# What looks like a number or a truth value is text where text is wanted.
ANY_TEXT = ["string", "number", "boolean"]
NOTHING = {"type": "null"}
_ABOUT = frozenset({"title", "description", "default"})


def json_schema() -> Schema:
    """Describe penstock.yaml to an editor (JSON Schema, draft 2020-12)."""
    schema = Settings.model_json_schema()
    # Backends may come from the environment instead of the file.
    schema.pop("required", None)
    schema["properties"]["backends"].pop("minProperties", None)
    definitions = {name: _as_written(part) for name, part in schema.pop("$defs", {}).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_as_written(schema),
        "title": "penstock.yaml",
        "$defs": definitions,
    }


class Shape:
    """Answers what may stand at a place of a document, by its JSON Schema; by default the configuration's."""

    def __init__(self, root: Schema | None = None) -> None:
        self.root = Settings.model_json_schema() if root is None else root

    def names(self, loc: Loc) -> list[str]:
        """The keys that the mapping at `loc` knows."""
        return [name for schema in self._at(loc) for name in schema.get("properties", {})]

    def choices(self, loc: Loc) -> list[str]:
        """The words that the scalar at `loc` may be, where they are few."""
        return [str(word) for schema in self._at(loc) for word in _words(schema)]

    def is_open(self, loc: Loc) -> bool:
        """Whether a scalar at `loc` is known and no secret, so that its line may be shown."""
        found = self._at(loc)
        return any(map(_is_scalar, found)) and not any(map(_is_secret, found))

    def may_name(self, loc: Loc) -> bool:
        """Whether the last part of `loc` may be shown: not where braces made a name of what is a value."""
        if not isinstance(loc[-1], str):
            return True
        if get_close_matches(loc[-1], self.names(loc[:-1]), n=1):
            return True  # a known name, perhaps misspelt
        around = self._at(loc[:-1])
        return any(map(_has_names, around)) and not any(map(_is_secret, around))

    def field_names(self) -> frozenset[str]:
        """The names of all fields of all sections."""
        return frozenset(name for name, _schema in self._fields())

    def open_names(self) -> frozenset[str]:
        """The names of all fields that hold scalars and are no secrets under any section."""
        fields = self._fields()
        secret = {name for name, field in fields if any(map(_is_secret, self._alternatives(field)))}
        scalar = {name for name, field in fields if any(map(_is_scalar, self._alternatives(field)))}
        return frozenset(scalar - secret)

    def _fields(self) -> list[tuple[str, Schema]]:
        sections = [self.root, *self.root["$defs"].values()]
        return [field for section in sections for field in section.get("properties", {}).items()]

    def _at(self, loc: Loc) -> list[Schema]:
        found = self._alternatives(self.root)
        for part in loc:
            children = [child for schema in found for child in _children(schema, part)]
            found = [schema for child in children for schema in self._alternatives(child)]
        return found

    def _alternatives(self, schema: Schema) -> list[Schema]:
        if "$ref" in schema:
            return self._alternatives(self.root["$defs"][schema["$ref"].rsplit("/", 1)[-1]])
        options = schema.get("anyOf") or schema.get("oneOf")
        if options is None or "properties" in schema:  # where they are no forms, but rules among these
            return [schema]
        return [found for option in options for found in self._alternatives(option)]


def _children(schema: Schema, part: str | int) -> Iterator[Schema]:
    if isinstance(part, int):
        if "items" in schema:
            yield schema["items"]
    elif part in schema.get("properties", {}):
        yield schema["properties"][part]
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]


def _is_scalar(schema: Schema) -> bool:
    return schema.get("type") in SCALARS


def _has_names(schema: Schema) -> bool:
    return "properties" in schema or isinstance(schema.get("additionalProperties"), dict)


def _is_secret(schema: Schema) -> bool:
    return bool(schema.get("writeOnly"))


def _words(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else schema.get("enum", [])


def _as_written(schema: Schema) -> Schema:
    """A schema of values as one of the file, where they are text with variables, and may be left empty."""
    written = dict(schema)
    if "anyOf" in schema:
        written["anyOf"] = [form for option in schema["anyOf"] for form in _forms(_as_written(option))]
    if "oneOf" in schema and "properties" not in schema:
        written["oneOf"] = list(map(_as_written, schema["oneOf"]))
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            written[name] = _as_written(schema[name])
    if "properties" in schema:
        required = schema.get("required", ())
        fields = {name: _as_written(field) for name, field in schema["properties"].items()}
        written["properties"] = {
            name: field if name in required else _or(field, NOTHING) for name, field in fields.items()
        }
    return _scalar_as_written(written) if _is_scalar(schema) else written


def _scalar_as_written(schema: Schema) -> Schema:
    if schema["type"] != "string":
        return _or(schema, VARIABLE, IN_WORDS[schema["type"]])
    if _words(schema):
        return _or(schema, VARIABLE)
    if "pattern" not in schema:
        return {**schema, "type": ANY_TEXT}
    may_be_number = re.search(schema["pattern"], "1")
    return _or({**schema, "type": ANY_TEXT} if may_be_number else schema, VARIABLE)


def _or(schema: Schema, *others: Schema) -> Schema:
    """Allow others beside it; what is said about it stays outside."""
    about = {name: value for name, value in schema.items() if name in _ABOUT}
    forms = _forms({name: value for name, value in schema.items() if name not in _ABOUT})
    return {**about, "anyOf": [*forms, *(each for each in others if each not in forms)]}


def _forms(schema: Schema) -> list[Schema]:
    """What it is a choice of; itself where it is none."""
    forms: list[Schema] = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return forms
