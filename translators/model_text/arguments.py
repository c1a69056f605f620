"""Sets right the arguments of a tool call that are almost what the tool's schema asks.

Two kinds of slips: text that is almost JSON (almost_json.py), and values of the wrong type that say the right
thing: a number, boolean, array or object written as a string, one value where an array is asked, null for a
parameter that can be left out. Arguments are changed only where they did not fit the schema and then do, and
only at the places that did not fit: what is right stays as it was written. No key is ever added.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from translators.chat import Tool
from translators.errors import ApiError
from translators.model_text.almost_json import decoded, mend
from translators.model_text.json_scan import Event, Scanner
from translators.schemas import JsonSchema, inline

_LONGEST: Final = 65_536  # characters; what is longer is left as it is, for nobody else is served meanwhile
_ROUNDS: Final = 3  # a value that was unpacked may hold a slip itself
_FIRST_OF: Final = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean", "n": "null"}
_NULL: Final = frozenset({"null"})
_COMBINED: Final = ("anyOf", "oneOf")


class ToolSchema:
    """What a tool takes; read only when it is called, for most tools of a request are not."""

    def __init__(self, tool: Tool) -> None:
        self._schema = tool.parameters or {}
        self._place = f"{tool.place}.parameters"
        self.shape = _inlined(self._schema, self._place)

    @cached_property
    def _validator(self) -> JsonSchema | None:
        """None where nothing can be held against the schema."""
        try:
            return JsonSchema(self._schema, self._place)
        except ApiError:
            return None

    def fits(self, value: Any) -> bool:
        """Whether arguments are an object that satisfies the schema, as far as that can be told."""
        if not isinstance(value, dict):
            return False
        return self._validator is None or self._validator.fits(value)


def _inlined(schema: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    try:
        return inline(schema, place)
    except ApiError:
        return {}


def repaired(text: str, schema: ToolSchema) -> str:
    """The arguments as the schema asks for them; else as JSON, where they can be mended; else as they are."""
    if len(text) > _LONGEST:
        return text
    value = decoded(text)
    mended = text if isinstance(value, dict) else mend(text)
    if mended is None:
        return text
    fitting = mended
    for _ in range(_ROUNDS):
        edits = list(_edits(fitting, schema.shape))
        if not edits:
            break
        fitting = _edited(fitting, edits)
    if schema.fits(value):
        return text
    return fitting if schema.fits(decoded(fitting)) else mended


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def _edited(text: str, edits: list[_Edit]) -> str:
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda each: each.start):
        if edit.start >= at:  # what was replaced as a whole is looked at again in the next round
            pieces += [text[at : edit.start], edit.text]
            at = edit.end
    return "".join([*pieces, text[at:]])


@dataclass(frozen=True, slots=True)
class Expected:
    """What the schema says about one value."""

    schema: Mapping[str, Any]
    types: frozenset[str] | None  # None: any
    is_optional: bool = False

    def suits(self, character: str) -> bool:
        """Whether a value that begins so can be of the types that are asked."""
        return self.types is None or not self.types.isdisjoint(_types_of(character))

    def can_be_set_right(self, character: str) -> bool:
        """Whether a value that begins so and does not suit may be a slip."""
        types = self.types or frozenset()
        return "array" in types or character == '"' or (character == "n" and self.is_optional)


def _types_of(character: str) -> frozenset[str]:
    kind = _FIRST_OF.get(character)
    return frozenset({"integer", "number"}) if kind is None else frozenset({kind})


class Walk:
    """Says of each value of JSON text, as it comes, what the schema expects there."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._next = _expected(schema)
        self._open: list[tuple[Expected, bool]] = []

    def take(self, event: Event, text: str, begin: int = 0) -> Expected | None:
        """Follow the next event; what is expected of the value that it begins or ends.

        Args:
            event: What the scanner found.
            text: The text around it.
            begin: Where in the whole that text begins.
        """
        match event.kind:
            case "key":
                key = decoded(text[event.start - begin : event.end - begin])
                self._next = _of_key(self._open[-1][0], key)
                return None
            case "value":
                self._next = _of_item(self._open[-1][0]) if self._in_array() else self._next
                character = text[event.end - begin]
                if character in "{[":
                    self._open.append((self._next, character == "["))
                return self._next
            case _:
                return self._open.pop()[0] if event.depth < len(self._open) else self._next

    def _in_array(self) -> bool:
        return bool(self._open) and self._open[-1][1]


