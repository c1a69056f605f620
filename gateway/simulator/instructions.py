"""Finds in the words of a conversation that the answer is to be JSON: the way without JSON mode."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.simulator.conversation import Conversation

_WANTED: Final = re.compile(
    r"\b(?:answer|respond|reply|output|return|write|produce)\b[^.\n]{0,80}\bJSON\b", re.IGNORECASE
)
_SPEAKS_OF_SCHEMA: Final = frozenset(
    {"type", "properties", "enum", "anyOf", "allOf", "oneOf", "$ref", "items"}
)
_LONGEST: Final = 100_000  # characters of an instruction that are looked through
_OBJECTS: Final = 50  # objects in it that are looked at


def schema_in(conversation: Conversation) -> Mapping[str, Any] | None:
    """Read the schema that the newest such instruction states; empty where it wants any object."""
    for turn in reversed(conversation.turns):
        text = turn.text[:_LONGEST]
        if turn.role in {"system", "developer", "user"} and _WANTED.search(text):
            return next((found for found in _objects(text) if _SPEAKS_OF_SCHEMA & found.keys()), {})
    return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Find JSON objects that stand in a text."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(_OBJECTS):
        if at < 0:
            return
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield found
        at = text.find("{", end)
