"""Mistakes of a configuration as a person reads them: place, path, words, the line itself and a caret.

A secret never shows: what is printed of a line are the names of known places, punctuation and the values of
known fields that are no secrets. Everything else, a misspelt field's value included, is masked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.settings.document import Document, Loc, Position, Scalar
from gateway.settings.schema import Shape

MASK = "********"
MAX_EXCERPT = 100
# YAML's line breaks after "\r\n" was made "\n" (YAML 1.1, section 5.4).
LINE_BREAK = re.compile("[\n\x85\u2028\u2029]")
ONLY_A_VARIABLE = re.compile(r"""(["']?)\$\{[A-Za-z_][A-Za-z0-9_]*\}\1""")
# User name, query and fragment of an address may hold credentials.
ADDRESS_WITH_MORE = re.compile(r"://\S*[@?#]")
KEY = re.compile(r"""["']?(?P<name>[A-Za-z_][\w.-]*)["']?\s*:(?:\s|$)""")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line of the file that is safe to show, and the caret's place in it, from 0."""

    line: str
    caret: int

    def __str__(self) -> str:
        start = max(0, self.caret - MAX_EXCERPT // 2) if len(self.line) > MAX_EXCERPT else 0
        # A tab would shift the caret, a control character would reach the terminal.
        printable = (sign if sign.isprintable() else " " for sign in self.line[start : start + MAX_EXCERPT])
        line = "".join(printable).rstrip()
        return f"  | {line}\n  | {' ' * (self.caret - start)}^"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: `source` is a file, or the environment with the variable's name."""

    source: str
    path: str
    message: str
    position: Position | None = None
    excerpt: Excerpt | None = None

    def __str__(self) -> str:
        place = f"{self.source}:{self.position.line}:{self.position.column}" if self.position else self.source
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{head}\n{self.excerpt}" if self.excerpt else head


class SettingsError(Exception):
    """All mistakes of a configuration, in the order of the file."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.position or Position(0, 0)))
        super().__init__("\n".join(map(str, self.mistakes)))


def dotted(loc: Loc, shape: Shape) -> str:
    """Write a place as people do: models.small.targets.0.backend; without names where none are expected."""
    may_show = (shape.may_name(loc[:length]) for length in range(1, len(loc) + 1))
    return ".".join(str(part) if shown else MASK for part, shown in zip(loc, may_show, strict=True))


def excerpt(document: Document, position: Position, shape: Shape) -> Excerpt:
    """Show the line at the position of a document that could be read."""
    line = _line(document.text, position.line)
    here = [scalar for scalar in document.scalars if _stands_on(scalar, position.line)]
    line = _without_comment(line, position.line, here)
    caret = position.column - 1
    hidden = [_columns(scalar, position.line, len(line)) for scalar in here if not _may_show(scalar, shape)]
    # From the right, so that the columns to the left stay true.
    for start, end in sorted(set(hidden), reverse=True):
        line = line[:start] + MASK + line[end:]
        if caret >= end:
            caret += len(MASK) - (end - start)
        elif caret > start:
            caret = start
    return Excerpt(line, caret)


def broken_excerpt(text: str, position: Position, shape: Shape) -> Excerpt:
    """Show the line where YAML broke: values only behind the names of open fields, to be on the safe side.

    Braces make a name of what may be a value, so that behind a first name only those of fields are shown.
    """
    line = _line(text, position.line)
    open_names, field_names = shape.open_names(), shape.field_names()
    shown = ""
    at = 0
    name: str | None = None
    for match in KEY.finditer(line):
        piece = line[at : match.start()]
        if not _is_harmless(piece, name, open_names) or (name and not re.search("[{,]", piece)):
            break
        if name and match["name"] not in field_names:
            break
        shown += line[at : match.end()]
        at, name = match.end(), match["name"]
    rest = line[at:]
    indent = rest[: len(rest) - len(rest.lstrip())]
    shown += rest if _is_harmless(rest, name, open_names) else indent + MASK
    return Excerpt(shown, min(position.column - 1, len(shown)))


def _line(text: str, number: int) -> str:
    lines = LINE_BREAK.split(text)
    return lines[number - 1] if number <= len(lines) else ""


def _stands_on(scalar: Scalar, line: int) -> bool:
    """Whether any of it is on the line; a block scalar ends before the first column of a later line."""
    return scalar.start.line <= line <= scalar.end.line and scalar.end != Position(line, 1)


def _columns(scalar: Scalar, line: int, length: int) -> tuple[int, int]:
    start = scalar.start.column - 1 if scalar.start.line == line else 0
    end = scalar.end.column - 1 if scalar.end.line == line else length
    return start, end


def _may_show(scalar: Scalar, shape: Shape) -> bool:
    if scalar.is_key:
        return shape.may_name(scalar.loc)
    if not scalar.written or ONLY_A_VARIABLE.fullmatch(scalar.written):
        return True
    return shape.is_open(scalar.loc) and not ADDRESS_WITH_MORE.search(scalar.written)


def _without_comment(line: str, number: int, here: Sequence[Scalar]) -> str:
    """Cut off a comment: an old secret may stand in it. Behind the last scalar each '#' begins one."""
    end = max((_columns(scalar, number, len(line))[1] for scalar in here), default=0)
    return line[:end] + line[end:].partition("#")[0]


def _is_harmless(piece: str, name: str | None, open_names: frozenset[str]) -> bool:
    if not re.search(r"\w", piece):
        return True
    return name in open_names and "#" not in piece and not ADDRESS_WITH_MORE.search(piece)
