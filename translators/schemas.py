"""JSON Schemas that a client sends: bounded, with every reference replaced, and to hold answers against.

Backends and their validators resolve no `$ref` (Workers AI's reads such a schema as 'anything'), and a
schema is the client's text: a reference outside it would be a request for somebody's file or URL. So only
local references are followed, nesting and size are bounded, and a schema that contains itself is cut at
its second turn. A few references can name so much that writing it out takes seconds in which nobody else is
served: what all schemas of one request may come to is bounded too.

The one home of jsonschema_rs. Left alone it fetches what a `$ref` names, backtracks in patterns, and lists
errors in a time that grows exponentially with recursion: hence offline, with the engine that matches in
linear time, and errors only of the schema without references. Whether a value fits is asked of the schema
itself; that question is memoized there and stays cheap.

Patterns with lookaround or backreferences that engine does not have. The one that has them takes a limit of
backtracks, which is none of time: `^(?:(?=(x+))x)*y$` and 100,000 characters kept it busy for 26 seconds
with a limit of 100. So a pattern that cannot be run is not judged: a value fits if it does whether or not
such patterns match.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal
from urllib.parse import unquote

import jsonschema_rs

from translators.errors import ApiError, invalid

MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000  # of one schema

# Of all schemas of a request: of 128 tools each may have 300 nodes, and the worst takes a tenth of a second.
_ALL_NODES: Final = 40_000
_ALL_CHARACTERS: Final = 4_000_000  # the longest context windows have room for about as many

# Bytes that all patterns of a schema may take together once they are compiled: at that size the engine needs
# less than a second for 100,000 characters of the worst text, and far less for any other.
_PATTERN_BYTES: Final = 1 << 18
_ANY: Final = ""  # the pattern that every text matches
_NEVER: Final = r"[^\s\S]"  # the pattern that none does

# Keywords by what they hold, where that is no schema: plain values, or schemas by names of the client's own.
_OF_VALUES: Final = frozenset({"const", "default", "enum", "example", "examples"})
_OF_NAMES: Final = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
_Holds = Literal["schemas", "names", "values"]

_MOST_PROBLEMS: Final = 3
_LONGEST_PROBLEM: Final = 200  # characters
_ALL_PROBLEMS: Final = 500_000  # nodes of the schema times characters of the answer: about half a second
_ONE_PROBLEM: Final = 20_000_000

_DEFINITIONS: Final = ("$defs", "definitions")
_MISSING: Final = object()
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,4}")  # an array that a reference steps into has few elements


class Budget:
    """What the schemas of one request may still come to, once their references are replaced."""

    _nodes = _ALL_NODES
    _characters = _ALL_CHARACTERS

    def spend(self, place: str, nodes: int, characters: int) -> None:
        """Count what one schema takes of it.

        Raises:
            ApiError: 400 naming the schema for which nothing is left.
        """
        self._nodes -= nodes
        self._characters -= characters
        if self._nodes < 0 or self._characters < 0:
            raise invalid(
                f"The schemas of this request have more than {_ALL_NODES} nodes or {_ALL_CHARACTERS} "
                f"characters together once their references are resolved; that is reached in '{place}'. "
                "Send fewer tools or smaller schemas.",
                place,
                "invalid_schema",
            )


class _Inliner:
    """Walks one schema; counts what it writes, so that references cannot multiply without bound."""

    def __init__(self, root: Mapping[str, Any], place: str, budget: Budget | None) -> None:
        self.root = root
        self._place = place
        self._nodes = 0
        self._budget = budget or Budget()
        self.is_cut = False  # whether the schema contains itself

    def walk(self, node: Any, depth: int, open_refs: tuple[str, ...], holds: _Holds = "schemas") -> Any:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise invalid(
                f"'{self._place}' is nested deeper than {MAX_DEPTH} levels or has more than {MAX_NODES} "
                "nodes once its references are resolved. Send a smaller schema.",
                self._place,
                "invalid_schema",
            )
        self._budget.spend(self._place, 1, _characters(node))
        if isinstance(node, list):
            return [self.walk(each, depth + 1, open_refs, holds) for each in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if holds == "schemas" and isinstance(reference, str):
            return self._follow(node, reference, depth, open_refs)
        return {
            key: self.walk(value, depth + 1, open_refs, _held_by(key, holds))
            for key, value in node.items()
            if not (depth == 0 and key in _DEFINITIONS)
        }

    def _follow(self, node: dict[str, Any], reference: str, depth: int, open_refs: tuple[str, ...]) -> Any:
        if reference in open_refs:
            self.is_cut = True
            return {"type": "object"}
        self._budget.spend(self._place, 0, len(reference))
        target = self._target(reference)
        if isinstance(target, dict):
            # What is copied here need not be walked: where the target refers to itself it is left out again.
            self._budget.spend(self._place, len(node) + len(target), 0)
            # Keywords beside a reference hold as well (JSON Schema 2020-12, section 8.2.3.1).
            beside = {key: value for key, value in node.items() if key != "$ref"}
            merged = {**target, **beside}
            target = {key: value for key, value in merged.items() if key not in _DEFINITIONS}
        return self.walk(target, depth + 1, (*open_refs, reference))

    def _target(self, reference: str) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise invalid(
                f"'{self._place}' holds the reference '{reference[:100]}'. Only references into the schema "
                "itself ('#/$defs/...') are allowed.",
                self._place,
                "invalid_schema",
            )
        node: Any = self.root
        # A reference is a URI's fragment: a name with spaces or brackets is in it percent-encoded (RFC 6901).
        for token in reference[2:].split("/") if reference != "#" else ():
            key = unquote(token).replace("~1", "/").replace("~0", "~")
            node = _step(node, key)
            if node is _MISSING:
                raise invalid(
                    f"'{self._place}' holds the reference '{reference[:100]}', which names nothing.",
                    self._place,
                    "invalid_schema",
                )
        return node


def _held_by(key: str, holds: _Holds) -> _Holds:
    """What stands under a key of an object that is a schema, holds schemas by their names, or is a value."""
    if holds != "schemas":
        return "schemas" if holds == "names" else "values"
    return "values" if key in _OF_VALUES else "names" if key in _OF_NAMES else "schemas"


def _characters(node: Any) -> int:
    """How many characters are a node's own: of its text, or of its keys."""
    if isinstance(node, str):
        return len(node)
    return sum(map(len, node)) if isinstance(node, dict) else 0