def _edits(text: str, schema: Mapping[str, Any]) -> Iterator[_Edit]:
    """What is to be changed in the values of an object, each by itself."""
    walk = Walk(schema)
    members: list[int] = []
    for event in Scanner().feed(text):
        expected = walk.take(event, text)
        if event.kind == "value":
            members.append(event.start)
        if expected is None or event.kind != "end":
            continue
        member = members.pop()
        if not expected.suits(text[event.start]):
            yield from _set_right(text, member, event, expected)


def _set_right(text: str, member: int, event: Event, expected: Expected) -> Iterator[_Edit]:
    value = text[event.start : event.end]
    types = expected.types or frozenset()
    unpacked = _unpacked(value, types)
    if unpacked is not None:
        yield _Edit(event.start, event.end, unpacked)
    elif value == "null" and expected.is_optional:
        yield _without(text, member, event)
    elif "array" in types and value != "null":
        yield _Edit(event.start, event.start, "[")
        yield _Edit(event.end, event.end, "]")


def _unpacked(value: str, types: frozenset[str]) -> str | None:
    """The JSON that a string holds, where it is of a type that is asked."""
    content = decoded(value) if value.startswith('"') else None
    if not isinstance(content, str):
        return None
    content = content.strip()
    content = content.lower() if content in ("True", "False") else content
    inner = decoded(content)
    if inner is None and content != "null":
        return None
    if isinstance(inner, float) and inner.is_integer():
        return content if types & {"integer", "number"} else None
    kinds = {"number"} if isinstance(inner, float) else _types_of(content[0])
    return content if kinds & types else None


def _without(text: str, member: int, event: Event) -> _Edit:
    """The member left out, with the comma before it, or the one behind it where it is the first."""
    if text[member] == ",":
        return _Edit(member, event.end, "")
    rest = text[event.end :].lstrip()
    end = len(text) - len(rest) + 1 if rest.startswith(",") else event.end
    return _Edit(member, end, "")


def _expected(schema: Any, *, is_optional: bool = False) -> Expected:
    stated = _only(schema) if isinstance(schema, dict) else {}
    return Expected(stated, _types(schema), is_optional)


def _of_key(container: Expected, key: Any) -> Expected:
    properties = container.schema.get("properties")
    if not isinstance(properties, dict) or key not in properties:
        return _expected(container.schema.get("additionalProperties"))
    required = container.schema.get("required")
    return _expected(properties[key], is_optional=not (isinstance(required, list) and key in required))


def _of_item(container: Expected) -> Expected:
    return _expected(container.schema.get("items"))


def _only(schema: dict[str, Any]) -> dict[str, Any]:
    """The one alternative that is not null, where a schema has just that."""
    for key in _COMBINED:
        others = [each for each in _list(schema.get(key)) if _types(each) != _NULL]
        if len(others) == 1 and isinstance(others[0], dict):
            return others[0]
    return schema


def _types(schema: Any) -> frozenset[str] | None:
    """The types that a schema allows, or None where it does not say."""
    if not isinstance(schema, dict):
        return None
    stated = schema.get("type")
    if isinstance(stated, str):
        return frozenset({stated})
    if isinstance(stated, list):
        return frozenset(each for each in stated if isinstance(each, str))
    for key in _COMBINED:
        alternatives = [_types(each) for each in _list(schema.get(key))]
        if alternatives and None not in alternatives:
            return frozenset().union(*(each for each in alternatives if each is not None))
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
