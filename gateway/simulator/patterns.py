"""Writes a text that an ECMAScript pattern accepts, for the patterns that tool schemas use.

Covers literals, classes, escapes, groups, alternatives, anchors and counts. What is beyond that (look-around,
back references) is skipped, so the text may then miss the pattern.
"""

import re
import string

_CLASSES = {"d": string.digits, "w": string.ascii_lowercase + string.digits + "_", "s": " "}
_NEGATED = {"D": "x", "W": "-", "S": "x"}
_PRINTABLE = string.ascii_lowercase + string.digits + string.ascii_uppercase + string.punctuation + " "
_MOST = 4096  # repetitions; a pattern that wants more is not worth the memory
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}\??")


def example(pattern: str, shortest: int, nth: int) -> str:
    """Write a text, of `shortest` characters where the pattern leaves room; another `nth`, another text."""
    for more in range(shortest + 1):
        text, _ = _Writer(pattern, nth, more).alternatives(0)
        if len(text) >= shortest:
            return text
    return text


class _Writer:
    """Walks one pattern from left to right; methods return what they wrote and where they stopped."""

    def __init__(self, pattern: str, nth: int, more: int) -> None:
        self._pattern = pattern
        self._nth = nth
        self._more = more  # repetitions beyond the fewest, where a count is open

    def alternatives(self, at: int) -> tuple[str, int]:
        """Write one of the alternatives of a group, up to its end."""
        written: list[str] = []
        while True:
            text, at = self._sequence(at)
            written.append(text)
            if at >= len(self._pattern) or self._pattern[at] != "|":
                return written[self._nth % len(written)], at
            at += 1

    def _sequence(self, at: int) -> tuple[str, int]:
        text = ""
        while at < len(self._pattern) and self._pattern[at] not in "|)":
            atom, at = self._atom(at)
            fewest, most, at = self._count(at)
            text += atom * min(max(fewest, self._more), most, _MOST)
        return text, at

    def _atom(self, at: int) -> tuple[str, int]:
        match self._pattern[at]:
            case "^" | "$":
                return "", at + 1
            case ".":
                return "x", at + 1
            case "(":
                return self._group(at)
            case "[":
                return self._class(at)
            case "\\":
                return self._escaped(at + 1), at + 2
            case literal:
                return literal, at + 1

    def _group(self, at: int) -> tuple[str, int]:
        opening = re.compile(r"\((?:\?(?::|<\w+>|<?[=!]))?").match(self._pattern, at)
        start = opening.end() if opening else at + 1
        text, end = self.alternatives(start)
        looks_around = opening is not None and opening[0].endswith(("=", "!"))
        return "" if looks_around else text, end + 1

    def _escaped(self, at: int) -> str:
        letter = self._pattern[at : at + 1]
        if letter in _CLASSES:
            members = _CLASSES[letter]
            return members[self._nth % len(members)]
        return {"b": "", "B": "", "n": "\n", "t": "\t", **_NEGATED}.get(letter, letter)

    def _class(self, at: int) -> tuple[str, int]:
        found = re.compile(r"\[(\^?)((?:\\.|[^\]\\])*)\]").match(self._pattern, at)
        if not found:
            return "", at + 1
        members = _members(found[2])
        if found[1]:
            members = [character for character in _PRINTABLE if character not in members]
        return (members[self._nth % len(members)] if members else ""), found.end()

    def _count(self, at: int) -> tuple[int, int, int]:
        """Read a quantifier: the fewest and most repetitions, and where it ends."""
        sign = self._pattern[at : at + 1]
        if sign and sign in "*+?":
            end = at + 1 + (self._pattern[at + 1 : at + 2] == "?")
            return int(sign == "+"), 1 if sign == "?" else _MOST, end
        if found := _COUNT.match(self._pattern, at):
            fewest = int(found[1])
            most = int(found[3]) if found[3] else (_MOST if found[2] else fewest)
            return fewest, most, found.end()
        return 1, 1, at


def _members(inside: str) -> list[str]:
    """List the characters of a class, ranges and escapes written out."""
    units = re.findall(r"\\.|[^\\]", inside, re.DOTALL)
    members: list[str] = []
    at = 0
    while at < len(units):
        unit = units[at]
        if at + 2 < len(units) and units[at + 1] == "-":
            first, last = unit[-1], units[at + 2][-1]
            members += map(chr, range(ord(first), ord(last) + 1))
            at += 3
        else:
            members += _CLASSES.get(unit[1:], unit[-1]) if unit.startswith("\\") else unit
            at += 1
    return members
