"""Text that is read while it comes: small readings, of which the spellings of calls are made.

Each reading is a generator that yields where it needs more text, and raises `NoCallError` as soon as the
text cannot be what is asked for.
"""

import re
from collections.abc import Generator, Iterable
from typing import Final, TypeVar

from translators.model_text.almost_json import mend
from translators.model_text.json_scan import Scanner
from translators.model_text.stated_calls import Look, NoCallError

_LONGEST_LOOK: Final = 4_096  # characters of JSON in which names and keys are looked at before it is whole

_T = TypeVar("_T")
Reading = Generator[None, None, _T]


class Marks:
    """Marks that are looked for in text that comes in pieces."""

    def __init__(self, marks: Iterable[str]) -> None:
        longest_first = sorted(marks, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, longest_first)))
        self._first = frozenset(mark[0] for mark in longest_first)
        self._begun = frozenset(mark[:size] for mark in longest_first for size in range(1, len(mark)))
        self._longest = len(longest_first[0]) - 1

    def search(self, text: str) -> re.Match[str] | None:
        """The first of them."""
        return self._whole.search(text)

    def beginning(self, text: str) -> int:
        """How many characters at the end may begin one."""
        end = len(text)
        for start in range(max(0, end - self._longest), end):
            if text[start] in self._first and text[start:] in self._begun:
                return end - start
        return 0


class Source:
    """The text that has come and was not read yet."""

    def __init__(self) -> None:
        self.rest = ""
        self.ended = False  # whether nothing more comes
        self.cut = False  # whether more would have come, had there been room
        self.answered = False  # whether the model answered its own call


def space(source: Source) -> Reading[None]:
    """Leave out white space, until something else or the end comes."""
    while True:
        source.rest = source.rest.lstrip()
        if source.rest or source.ended:
            return
        yield


def blanks(source: Source) -> Reading[None]:
    """Leave out white space up to the end of the line."""
    while True:
        source.rest = source.rest.lstrip(" \t\r")
        if source.rest or source.ended:
            return
        yield


def one_of(source: Source, options: Iterable[str]) -> Reading[str | None]:
    """Take the longest of these that comes next; None where it is none of them."""
    while True:
        may_come = [each for each in options if each.startswith(source.rest) and each != source.rest]
        if not may_come or source.ended:
            found = max((each for each in options if source.rest.startswith(each)), key=len, default=None)
            source.rest = source.rest[len(found or "") :]
            return found
        yield


def one_behind_space(source: Source, options: Iterable[str]) -> Reading[str | None]:
    """Take the longest of these that comes next and the white space before it; neither where it is none."""
    passed: list[str] = []
    while True:
        rest = source.rest.lstrip()
        passed.append(source.rest[: len(source.rest) - len(rest)])
        source.rest = rest
        if rest or source.ended:
            break
        yield
    found = yield from one_of(source, options)
    if found is None:
        source.rest = "".join([*passed, source.rest])
    return found


def expect(source: Source, *options: str) -> Reading[str]:
    """Take one of these, which has to come."""
    found = yield from one_of(source, options)
    if found is None:
        raise NoCallError
    return found


def until(source: Source, mark: str, most: int) -> Reading[str]:
    """Take what stands before a mark, which is short, and the mark."""
    while mark not in source.rest:
        if source.ended or len(source.rest) > most + len(mark):
            raise NoCallError
        yield
    before, _, source.rest = source.rest.partition(mark)
    if len(before) > most:
        raise NoCallError
    return before


def up_to(source: Source, mark: str) -> Reading[str]:
    """Take what stands before a mark, however long it is, and the mark."""
    pieces: list[str] = []
    while mark not in source.rest:
        if source.ended:
            raise NoCallError
        begun = beginning(source.rest, (mark,))
        free = len(source.rest) - begun
        pieces.append(source.rest[:free])
        source.rest = source.rest[free:]
        yield
    before, _, source.rest = source.rest.partition(mark)
    return "".join([*pieces, before])


def beginning(text: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of a text may begin one of some marks."""
    for size in range(min(len(text), max(map(len, marks)) - 1), 0, -1):
        if any(mark.startswith(text[-size:]) for mark in marks):
            return size
    return 0


def json_text(source: Source, look: Look | None = None) -> Reading[str]:
    """Take a JSON object or list; closing brackets may be missing at the very end of a whole answer."""
    scanner = Scanner()
    pieces: list[str] = []
    while True:
        begin = scanner.position
        events = scanner.feed(source.rest)
        taken = scanner.position - begin
        pieces.append(source.rest[:taken])
        source.rest = source.rest[taken:]
        if scanner.broken:
            raise NoCallError
        if look is not None and begin < _LONGEST_LOOK:
            text = "".join(pieces)
            for event in events:
                look.at(event, text)
        if scanner.closed:
            return "".join(pieces)
        if source.ended:
            text = mend("".join(pieces)) or ""
            if source.cut or not text:
                raise NoCallError
            return text
        yield
