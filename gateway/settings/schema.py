"""The JSON Schema of the configuration: published for editors, and asked what a place may hold."""

from collections.abc import Iterator
from typing import Any

from gateway.settings.document import Loc
from gateway.settings.shape import Settings

Schema = dict[str, Any]

SCALARS = frozenset({"string", "integer", "number", "boolean"})
# A `${VAR}` may stand where a number or one of a few words is expected.
VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}


def json_schema() -> Schema:
    """Describe penstock.yaml to an editor (JSON Schema, draft 2020-12)."""
    schema = Settings.model_json_schema()
    # Backends may come from the environment instead of the file.
    schema.pop("required", None)
    definitions = {name: _with_variables(part) for name, part in schema.pop("$defs", {}).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_with_variables(schema),
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

    def open_names(self) -> frozenset[str]:
        """The names of all fields that hold scalars and are no secrets under any section."""
        sections = [self.root, *self.root["$defs"].values()]
        fields = [field for section in sections for field in section.get("properties", {}).items()]
        secret = {name for name, field in fields if any(map(_is_secret, self._alternatives(field)))}
        scalar = {name for name, field in fields if any(map(_is_scalar, self._alternatives(field)))}
        return frozenset(scalar - secret)

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
        if options is None:
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


def _is_secret(schema: Schema) -> bool:
    return bool(schema.get("writeOnly"))


def _words(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else schema.get("enum", [])


def _with_variables(schema: Schema) -> Schema:
    properties = {name: _or_variable(part) for name, part in schema.get("properties", {}).items()}
    return {**schema, "properties": properties}


def _or_variable(schema: Schema) -> Schema:
    """Allow a variable beside a scalar that has any constraint; free text allows it already."""
    about = {key: value for key, value in schema.items() if key in {"title", "description", "default"}}
    body = {key: value for key, value in schema.items() if key not in about}
    options = body.get("anyOf", [body])
    if not any(map(_is_scalar, options)) or body == {"type": "string"}:
        return schema
    return {**about, "anyOf": [*options, VARIABLE]}