def _step(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        return node.get(key, _MISSING)
    if isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
        return node[int(key)]
    return _MISSING


def inline(schema: Mapping[str, Any], place: str, budget: Budget | None = None) -> dict[str, Any]:
    """The schema without references and definitions.

    Args:
        schema: A JSON Schema object.
        place: Where it stood in the client's body, for errors.
        budget: What it shares with other schemas of the request; without, it has all for itself.

    Raises:
        ApiError: 400 where it is too deep, too large, or refers to what is not in it.
    """
    return _inlined(_Inliner(schema, place, budget))


def _inlined(inliner: _Inliner) -> dict[str, Any]:
    inlined = inliner.walk(inliner.root, 0, ())
    return inlined if isinstance(inlined, dict) else {}


class JsonSchema:
    """One client's schema, to hold answers against.

    Attributes:
        source: The schema as it came.
        inlined: The same without references.
        is_recursive: Whether it contains itself, of which the inlined one knows the first turn alone.
        unjudged: The patterns of it that cannot be run here.

    Raises:
        ApiError: 400 where it is out of bounds, or wrong in itself.
    """

    def __init__(self, schema: Mapping[str, Any], place: str, budget: Budget | None = None) -> None:
        self.source = schema
        inliner = _Inliner(schema, place, budget)
        self.inlined = _inlined(inliner)
        self.is_recursive = inliner.is_cut
        try:
            self.unjudged = _unjudged(schema)
            self._validators = [_validator(each) for each in _readings(schema, self.unjudged)]
        except (jsonschema_rs.ValidationError, ValueError, RecursionError) as error:
            raise _unusable(place, error) from None

    def fits(self, value: Any) -> bool:
        """Whether a decoded JSON value satisfies the schema."""
        return any(each.is_valid(value) for each in self._validators)

    def problems(self, value: Any, size: int) -> list[str]:
        """The first few reasons why a value does not fit, each with its JSON pointer; none if too costly.

        Args:
            value: The decoded value.
            size: How many characters its text has.
        """
        cost = _count(self.inlined) * size
        if cost > _ONE_PROBLEM:
            return []
        # Errors are listed all at once, each with a copy of what it is about.
        validator = _validator(next(_readings(self.inlined, self.unjudged)))
        if cost <= _ALL_PROBLEMS:
            return [_in_words(each) for each in islice(validator.iter_errors(value), _MOST_PROBLEMS)]
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [_in_words(error)]
        return []


def _validator(schema: Mapping[str, Any], pattern_bytes: int = _PATTERN_BYTES) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        dict(schema),
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=pattern_bytes, dfa_size_limit=_PATTERN_BYTES),
        validate_formats=False,
        mask="it",
    )


