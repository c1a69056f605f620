"""Checks a body against a schema the way Workers AI does, and words the refusal as it does.

This is not JSON Schema. Workers AI validates with its own package (Cabidela), whose deviations decide which
requests a live model accepts: an array of numbers and strings is never looked into, a nested `oneOf` that
fails merely leaves its property unevaluated, two matching content parts count as two matches, and a refusal
carries the texts of branches that failed for harmless reasons. The rules below are those of version 0.2.4
with full errors on, the setting that agrees with captured refusals; defaults and references are left out,
because no captured text shows them.

A schema at a place either counts its matches or raises one text; the body passes where the root raises none.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from gateway.simulator import ecmascript

Schema = Mapping[str, Any]


class _Missing(Enum):
    """Two kinds of nothing that JSON cannot say."""

    VALUE = auto()  # no such key in the body; null is something else
    TYPE = auto()  # an option of a list without a type of its own, whose parent has none either


_ABSENT: Final = _Missing.VALUE
_UNDEFINED: Final = _Missing.TYPE


class RefusedBody(ValueError):  # noqa: N818 - it names what happened to the body, as the wire's text does
    """One refusal; its text is what Workers AI says after `Error: `."""


def refusal(schema: Schema, body: Any) -> str | None:
    """Say why `body` does not satisfy `schema`; None when it does."""
    try:
        _Validation(body).evaluate(schema, _Place((), body), _Flags())
    except RefusedBody as refused:
        return str(refused)
    return None


class _Place(NamedTuple):
    """A path from the root and the value that lies there."""

    path: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        return _path_text(self.path)

    def child(self, key: str) -> "_Place":
        """Step to a key; a parent that is neither object nor array has no children."""
        child = _ABSENT
        if isinstance(self.value, dict):
            child = self.value.get(key, _ABSENT)
        elif isinstance(self.value, list) and key.isdecimal() and int(key) < len(self.value):
            child = self.value[int(key)]
        return _Place((*self.path, key), child)

    def children(self) -> Iterator["_Place"]:
        """Walk the elements of an array or the keys of an object; anything else has none."""
        if isinstance(self.value, list):
            for index, element in enumerate(self.value):
                yield _Place((*self.path, str(index)), element)
        elif isinstance(self.value, dict):
            for key in ecmascript.keys(self.value):
                yield _Place((*self.path, key), self.value[key])


class _Flags(NamedTuple):
    """What an evaluation inherits."""

    quiet: bool = False  # inside an option of oneOf or anyOf: a raise carries no absorbed texts
    carry: bool = False  # inside allOf: leaves that match count as evaluated for the whole body


@dataclass(slots=True)
class _Validation:
    """One check of one body."""

    root: Any
    absorbed: dict[str, None] = field(default_factory=dict)  # an insertion-ordered set
    evaluated: set[tuple[str, ...]] = field(default_factory=set)

    def evaluate(self, schema: Any, place: _Place, flags: _Flags) -> int:
        if schema is None:
            raise self._refused(f"No schema for path '{place}'", flags)
        rules: Schema = schema if isinstance(schema, dict) else {}
        if "not" in rules:
            self._check_not(rules["not"], place, flags)
        if "oneOf" in rules:
            return self._one_of(rules, place, flags)
        if "anyOf" in rules:
            return self._any_of(rules, place, flags)
        if "allOf" in rules and not self._all_of(rules, place, flags):
            return 0
        kind = rules.get("type")
        if kind == "array" and not _is_leaf_array(place.value):
            return sum(self.evaluate(rules.get("items"), child, flags) for child in place.children())
        if kind == "object" or isinstance(rules.get("properties"), dict):
            return self._object(rules, place, flags)
        return 0 if place.value is _ABSENT else self._scalar(rules, place, flags)

    def _refused(self, text: str, flags: _Flags) -> RefusedBody:
        """Word a refusal; outside a list it carries every text absorbed so far, related or not."""
        if self.absorbed and not flags.quiet:
            text += ": " + ", ".join(self.absorbed)
        return RefusedBody(text)

    def _absorb(self, refused: RefusedBody) -> None:
        self.absorbed[str(refused)] = None

    def _check_not(self, schema: Any, place: _Place, flags: _Flags) -> None:
        try:
            self.evaluate(schema, place, flags)
        except RefusedBody:
            return
        raise self._refused(f"not at '{place}' not met", flags)

    def _one_of(self, rules: Schema, place: _Place, flags: _Flags) -> int:
        total = 0
        for matches in self._option_matches(rules, "oneOf", place):
            total += matches
            if total != 1:
                break  # also when an option returned nothing: later options are never tried
        if total == 1:
            return 1
        if not place.path:
            raise self._refused(f"oneOf at '{place}' not met, {total} matches", flags)
        return 0

    def _any_of(self, rules: Schema, place: _Place, flags: _Flags) -> int:
        if any(self._option_matches(rules, "anyOf", place)):
            return 1
        if not place.path:
            raise self._refused(f"anyOf at '{place}' not met", flags)
        return 0

    def _option_matches(self, rules: Schema, keyword: str, place: _Place) -> Iterator[int]:
        """Evaluate the options in order; one that raises is absorbed and yields nothing."""
        for option in rules[keyword]:
            try:
                matches = self.evaluate(_with_type_of(rules, option), place, _Flags(quiet=True))
            except RefusedBody as refused:
                self._absorb(refused)
            else:
                yield matches

    def _all_of(self, rules: Schema, place: _Place, flags: _Flags) -> bool:
        """Evaluate the members merged into one schema, where later members overwrite earlier ones."""
        merged: dict[str, Any] = {}
        for member in rules["allOf"]:
            merged |= member if isinstance(member, dict) else {}
        try:
            self.evaluate(_with_type_of(rules, merged), place, flags._replace(carry=True))
        except RefusedBody as refused:
            if not place.path:
                raise
            self._absorb(refused)
            return False
        return True

    def _object(self, rules: Schema, place: _Place, flags: _Flags) -> int:
        self._check_size(rules, place, flags)
        matched: set[tuple[str, ...]] = set()
        declared: Schema = rules.get("properties") or {}
        for key in ecmascript.keys(declared):
            child = place.child(key)
            if self.evaluate(declared[key], child, flags):  # the first raise ends the object
                matched.add(child.path)
        others = 0
        if "additionalProperties" in rules:
            others += self._other_properties(rules["additionalProperties"], place, matched, flags)
        if "unevaluatedProperties" in rules:
            known = matched | self.evaluated
            others += self._other_properties(rules["unevaluatedProperties"], place, known, flags)
        required = rules.get("required") or ()
        if any((*place.path, key) not in matched | self.evaluated for key in required):
            raise self._refused(f"required properties at '{place}' are '{','.join(required)}'", flags)
        return 1 if matched or others else 0

    def _check_size(self, rules: Schema, place: _Place, flags: _Flags) -> None:
        """Compare bounds on the number of keys, which are those of the whole body at any depth."""
        if "minProperties" not in rules and "maxProperties" not in rules:
            return
        count = _count_keys(self.root)
        if count < rules.get("minProperties", -math.inf):
            wanted = ecmascript.text_of(rules["minProperties"])
            raise self._refused(f"minProperties at '{place}' is {wanted}, got {count}", flags)
        if count > rules.get("maxProperties", math.inf):
            # The text prints the other bound, or that there is none.
            wanted = ecmascript.text_of(rules["minProperties"]) if "minProperties" in rules else "undefined"
            raise self._refused(f"maxProperties at '{place}' is {wanted}, got {count}", flags)

    def _other_properties(
        self, schema: Any, place: _Place, known: set[tuple[str, ...]], flags: _Flags
    ) -> int:
        """Check the keys that no declared property matched; each is a validation of its own."""
        if not isinstance(place.value, dict):
            return 0
        others = [child for child in place.children() if child.path not in known]
        if schema is False:
            if others:
                names = ", ".join(map(str, others))
                text = f"Additional or unevaluated properties '{names}' at '{place}' not allowed"
                raise self._refused(text, flags)
            return 0
        matches = 0
        for child in others:
            # Its texts therefore show the key alone, and a key with a slash loses what stands before it.
            alone = _Place((), place.value).child(child.path[-1].rpartition("/")[2])
            matches += bool(_Validation(place.value).evaluate(schema, alone, _Flags()))
        return matches

    def _scalar(self, rules: Schema, place: _Place, flags: _Flags) -> int:
        """Check a present value; the first check that fails raises."""
        if self._is_listed(rules, place, flags):
            return 1
        kind = rules.get("type")
        if "type" in rules:
            types = types_of(place.value)
            if not isinstance(kind, str) or kind not in types:
                got = ",".join(f"'{name}'" for name in types)
                raise self._refused(f"Type mismatch of '{place}', '{_type_text(kind)}' not in {got}", flags)
        if kind == "string":
            self._check_length(rules, place, flags)
        elif kind in {"number", "integer"}:
            self._check_bounds(rules, place, flags)
        pattern = rules.get("pattern")
        if pattern is not None and not ecmascript.matches(pattern, ecmascript.text_of(place.value)):
            raise self._refused(f"'{place}' failed test {pattern} patttern", flags)  # the wire's spelling
        if flags.carry:
            self.evaluated.add(place.path)
        return 1

    def _is_listed(self, rules: Schema, place: _Place, flags: _Flags) -> bool:
        """Check `const` and `enum`; whether the value is settled, because there is no type to check."""
        untyped = rules.get("type", _UNDEFINED) is _UNDEFINED
        if "const" in rules:
            if not ecmascript.strictly_equal(place.value, rules["const"]):
                got, wanted = ecmascript.text_of(place.value), ecmascript.text_of(rules["const"])
                raise self._refused(f"const {got} doesn't match {wanted} at '{place}'", flags)
            if untyped:
                return True
        if "enum" in rules:
            members = rules["enum"]
            if not isinstance(members, list):
                raise self._refused(f"enum should be an array at '{place}'", flags)
            if not any(ecmascript.strictly_equal(place.value, member) for member in members):
                got, wanted = ecmascript.text_of(place.value), ecmascript.text_of(members)
                raise self._refused(f"enum {got} not in {wanted} at '{place}'", flags)
            return untyped
        return False

    def _check_length(self, rules: Schema, place: _Place, flags: _Flags) -> None:
        length = ecmascript.length(place.value)
        if length > rules.get("maxLength", math.inf):
            wanted = ecmascript.text_of(rules["maxLength"])
            raise self._refused(f"Length of '{place}' must be <= {wanted}", flags)
        if length < rules.get("minLength", 0):
            wanted = ecmascript.text_of(rules["minLength"])
            raise self._refused(f"Length of '{place}' must be >= {wanted} not met", flags)

    def _check_bounds(self, rules: Schema, place: _Place, flags: _Flags) -> None:
        for keyword, (words, holds) in _BOUNDS.items():
            if keyword in rules and not holds(place.value, rules[keyword]):
                wanted = ecmascript.text_of(rules[keyword])
                raise self._refused(f"'{place}' must be {words} {wanted}", flags)


_LEAVES: Final = frozenset((str, int, float))
# In the order in which they are checked.
_BOUNDS: Final[dict[str, tuple[str, Callable[[float, float], bool]]]] = {
    "minimum": (">=", lambda value, bound: value >= bound),
    "exclusiveMinimum": (">", lambda value, bound: value > bound),
    "maximum": ("<=", lambda value, bound: value <= bound),
    "exclusiveMaximum": ("<", lambda value, bound: value < bound),
    "multipleOf": ("multiple of", lambda value, divisor: ecmascript.remainder(value, divisor) == 0),
}


def _path_text(path: tuple[str, ...]) -> str:
    return "/" + "/".join(path)


def types_of(value: Any) -> tuple[str, ...]:
    """Name the types of a present value, in the order in which messages list them."""
    match value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case str():
            return ("string",)
        case int() | float():
            return ("number", "integer") if ecmascript.is_integer(value) else ("number",)
        case list():
            return ("array", "binary") if _is_binary(value) else ("array",)
        case _:
            return ("object",)


def _is_binary(array: list[Any]) -> bool:
    """Whether an array passes for bytes: nothing but numbers and strings, or the first exception is null."""
    if set(map(type, array)) <= _LEAVES:
        return True
    return next(element for element in array if type(element) not in _LEAVES) is None


def _is_leaf_array(value: Any) -> bool:
    """Whether a schema of type array treats the value as a leaf instead of walking its elements."""
    return isinstance(value, str) or (isinstance(value, list) and _is_binary(value))


def _type_text(kind: Any) -> str:
    return "undefined" if kind is _UNDEFINED else ecmascript.text_of(kind)


def _with_type_of(parent: Schema, option: Any) -> Schema:
    """Hand the parent's type to an option that has none, be it undefined."""
    return {"type": parent.get("type", _UNDEFINED), **(option if isinstance(option, dict) else {})}


def _count_keys(root: Any) -> int:
    if root is None:
        raise RefusedBody("Cannot convert undefined or null to object")
    if isinstance(root, str):
        return ecmascript.length(root)
    return len(root) if isinstance(root, dict | list) else 0
