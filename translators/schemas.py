"""JSON Schemas that a client sends: bounded, and with every reference replaced by what it names.

Backends and their validators resolve no `$ref` (Workers AI's reads such a schema as 'anything'), and a
schema is the client's text: a reference outside it would be a request for somebody's file or URL. So only
local references are followed, nesting and size are bounded, and a schema that contains itself is cut at
its second turn.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from translators.errors import invalid

MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000

_DEFINITIONS: Final = ("$defs", "definitions")
_MISSING: Final = object()
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,4}")  # an array that a reference steps into has few elements


class _Inliner:
    """Walks one schema; counts what it writes, so that references cannot multiply without bound."""

    def __init__(self, root: Mapping[str, Any], place: str) -> None:
        self._root = root
        self._place = place
        self._nodes = 0

    def walk(self, node: Any, depth: int, open_refs: tuple[str, ...]) -> Any:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise invalid(
                f"'{self._place}' is nested deeper than {MAX_DEPTH} levels or has more than {MAX_NODES} "
                "nodes once its references are resolved. Send a smaller schema.",
                self._place,
                "invalid_schema",
            )
        if isinstance(node, list):
            return [self.walk(each, depth + 1, open_refs) for each in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str):
            return self._follow(node, reference, depth, open_refs)
        return {
            key: self.walk(value, depth + 1, open_refs)
            for key, value in node.items()
            if not (depth == 0 and key in _DEFINITIONS)
        }

    def _follow(self, node: dict[str, Any], reference: str, depth: int, open_refs: tuple[str, ...]) -> Any:
        if reference in open_refs:
            return {"type": "object"}
        target = self._target(reference)
        if isinstance(target, dict):
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
        node: Any = self._root
        for token in reference[2:].split("/") if reference != "#" else ():
            key = token.replace("~1", "/").replace("~0", "~")
            node = _step(node, key)
            if node is _MISSING:
                raise invalid(
                    f"'{self._place}' holds the reference '{reference[:100]}', which names nothing.",
                    self._place,
                    "invalid_schema",
                )
        return node


def _step(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        return node.get(key, _MISSING)
    if isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
        return node[int(key)]
    return _MISSING


def inline(schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The schema without references and definitions.

    Args:
        schema: A JSON Schema object.
        place: Where it stood in the client's body, for errors.

    Raises:
        ApiError: 400 where it is too deep, too large, or refers to what is not in it.
    """
    inlined = _Inliner(schema, place).walk(schema, 0, ())
    return inlined if isinstance(inlined, dict) else {}
