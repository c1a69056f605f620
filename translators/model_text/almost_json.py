"""Makes JSON of what a model wrote almost as JSON.

Mended are: single quotes, keys without quotes, a comma too many, comments, Python's True, False and None,
line ends inside strings, a code fence around it, JSON that was encoded twice, the same object said again,
and closing brackets that are missing at the very end. What is valid comes through as it stands, so the
mended text begins with whatever of it was valid before the first slip. Nothing else is guessed: no value
that is missing or cut is made up.

Each character is looked at a bounded number of times.
"""

import re
from typing import Any, Final, NamedTuple

import msgspec

from translators.model_text.json_scan import MAX_DEPTH

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_COMMENT: Final = re.compile(r"(?://|#)[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_FENCE: Final = "```"
_PLAIN: Final = re.compile(r"""[^"'\\\x00-\x1f]*""")
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})')
_BARE_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_WORD: Final = re.compile(r"[-+.0-9A-Za-z_]+")
_WHOLE_WORD: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}
_CLOSING: Final = {"{": "}", "[": "]"}


class HopelessError(ValueError):
    """It is not almost JSON."""


def mend(text: str) -> str | None:
    """The JSON object or array that a text almost is, or None."""
    text = _unfenced(text)
    if text.lstrip().startswith('"'):
        inner = decoded(text)
        text = inner if isinstance(inner, str) else ""
    mender = _Mender(text)
    try:
        first = mender.value()
        while not mender.at_end():
            if decoded(mender.value()) != decoded(first):
                return None
    except HopelessError:
        return None
    return first


def mend_value(text: str, at: int) -> tuple[str, int]:
    """The JSON of the value of any kind that begins at a place of a text, and where that value ends.

    Raises:
        HopelessError: It is not even almost JSON.
    """
    mender = _Mender(text, at)
    return mender.member(), mender.at


class Attempt(NamedTuple):
    """How far a text is almost an object or array."""

    text: str | None  # its JSON; None where it is none, or has no end
    end: int  # where it ends, or where it can no longer become one
    is_cut: bool = False  # whether the text ended before it did
    is_meant: bool = False  # whether what is broken was meant to be one, and not words in brackets


def attempt(text: str) -> Attempt:
    """Mend the object or array that a text begins with; here no closing bracket may be missing."""
    mender = _Mender(text)
    try:
        mended = mender.value()
    except HopelessError:
        return Attempt(None, mender.at, is_cut=mender.at == len(text), is_meant=mender.is_meant)
    if mender.at > len(text):  # where a bracket would have to stand
        return Attempt(None, len(text), is_cut=True, is_meant=True)
    return Attempt(mended, mender.at)


def _unfenced(text: str) -> str:
    """What stands in the code fence that is all of a text."""
    stripped = text.strip()
    head, line, body = stripped.partition("\n")
    if head.startswith(_FENCE) and line and body.endswith(_FENCE):
        return body.removesuffix(_FENCE).rstrip()
    return text


def decoded(text: str) -> Any:
    """What JSON text says; None where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


class _Mender:
    """Writes one value after the other again, as JSON."""

    def __init__(self, text: str, at: int = 0) -> None:
        self._text = text
        self.at = at
        self._out: list[str] = []
        self.is_meant = False  # whether something was read that hardly stands in words

    def value(self) -> str:
        """The next object or array, with the white space before it."""
        self._out = [self._space()]
        if self._character() not in _CLOSING:
            raise HopelessError
        self._container(0)
        return "".join(self._out)

    def member(self) -> str:
        """The value that is next, of any kind."""
        self._out = []
        self._member(0)
        return "".join(self._out)

    def at_end(self) -> bool:
        """Whether nothing but white space and comments is left."""
        self._space()
        return self.at >= len(self._text)

    def _character(self) -> str:
        """The character that is next; none at the end."""
        return self._text[self.at : self.at + 1]

    def _space(self) -> str:
        """Take white space, as it stands, and comments, of which nothing stays."""
        space = self._white()
        while comment := _COMMENT.match(self._text, self.at):
            self._take(comment)
            space += self._white()
        return space

    def _white(self) -> str:
        found = _SPACE.match(self._text, self.at)
        return self._take(found) if found else ""

    def _take(self, found: re.Match[str]) -> str:
        self.at = found.end()
        return found[0]

    def _container(self, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.is_meant = True
            raise HopelessError
        opening = self._character()
        self.at += 1
        self._out.append(opening)
        comma = ""
        while True:
            space = self._space()
            if self._character() in ("", _CLOSING[opening]):  # here a comma was one too many
                self.at += 1
                self.is_meant = True
                self._out += [space, _CLOSING[opening]]
                return
            self._out += [comma, space]
            if opening == "{":
                self._key()
            self._member(depth)
            self._out.append(self._space())
            comma = self._character()
            if comma == ",":
                self.at += 1
            elif comma not in ("", _CLOSING[opening]):
                raise HopelessError

    def _key(self) -> None:
        if self._character() in ('"', "'"):
            self._string()
        else:
            found = _BARE_KEY.match(self._text, self.at)
            if found is None:
                raise HopelessError
            self._out.append(f'"{self._take(found)}"')
            if self._character() in ('"', "'"):  # of a key whose other quote is missing
                self.is_meant = True
        self._out.append(self._space())
        if self._character() != ":":
            raise HopelessError
        self.at += 1
        self.is_meant = True
        self._out += [":", self._space()]

    def _member(self, depth: int) -> None:
        character = self._character()
        if character in _CLOSING:
            self._container(depth + 1)
        elif character in ('"', "'"):
            self._string()
        else:
            found = _WORD.match(self._text, self.at)
            word = self._take(found) if found else ""
            word = _PYTHON.get(word, word)
            if not _WHOLE_WORD.fullmatch(word):
                raise HopelessError
            self._out.append(word)

    def _string(self) -> None:
        quote = self._character()
        self.at += 1
        self._out.append('"')
        while True:
            found = _PLAIN.match(self._text, self.at)
            self._out.append(self._take(found) if found else "")
            character = self._character()
            if character == quote:
                self.at += 1
                self.is_meant = True
                self._out.append('"')
                return
            self._out.append(self._odd(character))

    def _odd(self, character: str) -> str:
        """What cannot stand in a string as it is."""
        if character == "\\":
            found = _ESCAPE.match(self._text, self.at)
            if found:
                return self._take(found)
            if self._text[self.at + 1 : self.at + 2] != "'":
                raise HopelessError
            self.at += 2
            return "'"
        if not character:
            raise HopelessError
        self.at += 1
        if character == "'":
            return character
        return '\\"' if character == '"' else f"\\u{ord(character):04x}"
