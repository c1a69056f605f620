"""Follows JSON text while it comes: where keys and values stand, and whether it can still become JSON.

Text may come in any pieces, and no character is looked at twice. What is found stands in `Event`s, whose
places count from the beginning of the text. Only objects and arrays are followed, for only those show their
own end.
"""

import re
from typing import Final, Literal, NamedTuple

MAX_DEPTH: Final = 128  # an argument for a tool is not nested like this

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_WORD: Final = re.compile(r"[-+.0-9A-Za-z_]*")
_WHOLE_WORD: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LONGEST_WORD: Final = 400  # digits; more is no number that anybody wants
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})')
_BEGUN_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?")
_CLOSING: Final = {"{": "}", "[": "]"}

_State = Literal[
    "value", "first value", "key", "first key", "colon", "next", "string", "name", "word", "over"
]


class Event(NamedTuple):
    """A key (its quotes included), the beginning of a value, or a whole value.

    `depth` counts the containers around it; a value that is a container is not inside itself. Where a value
    begins, `start` is where its member does: at the comma before it, at the first key, or at the value.
    """

    kind: Literal["key", "value", "end"]
    depth: int
    start: int
    end: int


class Scanner:
    """Follows one object or array."""

    def __init__(self) -> None:
        self.position = 0  # characters that were followed; where broken, the first that does not fit
        self.broken = False
        self.closed = False  # whether the object or array has come to its end
        self._state: _State = "value"
        self._open: list[tuple[str, int]] = []  # brackets and where they stand
        self._start = 0  # of the string or word
        self._begun = ""  # the word or escape so far, which the pieces may have cut
        self._member = 0  # where the member of an object or array begins that has no value yet

    @property
    def settled(self) -> int:
        """How many characters no reading of what follows can change.

        A comma may turn out to be one too many, a member to be without a value, a word to be none.
        """
        if self._state in ("key", "colon", "value", "name"):
            return self._member
        if self._state == "word":
            return self._start
        return self.position - len(self._begun)

    def feed(self, text: str) -> list[Event]:
        """Follow the next piece, as far as it can be JSON."""
        events: list[Event] = []
        base, at = self.position, 0
        while at < len(text) and not (self.broken or self.closed):
            at = self._step(text, at, base, events)
            self.position = base + at
        return events

    def _step(self, text: str, at: int, base: int, events: list[Event]) -> int:
        match self._state:
            case "string" | "name":
                return self._in_string(text, at, base, events)
            case "word":
                return self._in_word(text, at, base, events)
            case _:
                found = _SPACE.match(text, at)
                at = found.end() if found else at
                return self._mark(text[at], at, base, events) if at < len(text) else at

    def _mark(self, character: str, at: int, base: int, events: list[Event]) -> int:
        """Take the one character that decides what comes."""
        place = base + at
        match self._state, character:
            case (("value" | "first value"), _) if character not in "]},:":
                return self._value(character, at, base, events)
            case (("key" | "first key"), '"'):
                if self._state == "first key":
                    self._member = place
                self._state, self._start = "name", place
            case "colon", ":":
                self._state = "value"
            case "next", ",":
                self._state = "key" if self._open[-1][0] == "{" else "value"
                self._member = place
            case (("next" | "first key" | "first value"), _) if character == _CLOSING[self._open[-1][0]]:
                self._end(self._open.pop()[1], place + 1, events)
            case _:
                self.broken = True
                return at
        return at + 1

    def _value(self, character: str, at: int, base: int, events: list[Event]) -> int:
        place = base + at
        is_container = character in _CLOSING
        if not is_container and (not self._open or not (character == '"' or _WORD.fullmatch(character))):
            self.broken = True
            return at
        member = self._member if self._state == "value" and self._open else place
        events.append(Event("value", len(self._open), member, place))
        if is_container:
            self.broken = len(self._open) >= MAX_DEPTH
            self._open.append((character, place))
            self._state = "first key" if character == "{" else "first value"
            return at + 1
        self._start = place
        self._state = "string" if character == '"' else "word"
        return at + 1 if character == '"' else at

    def _in_string(self, text: str, at: int, base: int, events: list[Event]) -> int:
        if self._begun:
            return self._in_escape(text, at)
        found = _PLAIN.match(text, at)
        at = found.end() if found else at
        if at == len(text):
            return at
        if text[at] == "\\":
            self._begun = "\\"
        elif text[at] == '"':
            place = base + at + 1
            if self._state == "name":
                events.append(Event("key", len(self._open), self._start, place))
                self._state = "colon"
            else:
                self._end(self._start, place, events)
        else:
            self.broken = True
            return at
        return at + 1

    def _in_escape(self, text: str, at: int) -> int:
        token = self._begun + text[at]
        if _ESCAPE.fullmatch(token):
            self._begun = ""
        elif _BEGUN_ESCAPE.fullmatch(token):
            self._begun = token
        else:
            self.broken = True
            return at
        return at + 1

    def _in_word(self, text: str, at: int, base: int, events: list[Event]) -> int:
        found = _WORD.match(text, at)
        end = found.end() if found else at
        self._begun += text[at:end]
        if len(self._begun) > _LONGEST_WORD or (end < len(text) and not _WHOLE_WORD.fullmatch(self._begun)):
            self.broken = True
            return at
        if end < len(text):
            self._begun = ""
            self._end(self._start, base + end, events)
        return end

    def _end(self, start: int, end: int, events: list[Event]) -> None:
        """A value is whole."""
        events.append(Event("end", len(self._open), start, end))
        self._state = "next" if self._open else "over"
        self.closed = not self._open
