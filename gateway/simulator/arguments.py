"""Invents a tool's arguments: values that satisfy its JSON Schema, from the sentence where it offers any."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.simulator import patterns, texts
from gateway.simulator.clues import Clues

Schema = Mapping[str, Any]

_DEEPEST = 32  # of references and combinations at one place
_DEEP = 6  # from here on nothing optional is invented, so that recursive schemas end
_MANY = 20  # more items than this nobody asks for in one sentence


def invent(schema: Schema, clues: Clues) -> dict[str, Any]:
    """Invent the arguments of one call."""
    return _Inventor(schema, clues).object(schema, 0, 0)


class _Inventor:
    """Invents the values of one call; `root` is what references point into."""

    def __init__(self, root: Schema, clues: Clues) -> None:
        self._root = root
        self._clues = clues

    def value(self, name: str, schema: Any, depth: int, nth: int = 0) -> Any:
        """Invent a value; values with different `nth` differ where the schema leaves a choice."""
        plain = self._plain(schema, depth)
        if "const" in plain:
            return plain["const"]
        if isinstance(plain.get("enum"), list) and plain["enum"]:
            return self._member(plain, nth)
        match _type_of(plain):
            case "object":
                return self.object(plain, depth, nth)
            case "array":
                return self._array(name, plain, depth)
            case "boolean":
                return (self._clues.text.lower().find("not ") < 0) ^ bool(nth % 2)
            case "integer":
                return self._number(plain, nth, integer=True)
            case "number":
                return self._number(plain, nth, integer=False)
            case "null":
                return None
            case _:
                return self._string(name, plain, nth)

    def object(self, schema: Schema, depth: int, nth: int) -> dict[str, Any]:
        """Invent an object: what is required, and what is optional where the sentence speaks of it."""
        plain = self._plain(schema, depth)
        declared = plain.get("properties")
        properties: Schema = declared if isinstance(declared, dict) else {}
        required = [key for key in plain.get("required") or () if isinstance(key, str)]
        wanted = {
            key: self.value(key, properties[key], depth + 1, nth) for key in properties if key in required
        }
        optional = [key for key in properties if key not in wanted] if depth < _DEEP else []
        wanted |= {
            key: self.value(key, properties[key], depth + 1, nth)
            for key in optional
            if self._is_mentioned(key, self._plain(properties[key], depth + 1))
        }
        chosen = {key: wanted[key] for key in properties if key in wanted}
        others = plain.get("additionalProperties", {})
        for key in required:
            if key not in chosen:
                chosen[key] = self.value(key, others, depth + 1, nth)
        self._fill(chosen, plain, depth, nth)
        return chosen

    def _fill(self, chosen: dict[str, Any], plain: Schema, depth: int, nth: int) -> None:
        """Add properties until there are as many as the schema wants."""
        fewest = plain.get("minProperties", 0)
        properties = plain.get("properties") or {}
        spare = [key for key in properties if key not in chosen]
        spare += [f"key_{number}" for number in range(max(0, fewest - len(chosen) - len(spare)))]
        for key in spare[: max(0, fewest - len(chosen))]:
            stated = properties.get(key, plain.get("additionalProperties", {}))
            chosen[key] = self.value(key, stated, depth + 1, nth)

    def _is_mentioned(self, name: str, plain: Schema) -> bool:
        """Whether the sentence says something about an optional property."""
        if isinstance(plain.get("enum"), list):
            return any(isinstance(member, str) and self._clues.mentions(member) for member in plain["enum"])
        if _type_of(plain) == "string":
            return texts.is_found(name, self._clues)
        return self._clues.mentions(name)

    def _member(self, plain: Schema, nth: int) -> Any:
        """Choose a member of an enumeration: one that the sentence mentions, else by number."""
        kind = plain.get("type")
        members = [member for member in plain["enum"] if kind is None or _is_of_type(member, kind)]
        if not members:
            return plain["enum"][0]
        mentioned = [member for member in members if isinstance(member, str) and self._clues.mentions(member)]
        ordered = mentioned + [member for member in members if member not in mentioned]
        return ordered[nth % len(ordered)]

    def _array(self, name: str, plain: Schema, depth: int) -> list[Any]:
        fewest, most = plain.get("minItems", 0), plain.get("maxItems", _MANY)
        fixed = plain.get("prefixItems")
        values = [self.value(name, item, depth + 1) for item in fixed] if isinstance(fixed, list) else []
        items = plain.get("items", {})
        if items is False or depth >= _DEEP:
            most = max(fewest, len(values))
        wanted = max(fewest, min(most, 1 if depth < _DEEP else 0), len(values))
        stated = self._plain(items, depth + 1) if items is not False else {}
        values += self._found_items(stated, int(most) - len(values))
        for nth in range(len(values), int(wanted)):
            values.append(self.value(name, items, depth + 1, nth))
        return _distinct(values) if plain.get("uniqueItems") and len(_distinct(values)) >= fewest else values

    def _found_items(self, stated: Schema, most: int) -> list[Any]:
        """Take all numbers or quotations that the sentence lists."""
        found: list[Any] = []
        if "enum" in stated or "const" in stated:
            return found
        kind = _type_of(stated)
        while len(found) < most:
            if kind in {"integer", "number"}:
                value: Any = self._clues.take_number(
                    lambda number: _is_valid(stated, number, kind == "integer")
                )
            elif kind == "string":
                value = self._clues.take_quoted() or self._clues.take_name()
                value = value if value is not None and texts.satisfies(stated, value) else None
            else:
                value = None
            if value is None:
                break
            found.append(value)
        return found

    def _number(self, plain: Schema, nth: int, *, integer: bool) -> float:
        """Take a number of the sentence, else make one: the default, 1, or what the bounds allow."""
        if nth == 0:
            taken = self._clues.take_number(lambda number: _is_valid(plain, number, integer))
            if taken is not None:
                return taken
        valid = [number for number in _candidates(plain, nth, integer) if _is_valid(plain, number, integer)]
        return valid[nth % len(valid)] if valid else 1

    def _string(self, name: str, plain: Schema, nth: int) -> str:
        found = texts.find(name, plain, self._clues) if nth == 0 else None
        if found is not None and texts.satisfies(plain, found):
            return found
        pattern = plain.get("pattern")
        if isinstance(pattern, str):
            return patterns.example(pattern, plain.get("minLength", 0), nth)
        return texts.fit(found or self._clues.text or name, plain, nth)

    def _plain(self, schema: Any, depth: int) -> Schema:
        """Resolve references and combinations until nothing but plain keywords is left."""
        plain: Schema = schema if isinstance(schema, dict) else {}
        for _ in range(_DEEPEST):
            if "$ref" in plain:
                rest = {key: value for key, value in plain.items() if key != "$ref"}
                plain = _merge(self._referred(plain["$ref"]), rest)
            elif isinstance(plain.get("allOf"), list):
                rest = {key: value for key, value in plain.items() if key != "allOf"}
                for member in plain["allOf"]:
                    rest = _merge(rest, self._plain(member, depth)) if depth < _DEEPEST else rest
                plain = rest
            elif options := next((plain[key] for key in ("anyOf", "oneOf") if plain.get(key)), None):
                rest = {key: value for key, value in plain.items() if key not in {"anyOf", "oneOf"}}
                plain = _merge(rest, self._option(options, depth))
            else:
                return plain
        return {}

    def _option(self, options: Any, depth: int) -> Schema:
        """Choose an option: one that is not null, and deep inside one that does not recurse."""
        listed = (
            [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []
        )
        if depth >= _DEEP:
            return next((option for option in listed if "$ref" not in option), listed[0] if listed else {})
        return next((option for option in listed if option.get("type") != "null"), {})

    def _referred(self, reference: Any) -> Schema:
        """Follow a local reference; anything else refers to nothing."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return {}
        place: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            place = place.get(key) if isinstance(place, dict) else None
        return place if isinstance(place, dict) else {}