def _unusable(place: str, error: Exception) -> ApiError:
    reason = "it is nested too deeply"  # of which the engine and Python have each their own words
    if isinstance(error, jsonschema_rs.ValidationError):
        reason = _in_words(error)
    return invalid(
        f"'{place}' is no JSON Schema that an answer can be held against: {reason}.", place, "invalid_schema"
    )


def _in_words(error: jsonschema_rs.ValidationError) -> str:
    pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error.instance_path)
    where = f"at '{pointer[:_LONGEST_PROBLEM]}' " if pointer else ""
    return f"{where}{error.message[:_LONGEST_PROBLEM].rstrip('.')}"


def _unjudged(schema: Mapping[str, Any]) -> frozenset[str]:
    """The patterns that cannot be run, or take more than their share of what all may take together."""
    patterns = set(_patterns(schema, "schemas"))
    return frozenset(each for each in patterns if not _runs(each, _PATTERN_BYTES // len(patterns)))


def _runs(pattern: str, share: int) -> bool:
    try:
        _validator({"pattern": pattern}, share)
    except jsonschema_rs.ValidationError:
        return False
    return True


def _patterns(node: Any, holds: _Holds) -> Iterator[str]:
    """Every pattern that values are held against, wherever it stands."""
    if isinstance(node, list):
        for each in node:
            yield from _patterns(each, holds)
    if not isinstance(node, dict) or holds == "values":
        return
    for key, value in node.items():
        if holds == "schemas" and key == "pattern" and isinstance(value, str):
            yield value
        if holds == "schemas" and key == "patternProperties" and isinstance(value, dict):
            yield from value
        yield from _patterns(value, _held_by(key, holds))


def _readings(schema: Mapping[str, Any], unjudged: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    """The schema as if the patterns that are not judged matched, and as if they did not.

    Both are needed, for under `not`, `if` or `oneOf` what matches may be what does not fit.
    """
    if not unjudged:
        yield schema
        return
    for match in (_ANY, _NEVER):
        yield _reading(schema, unjudged, match, "schemas")


def _reading(node: Any, unjudged: frozenset[str], match: str, holds: _Holds) -> Any:
    if isinstance(node, list):
        return [_reading(each, unjudged, match, holds) for each in node]
    if not isinstance(node, dict) or holds == "values":
        return node
    read = {key: _reading(value, unjudged, match, _held_by(key, holds)) for key, value in node.items()}
    if holds == "names":
        return read
    if isinstance(read.get("pattern"), str) and read["pattern"] in unjudged:
        read["pattern"] = match
    named = read.get("patternProperties")
    if isinstance(named, dict) and not unjudged.isdisjoint(named):
        judged = {key: value for key, value in named.items() if key not in unjudged}
        # Where the names match, what is said of them is not known to hold for any one property.
        read["patternProperties"] = judged | ({_ANY: True} if match == _ANY else {})
    return read


def _count(node: Any) -> int:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + sum(map(_count, inner))
