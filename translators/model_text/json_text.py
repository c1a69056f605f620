"""The JSON value that a model's text holds: bare, in a code fence, between words, or wrapped as a string.

Models that were asked for JSON alone put it into such things. What stands around a value is left out, and
nothing is ever added: JSON that is broken or cut holds no value, nor do the values inside it count.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

_DEEPEST: Final = 128  # brackets in one another; whatever walks a value afterwards may recurse
_BEGINNING: Final = re.compile(r"[{\[]")
# A string counts as one mark, for brackets inside it mean nothing; one without an end reaches to the last.
_MARK: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.DOTALL)
_CLOSING: Final = {"{": "}", "[": "]"}
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


class Found(NamedTuple):
    """A value and its text, as the model spelt it."""

    text: str
    value: Any


class Reading(NamedTuple):
    """What was made of a text: the value that is meant, whether it fits, and else what is wrong."""

    found: Found | None
    fits: bool
    problem: str = ""


def read_json(text: str, fits: Callable[[Any], bool]) -> Reading:
    """Read the one value of a text that fits; or the only one that there is, though it does not."""
    values = list(_values(text, fits))
    fitting = [found for found in values if fits(found.value)]
    # A value that is said twice is one value.
    if len({msgspec.json.encode(found.value) for found in fitting}) == 1:
        return Reading(fitting[0], fits=True)
    if len(values) == 1:
        return Reading(values[0], fits=False)
    return Reading(None, fits=False, problem=_problem(text, len(values)))


def _values(text: str, fits: Callable[[Any], bool]) -> Iterator[Found]:
    bare = text.strip()
    if not bare.startswith(tuple(_CLOSING)):
        scalar = _decoded(bare)
        if scalar is not None:
            inner = scalar.value if isinstance(scalar.value, str) and not fits(scalar.value) else ""
            wrapped = list(_containers(inner))
            yield from wrapped or [scalar]
            return
    yield from _containers(bare)


def _containers(text: str) -> Iterator[Found]:
    """The objects and arrays of a text that stand in no other."""
    begins = _BEGINNING.search(text)
    while begins is not None:
        end = _end(text, begins.start())
        if end is None:
            return
        found = _decoded(text[begins.start() : end])
        if found is not None:
            yield found
        begins = _BEGINNING.search(text, end)


def _end(text: str, start: int) -> int | None:
    """Where the bracket closes that opens here; None where it does not."""
    awaited: list[str] = []
    for mark in _MARK.finditer(text, start):
        bracket = mark.group()
        if bracket in _CLOSING:
            awaited.append(_CLOSING[bracket])
            if len(awaited) > _DEEPEST:
                return None
        elif not bracket.startswith('"'):
            if bracket != awaited.pop():
                return None
            if not awaited:
                return mark.end()
    return None


def _decoded(text: str) -> Found | None:
    try:
        return Found(text, msgspec.json.decode(text))
    except _UNREADABLE:
        return None


def _problem(text: str, values: int) -> str:
    if values:
        return "it holds several JSON values"
    try:
        msgspec.json.decode(text.strip())
    except _UNREADABLE as error:
        return f"it holds no whole JSON value ({error})" if text.strip() else "it is empty"
    return "it is nested too deeply"
