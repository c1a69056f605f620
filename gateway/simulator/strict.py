"""Checks a body of the OpenAI family: every keyword as JSON Schema means it, in the words of `validator`.

The published schemas of this family cannot be run by the rules of `validator`: those refuse every ordinary
request for an optional object that is absent, and once loosened they let numbers through as content. What the
live service does instead is not known. Inferred: that it means what the schema says. Seen in captures: that
such a refusal begins with `anyOf at '/' not met` and lists the texts of all forms.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.simulator import ecmascript
from gateway.simulator.validator import types_of

Schema = Mapping[str, Any]


def refusal(schema: Schema, body: Any) -> str | None:
    """Say why `body` does not satisfy `schema`; None when it does."""
    texts = list(dict.fromkeys(_texts(schema, body, "")))
    if not texts:
        return None
    head = "anyOf at '/' not met: " if "anyOf" in schema else ""
    return head + ", ".join(texts)


def _texts(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Say all that is wrong with a value; each mistake once per option that it breaks."""
    if "anyOf" in schema:
        yield from _of_options(schema["anyOf"], value, path)
        return
    place = path or "/"
    if "const" in schema and not ecmascript.strictly_equal(value, schema["const"]):
        wanted = ecmascript.text_of(schema["const"])
        yield f"const {ecmascript.text_of(value)} doesn't match {wanted} at '{place}'"
        return
    if "enum" in schema and not any(ecmascript.strictly_equal(value, member) for member in schema["enum"]):
        yield f"enum {ecmascript.text_of(value)} not in {ecmascript.text_of(schema['enum'])} at '{place}'"
        return
    kinds, types = _listed(schema.get("type", ())), types_of(value)
    if kinds and not set(kinds) & set(types):
        got = ",".join(f"'{name}'" for name in types)
        yield f"Type mismatch of '{place}', '{','.join(kinds)}' not in {got}"
        return
    yield from _inside(schema, value, path)


def _of_options(options: list[Schema], value: Any, path: str) -> Iterator[str]:
    """Say nothing where one option holds, else what is wrong by those that the value means to be."""
    meant = [option for option in options if _is_meant(option, value)] or options
    refused = [list(_texts(option, value, path)) for option in meant]
    if all(refused):
        for texts in refused:
            yield from texts


def _is_meant(option: Schema, value: Any) -> bool:
    """Whether the value says itself, by its role or type, that it is of this option."""
    stated = option.get("properties", {})
    fixed = {key: rule["const"] for key, rule in stated.items() if "const" in rule}
    return isinstance(value, dict) and all(value.get(key) == wanted for key, wanted in fixed.items())


def _inside(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        required = schema.get("required", [])
        if any(key not in value for key in required):
            yield f"required properties at '{path or '/'}' are '{','.join(required)}'"
        for key, rule in schema.get("properties", {}).items():
            if key in value:
                yield from _texts(rule, value[key], f"{path}/{key}")
    elif isinstance(value, list) and "items" in schema:
        for index, element in enumerate(value):
            yield from _texts(schema["items"], element, f"{path}/{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for keyword, (words, holds) in _BOUNDS.items():
            if keyword in schema and not holds(value, schema[keyword]):
                yield f"'{path}' must be {words} {ecmascript.text_of(schema[keyword])}"


_BOUNDS: Final[dict[str, tuple[str, Callable[[float, float], bool]]]] = {
    "minimum": (">=", lambda value, bound: value >= bound),
    "maximum": ("<=", lambda value, bound: value <= bound),
}


def _listed(kinds: Any) -> tuple[str, ...]:
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)
