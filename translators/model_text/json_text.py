"""The JSON value that a model's text holds: bare, in a code fence, between words, or wrapped as a string.

Models that were asked for JSON alone put it into such things, or write it almost as JSON (almost_json.py).
What stands around a value is left out, and nothing is ever added: what is cut holds no value, what is broken
neither, nor do the values inside it count (remains.py). A bracket that is none of JSON's is one of the words.

Text is read in time that grows with its length: what is beyond the bounds below is no answer that anybody
waits for, and holds nothing.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from translators.model_text.almost_json import attempt
from translators.model_text.remains import in_remains

_DEEPEST: Final = 128  # brackets in one another; whatever walks a value afterwards may recurse
_MOST_BRACKETS: Final = 1_000  # that may begin a value
_LONGEST_MENDED: Final = 65_536  # characters; nobody else is served meanwhile
_BEGINNING: Final = re.compile(r"[{\[]")
# A string counts as one mark, for brackets inside it mean nothing; one without an end reaches to the last.
_MARK: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.DOTALL)
_CLOSING: Final = {"{": "}", "[": "]"}
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


class Found(NamedTuple):
    """A value and its text, as the model spelt it or as that was mended."""

    text: str
    value: Any
    is_mended: bool = False


class Reading(NamedTuple):
    """What was made of a text: the value that is meant, whether it fits, and else what is wrong."""

    found: Found | None
    fits: bool
    problem: str = ""


class _UndecidedError(ValueError):
    """There is more to look at than an answer has."""

    def __init__(self) -> None:
        super().__init__("it is too long for one JSON value to be found in it")


class _PartError(ValueError):
    """What was found may be a part of what was meant."""

    def __init__(self) -> None:
        super().__init__("it holds no whole JSON value, but what may be a part of a broken one")


def read_json(text: str, fits: Callable[[Any], bool]) -> Reading:
    """Read the one value of a text that fits; or the only one that there is, though it does not."""
    try:
        values = list(_values(text, fits))
    except (_UndecidedError, _PartError) as error:
        return Reading(None, fits=False, problem=str(error))
    fitting = [found for found in values if fits(found.value)]
    fitting = [found for found in fitting if not found.is_mended] or fitting
    # A value that is said twice is one value.
    if len({msgspec.json.encode(found.value, order="sorted") for found in fitting}) == 1:
        return Reading(fitting[0], fits=True)
    if len(values) == 1:
        return Reading(values[0], fits=False)
    return Reading(None, fits=False, problem=_problem(text, len(values)))


def _values(text: str, fits: Callable[[Any], bool]) -> Iterator[Found]:
    bare = text.strip()
    whole = _decoded(bare)
    if whole is None:
        yield from _among_words(bare)
    elif isinstance(whole.value, str) and not fits(whole.value):
        yield from _among_words(whole.value) or [whole]
    else:
        yield whole


def _among_words(text: str) -> list[Found]:
    """The objects and arrays of a text, where what stands around them are words."""
    found: list[Found] = []
    around: list[str] = []
    at = 0
    for value, start, end in _containers(text):
        found.append(value)
        around.append(text[at:start])
        at = end
    if found and in_remains([*around, text[at:]]):
        raise _PartError
    return found


def _containers(text: str) -> Iterator[tuple[Found, int, int]]:
    """The objects and arrays of a text that stand in no other, and where they begin and end."""
    at, room = 0, _LONGEST_MENDED
    for _ in range(_MOST_BRACKETS):
        begins = _BEGINNING.search(text, at)
        if begins is None:
            return
        start = begins.start()
        found = _exact(text, start)
        if found is not None:
            at = start + len(found.text)
            yield found, start, at
            continue
        found, end = _almost(text, start, room)
        if end is None:
            return
        if found is not None:
            yield found, start, end
        room -= end - start
        at = end
    raise _UndecidedError


def _exact(text: str, start: int) -> Found | None:
    """The JSON that begins here."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return _decoded(text[start:end])


def _almost(text: str, start: int, room: int) -> tuple[Found | None, int | None]:
    """What is almost JSON here, and where to go on: nowhere, where what follows may be a part of it."""
    tried = attempt(text[start : start + room])
    if tried.is_cut:
        if start + room < len(text):
            raise _UndecidedError
        return None, None
    end = start + tried.end
    if tried.text is not None:
        found = _decoded(tried.text)
        return found and found._replace(is_mended=True), end
    if not tried.is_meant:
        return None, end
    closed = _end(text, start)
    return None, closed and max(closed, end)


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


def _refuse(constant: str) -> None:
    """Refuse what Python takes for a number, JSON not, and the mender neither."""
    raise ValueError(constant)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)  # says where a value ends; msgspec does not


def _decoded(text: str) -> Found | None:
    try:
        value = msgspec.json.decode(text)
    except _UNREADABLE:
        return None
    return None if _is_deep(text, value) else Found(text, value)


def _is_deep(text: str, value: Any) -> bool:
    """Whether brackets stand deeper in one another than a value may have them."""
    if text.count("{") + text.count("[") <= _DEEPEST:
        return False
    level = [value]
    for _ in range(_DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for members in inner for each in members if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _problem(text: str, values: int) -> str:
    if values:
        return "it holds several JSON values"
    try:
        msgspec.json.decode(text.strip())
    except (msgspec.DecodeError, UnicodeError) as error:
        return f"it holds no whole JSON value ({error})" if text.strip() else "it is empty"
    except RecursionError:
        pass
    return "it is nested too deeply"