def _merge(left: Schema, right: Schema) -> dict[str, Any]:
    """Join two schemas that both hold."""
    merged = {**left, **right}
    for key in left.keys() & right.keys():
        first, second = left[key], right[key]
        if key == "properties" and isinstance(first, dict) and isinstance(second, dict):
            merged[key] = {**first, **second}
        elif key == "required":
            merged[key] = [*first, *(name for name in second if name not in first)]
        elif key in {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}:
            merged[key] = max(first, second)
        elif key in {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}:
            merged[key] = min(first, second)
        elif key == "enum":
            merged[key] = [member for member in first if member in second] or second
    return merged


def _type_of(plain: Schema) -> str:
    """Name the type to invent: the first that is not null, or what the keywords speak of."""
    stated = plain.get("type")
    if isinstance(stated, list):
        stated = next((kind for kind in stated if kind != "null"), "null")
    if isinstance(stated, str):
        return stated
    for kind, keywords in _KEYWORDS.items():
        if keywords & plain.keys():
            return kind
    return "string"


_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties", "minProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def _is_of_type(value: Any, kind: Any) -> bool:
    """Whether an enumeration's member has one of the types stated beside it."""
    if isinstance(kind, list):
        return any(_is_of_type(value, one) for one in kind)
    if kind in {"integer", "number"}:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or float(value).is_integer())
    return isinstance(value, _PYTHON_TYPES.get(kind, (object,)))


def _is_valid(plain: Schema, number: float, integer: bool) -> bool:  # noqa: FBT001 - called from lambdas
    """Whether a number satisfies type, bounds and divisor."""
    if integer and not isinstance(number, int):
        return False
    divisor = plain.get("multipleOf")
    return (
        plain.get("minimum", -math.inf) <= number <= plain.get("maximum", math.inf)
        and plain.get("exclusiveMinimum", -math.inf) < number < plain.get("exclusiveMaximum", math.inf)
        and (not divisor or (number / divisor).is_integer())
    )


def _candidates(plain: Schema, nth: int, integer: bool) -> Iterator[float]:  # noqa: FBT001 - beside _is_valid
    """Offer numbers, likely ones first, at least `nth` + 1 of them where the bounds have room."""
    default = plain.get("default")
    if isinstance(default, int | float) and not isinstance(default, bool):
        yield default
    low = max(plain.get("minimum", -math.inf), plain.get("exclusiveMinimum", -math.inf))
    high = min(plain.get("maximum", math.inf), plain.get("exclusiveMaximum", math.inf))
    step = plain.get("multipleOf") or 1
    if low <= 1 <= high:
        base: float = 1
    else:
        base = low if math.isfinite(low) else high
    first = math.ceil(base / step) * step
    downwards = not math.isfinite(low) and math.isfinite(high)
    for offset in range(-1, nth + 3):
        number = first + (-offset if downwards else offset) * step
        yield int(number) if integer and float(number).is_integer() else number
    if math.isfinite(low) and math.isfinite(high):
        yield from (low + (high - low) * part / (nth + 2) for part in range(1, nth + 2))
    yield from (edge for edge in (low, high) if math.isfinite(edge))


def _distinct(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not any(type(value) is type(other) and value == other for other in kept):
            kept.append(value)
    return kept
