"""Invents a tool's arguments: values that satisfy its JSON Schema, from the sentence where it offers any."""

from typing import Any

from gateway.simulator import patterns, quantities, texts
from gateway.simulator.clues import Clues
from gateway.simulator.plain import DEEP, DEEPEST, Reader, Schema, is_of_type, type_of

_MANY = 20  # more items than this nobody lists in one sentence
_MOST = 200  # items, properties: a schema that wants more does not get them


def invent(schema: Schema, clues: Clues) -> dict[str, Any]:
    """Invent the arguments of one call."""
    return _Inventor(schema, clues).object(schema, 0, 0)


def invent_value(schema: Schema, clues: Clues) -> Any:
    """Invent any value that satisfies a schema: an answer in JSON mode."""
    return _Inventor(schema, clues).value("answer", schema, 0)


class _Inventor:
    """Invents the values of one call.

    Values with different `nth` differ where the schema leaves a choice; only the first of them is taken from
    the sentence.
    """

    def __init__(self, root: Schema, clues: Clues) -> None:
        self._reader = Reader(root)
        self._clues = clues

    def value(self, name: str, schema: Any, depth: int, nth: int = 0) -> Any:
        """Invent the value of one argument."""
        plain = self._reader.read(schema, depth)
        if depth > DEEPEST:
            return None
        if "const" in plain:
            return plain["const"]
        if plain.get("enum"):
            return self._member(plain, nth)
        match type_of(plain):
            case "object":
                return self.object(plain, depth, nth)
            case "array":
                return self._array(name, plain, depth)
            case "boolean":
                return (" not " not in f" {self._clues.text.lower()} ") ^ bool(nth % 2)
            case "integer" | "number" as kind:
                return self._number(plain, nth, integer=kind == "integer")
            case "null":
                return None
            case _:
                return self._string(name, plain, nth)

    def object(self, schema: Any, depth: int, nth: int) -> dict[str, Any]:
        """Invent an object: what is required, and what is optional where the sentence speaks of it."""
        plain = self._reader.read(schema, depth)
        properties: Schema = plain.get("properties", {})
        required = [key for key in plain.get("required", ()) if isinstance(key, str)]
        # What is required has the first choice of what the sentence offers.
        wanted = {
            key: self.value(key, properties[key], depth + 1, nth) for key in properties if key in required
        }
        for key in properties:
            if key not in wanted and self._is_mentioned(key, properties[key], depth + 1):
                wanted[key] = self.value(key, properties[key], depth + 1, nth)
        chosen = {key: wanted[key] for key in properties if key in wanted}
        undeclared = [key for key in required if key not in chosen]
        lacking = min(plain.get("minProperties", 0), _MOST) - len(chosen) - len(undeclared)
        spare = [key for key in properties if key not in chosen]
        spare += [f"key_{number}" for number in range(lacking - len(spare))]
        for key in undeclared + spare[: max(0, lacking)]:
            stated = properties.get(key, plain.get("additionalProperties", {}))
            chosen[key] = self.value(key, stated, depth + 1, nth)
        return chosen

    def _is_mentioned(self, name: str, schema: Any, depth: int) -> bool:
        """Whether the sentence says something about an optional property."""
        if depth > DEEP:
            return False
        plain = self._reader.read(schema, depth)
        if "enum" in plain:
            return any(isinstance(member, str) and self._clues.mentions(member) for member in plain["enum"])
        if type_of(plain) == "string":
            return texts.is_assigned(name, self._clues)
        return self._clues.mentions(name)

    def _member(self, plain: Schema, nth: int) -> Any:
        """Choose a member of an enumeration: one that the sentence mentions, else by number."""
        kind = plain.get("type")
        members = [member for member in plain["enum"] if kind is None or is_of_type(member, kind)]
        mentioned = [member for member in members if isinstance(member, str) and self._clues.mentions(member)]
        ordered = mentioned + [member for member in members if member not in mentioned]
        return ordered[nth % len(ordered)] if ordered else plain["enum"][0]

    def _array(self, name: str, plain: Schema, depth: int) -> list[Any]:
        """Invent an array: what the sentence lists, else one item, or as many as the schema wants."""
        fixed = plain.get("prefixItems", [])
        values = [self.value(name, item, depth + 1) for item in fixed[:_MOST]]
        items = plain.get("items", {})
        fewest, most = min(plain.get("minItems", 0), _MOST), plain.get("maxItems", _MANY)
        if items is False or (depth >= DEEP and fewest <= len(values)):
            return values
        unique = plain.get("uniqueItems") is True
        values += self._listed_items(items, most - len(values), depth + 1, unique=unique)
        wanted = max(fewest, min(1, most))
        for nth in range(len(values), 2 * wanted):
            if len(values) >= wanted:
                break
            value = self.value(name, items, depth + 1, nth)
            if not (unique and _holds(values, value)):
                values.append(value)
        return values

    def _listed_items(self, items: Any, most: int, depth: int, *, unique: bool) -> list[Any]:
        """Take all numbers, quotations or names that the sentence lists."""
        plain = self._reader.read(items, depth)
        found: list[Any] = []
        if "enum" in plain or "const" in plain:
            return found
        while len(found) < most:
            value = self._listed_item(plain)
            if value is None:
                break
            if not (unique and _holds(found, value)):
                found.append(value)
        return found

    def _listed_item(self, plain: Schema) -> float | str | None:
        kind = type_of(plain)
        if kind in {"integer", "number"}:
            integer = kind == "integer"
            return self._clues.take_number(lambda number: quantities.is_valid(plain, number, integer=integer))
        if kind != "string" or "format" in plain:
            return None
        text = self._clues.take_quoted() or self._clues.take_name()
        return text if text is not None and texts.satisfies(plain, text) else None

    def _number(self, plain: Schema, nth: int, *, integer: bool) -> float:
        if nth == 0:
            taken = self._clues.take_number(
                lambda number: quantities.is_valid(plain, number, integer=integer)
            )
            if taken is not None:
                return taken
        return quantities.invent(plain, nth, integer=integer)

    def _string(self, name: str, plain: Schema, nth: int) -> str:
        found = texts.find(name, plain, self._clues) if nth == 0 or "format" in plain else None
        if found is not None and texts.satisfies(plain, found):
            return found
        if "pattern" in plain:
            return patterns.example(plain["pattern"], plain.get("minLength", 0), nth)
        return texts.fit(found or self._clues.text or name, plain, nth)


def _holds(values: list[Any], value: Any) -> bool:
    """Whether an array already holds a value; true and 1 are two values."""
    return any(type(other) is type(value) and other == value for other in values)
