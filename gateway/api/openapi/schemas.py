"""JSON Schemas in few words, and those of the readers that read a client's body."""

from collections.abc import Mapping
from typing import Any, Final

from translators.clients import body
from translators.clients.body import IntegerIn, OneOf
from translators.clients.openai_chat.parameters import Reader, biases, string_map, words

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
FILLED: Final[Schema] = {"type": "string", "minLength": 1}
NUMBER: Final[Schema] = {"type": "number"}
INTEGER: Final[Schema] = {"type": "integer"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
NULL: Final[Schema] = {"type": "null"}

_OF_READERS: Final[Mapping[Reader, Schema]] = {
    body.boolean: BOOLEAN,
    body.integer: INTEGER,
    body.number: NUMBER,
    body.obj: OBJECT,
    body.text: STRING,
    biases: {"type": "object", "additionalProperties": NUMBER},
    string_map: {"type": "object", "additionalProperties": STRING},
    words: {"type": "array", "items": STRING},
}


def of_reader(read: Reader) -> Schema:
    """What a reader of a parameter takes."""
    match read:
        case OneOf():
            return one_of(*read.words)
        case IntegerIn():
            return {"type": "integer", "minimum": read.low, "maximum": read.high}
        case _:
            return _OF_READERS[read]


def one_of(*values: str) -> Schema:
    """One of some strings."""
    return {"type": "string", "enum": list(values)}


def just(value: str) -> Schema:
    """One string alone."""
    return {"type": "string", "const": value}


def array(items: Schema, least: int = 0, most: int | None = None) -> Schema:
    """An array of at least so many items, and at most so many."""
    bounds = {"minItems": least or None, "maxItems": most}
    return {"type": "array", "items": items, **{name: n for name, n in bounds.items() if n is not None}}


def either(*schemas: Schema) -> Schema:
    """What one of some schemas takes."""
    return {"anyOf": list(schemas)}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return either(schema, NULL)


def ref(name: str) -> Schema:
    """A schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(description: str = "", /, *, required: tuple[str, ...] = (), **fields: Schema) -> Schema:
    """An object with these fields, and with others."""
    schema: Schema = {"type": "object", "properties": fields}
    if required:
        schema["required"] = list(required)
    return {"description": description, **schema} if description else schema


def full(description: str = "", /, **fields: Schema) -> Schema:
    """An object that always has these fields."""
    return obj(description, required=tuple(fields), **fields)


def said(schema: Schema, description: str) -> Schema:
    """The same schema with a sentence beside it."""
    return {**schema, "description": description}
