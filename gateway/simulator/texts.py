"""Finds the text for a string argument by its name and format, and fits it to length and pattern."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.simulator import ecmascript
from gateway.simulator.clues import Clues
from gateway.simulator.words import listed, words_of

Schema = Mapping[str, Any]

# Where values of these formats look like this in a sentence, and what stands in when the sentence has none.
_FORMATS = {
    "date": (r"\b\d{4}-\d\d-\d\d\b", "2025-01-31"),
    "date-time": (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", "2025-01-31T12:00:00Z"),
    "time": (r"\b\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", "12:00:00Z"),
    "duration": (r"\bP(?:\d+D)?(?:T\d+[HMS])?\b", "PT1H"),
    "email": (r"[\w.+-]+@[\w-]+\.[\w.-]*\w", "someone@example.com"),
    "hostname": (r"\b(?:[\w-]+\.)+[a-z]{2,}\b", "example.com"),
    "ipv4": (r"\b\d{1,3}(?:\.\d{1,3}){3}\b", "192.0.2.1"),
    "ipv6": (r"\b[0-9a-f:]*::[0-9a-f:]*\b", "2001:db8::1"),
    "uri": (r"\bhttps?://[^\s\"'<>]*[\w/]", "https://example.com/"),
    "uuid": (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "00000000-0000-4000-8000-000000000000"),
}
_BY_NAME = {
    "email": "email",
    "url": "uri",
    "uri": "uri",
    "link": "uri",
    "hostname": "hostname",
    "domain": "hostname",
}
# What the value of an argument follows in a sentence, by the words of the argument's name.
_PLACE = "in|at|near|around|for|of|to|from"
_PERSON = "named|called|by|for|of|with"
# `None` where anything the sentence offers will do; else what stands in when it offers nothing.
_FOLLOWS: tuple[tuple[frozenset[str], str, str | None], ...] = (
    (listed("from origin source departure start sender"), "from|between", None),
    (listed("to destination target arrival recipient into end"), "to|into|in", None),
    (listed("language lang"), "to|into|in", "French"),
    (listed("currency"), "to|into|in", "EUR"),
    (listed("city location place town where address area"), _PLACE, "Paris"),
    (listed("country region state"), _PLACE, "France"),
    (listed("person name user author contact customer artist company"), _PERSON, None),
)
_LONGEST = 20_000  # characters; a schema that wants more does not get them
_FREE_TEXT = listed(
    "query q text message question prompt input content topic subject title search keywords body note"
)
_ASKED = re.compile(
    r"(?:search(?:ing)?|look(?:ing)?|find|google)\b.*?\b(?:for|up)\s+(.+)|\babout\s+(.+)", re.IGNORECASE
)
_CALCULATION = r"-?[\d(][\d\s.()]*(?:[-+*/^%\u00d7÷][\s\d.()]+)+"


def find(name: str, schema: Schema, clues: Clues) -> str | None:
    """Find a text for the argument `name` in the sentence."""
    for look in (_by_format, _by_assignment, _by_calculation, _by_preposition, _by_free_text):
        if (found := look(name, schema, clues)) is not None:
            return found
    for take in (clues.take_quoted, clues.take_name):
        if (found := take()) is not None:
            return found
    return None


def is_assigned(name: str, clues: Clues) -> bool:
    """Whether the sentence names the argument and gives it a value."""
    trial = Clues(clues.text)
    return _by_assignment(name, {}, trial) is not None


def satisfies(schema: Schema, text: str) -> bool:
    """Whether a text has the length and the pattern that the schema asks for."""
    pattern = schema.get("pattern")
    return schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text)) and (
        not isinstance(pattern, str) or ecmascript.matches(pattern, text)
    )


def fit(text: str, schema: Schema, nth: int) -> str:
    """Cut or pad a text to the schema's length; another `nth` gives another text."""
    shortest: int = min(schema.get("minLength", 0), _LONGEST)
    longest: int | None = schema.get("maxLength")
    numbered = f"{nth}-{text}" if nth else text
    padded = numbered + "x" * (shortest - len(numbered))
    return padded[:longest]


def _by_format(name: str, schema: Schema, clues: Clues) -> str | None:
    """Follow the format, or the one that the name implies."""
    stated = schema.get("format")
    implied = next((_BY_NAME[word] for word in words_of(name) if word in _BY_NAME), None)
    if isinstance(stated, str) and stated in _FORMATS:
        pattern, stand_in = _FORMATS[stated]
        return clues.take_matching(pattern) or stand_in
    return clues.take_matching(_FORMATS[implied][0]) if implied else None


def _by_assignment(name: str, _: Schema, clues: Clues) -> str | None:
    """Follow `city = Paris`, `city: Paris` and `the city is called Paris`."""
    spoken = r"[\s_-]?".join(map(re.escape, words_of(name)))
    return clues.take_after(rf"{spoken}(?:\s*[:=]|\s+(?:is|named|called|to))") if spoken else None


def _by_calculation(name: str, _: Schema, clues: Clues) -> str | None:
    if not {"expression", "formula", "calculation", "equation"} & set(words_of(name)):
        return None
    found = clues.take_matching(_CALCULATION)
    return found.strip() if found else None


def _by_preposition(name: str, _: Schema, clues: Clues) -> str | None:
    words = set(words_of(name))
    for names, prepositions, stand_in in _FOLLOWS:
        if names & words:
            return clues.take_after(prepositions) or clues.take_name() or stand_in
    return None


def _by_free_text(name: str, _: Schema, clues: Clues) -> str | None:
    """Give an argument that holds prose what was quoted or asked about, else the whole sentence."""
    if not _FREE_TEXT & set(words_of(name)):
        return None
    quoted = clues.take_quoted()
    asked = _ASKED.search(clues.text)
    said = (asked[1] or asked[2]) if asked else clues.text
    return quoted or said.strip(" .?!") or None
