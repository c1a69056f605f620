"""Reads a tool's JSON Schema down to plain keywords: references followed, options chosen."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

DEEPEST = 32  # beyond this a schema says nothing any more
DEEP = 6  # from here on only what ends quickly is chosen, so that recursive schemas end
_BUDGET = 5_000  # schemas looked at for one call, so that what multiplies ends

# What a keyword's value has to be to mean anything; clients send whatever they like.
_KEYWORD_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("$ref", "pattern", "format"), (str,)),
    **dict.fromkeys(("type",), (str, list)),
    **dict.fromkeys(("enum", "required", "allOf", "anyOf", "oneOf", "prefixItems"), (list,)),
    **dict.fromkeys(("properties",), (dict,)),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), (int,)
    ),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), (int, float)
    ),
}
# The type that a schema without one speaks of.
_SPEAKS_OF = {
    "object": {"properties", "required", "additionalProperties", "minProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
_STRICTER = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


class Reader:
    """Reads the schemas of one tool; `root` is what references point into."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._budget = _BUDGET

    def read(self, schema: Any, depth: int) -> Schema:
        """Resolve references and combinations until nothing but plain keywords is left."""
        plain = _sound(schema)
        for _ in range(DEEPEST):
            self._budget -= 1
            if self._budget < 0 or depth > DEEPEST:
                return {}
            if "$ref" in plain:
                plain = _merge(_sound(self._referred(plain["$ref"])), _without(plain, "$ref"))
            elif "allOf" in plain:
                members, plain = plain["allOf"], _without(plain, "allOf")
                for member in members:
                    plain = _merge(plain, self.read(member, depth + 1))
            elif keyword := next((one for one in ("anyOf", "oneOf") if one in plain), None):
                option = _sound(_choose(plain[keyword], shallow=depth >= DEEP))
                plain = _merge(_without(plain, keyword), option)
            else:
                return plain
        return {}

    def _referred(self, reference: str) -> Any:
        """Follow a local reference; anything else refers to nothing."""
        if not reference.startswith("#"):
            return {}
        place: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            place = place.get(key) if isinstance(place, dict) else None
        return place


def type_of(plain: Schema) -> str:
    """Name the type of a value to invent: the first that is not null, or what the keywords speak of."""
    stated = plain.get("type")
    if isinstance(stated, list):
        stated = next((kind for kind in stated if kind != "null"), "null")
    if isinstance(stated, str):
        return stated
    return next((kind for kind, keywords in _SPEAKS_OF.items() if keywords & plain.keys()), "string")


def is_of_type(value: Any, kind: Any) -> bool:
    """Whether a member of an enumeration has the type, or one of the types, stated beside it."""
    if isinstance(kind, list):
        return any(is_of_type(value, one) for one in kind)
    match value:
        case None:
            return bool(kind == "null")
        case bool():
            return bool(kind == "boolean")
        case int() | float():
            return kind == "number" or bool(kind == "integer" and float(value).is_integer())
        case str():
            return bool(kind == "string")
        case _:
            return bool(kind == ("array" if isinstance(value, list) else "object"))


def _sound(schema: Any) -> dict[str, Any]:
    """Keep the keywords of a schema whose values are of the right kind."""
    stated = schema if isinstance(schema, dict) else {}
    return {key: value for key, value in stated.items() if _means(key, value)}


def _means(keyword: str, value: Any) -> bool:
    kinds = _KEYWORD_TYPES.get(keyword)
    return kinds is None or (isinstance(value, kinds) and not isinstance(value, bool))


def _without(schema: Schema, keyword: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != keyword}


def _choose(options: list[Any], *, shallow: bool) -> Any:
    """Choose an option: one that is not null, or a shallow one that does not recurse."""
    listed = [option for option in options if isinstance(option, dict)] or [{}]
    if shallow:
        return next((option for option in listed if "$ref" not in option), listed[0])
    return next((option for option in listed if option.get("type") != "null"), listed[0])


def _merge(left: Schema, right: Schema) -> dict[str, Any]:
    """Join two schemas that both hold."""
    merged = {**left, **right}
    for key in left.keys() & right.keys():
        first, second = left[key], right[key]
        if key == "properties":
            merged[key] = {**first, **second}
        elif key == "required":
            merged[key] = [*first, *(name for name in second if name not in first)]
        elif key == "enum":
            merged[key] = [member for member in first if member in second]
        elif key in _STRICTER:
            merged[key] = _STRICTER[key](first, second)
    return merged
