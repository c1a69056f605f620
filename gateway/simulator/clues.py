"""Finds in a sentence what a tool's arguments could be: numbers, quotations, names, what follows a word.

One `Clues` serves one call. What was taken for one argument is not offered to the next.
"""

import re
from collections.abc import Callable, Iterator

from gateway.simulator.words import listed

# Dates, times and addresses are no numbers, though they are made of some.
_NUMBER = re.compile(r"\d+(?:[-/.:]\d+){2,}|\d+:\d+|(?<![\w.])(-?\d{1,15}(?:\.\d{1,15})?)(?![\w])(?!\.\d)")
_NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_QUOTED = re.compile(r"“([^”]+)”|\"([^\"]+)\"|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_WORD = r"[A-Z][\w'\u2019-]*"
_NAME = rf"{_WORD}(?: (?:de |la |of |del |the )?{_WORD})*(?:, [A-Z]{{2}}(?!\w))?"
_PROPER = re.compile(rf"(?<![\w'\u2019]){_NAME}")
_LISTED = re.compile(rf"{_NAME}(?:, {_NAME})*,? (?:and|or) (?:in |to |for |at )?{_NAME}")
# Capitalised words that open a sentence or stand for no name.
_NO_NAME = listed(
    """a also an and are at by call can check convert could do does find for from get give has have hello
    hey hi how i if in is it let look make my of on or please run search send set should show tell that the
    then there this to translate use was what what's when where which who whose why will with would you
    your"""
)
# What ends a name written in small letters: "weather in paris tomorrow please".
_AFTER_NAME = re.compile(
    r"\b(?:today|tonight|tomorrow|now|right|please|and|or|then|this|next|on|at|for|in|to|from|with|using|via)\b"
    r"|[,;:?!()]|\.(?:\s|$)"
)
_LONGEST_NAME = 40


class Clues:
    """What one sentence offers."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._taken: set[str] = set()
        found = [number for number in _NUMBER.findall(text) if number]
        self._numbers = [float(number) if "." in number else int(number) for number in found]
        words = re.findall(r"[a-z]+", text.lower())
        self._numbers += [_NUMBER_WORDS[word] for word in words if word in _NUMBER_WORDS]

    def take_number(self, accept: Callable[[float], bool]) -> float | None:
        """Take the first number that is still there and acceptable."""
        for number in self._numbers:
            if accept(number):
                self._numbers.remove(number)
                return number
        return None

    def take_quoted(self) -> str | None:
        """Take the next quotation."""
        return self._take_first("".join(groups) for groups in _QUOTED.findall(self.text))

    def take_name(self) -> str | None:
        """Take the next proper name."""
        return self._take_first(self._names())

    def take_after(self, words: str) -> str | None:
        """Take the name, number or word that follows one of `words`, a regular expression."""
        return self._take_first(self._following(words))

    def take_matching(self, pattern: str) -> str | None:
        """Take the next text that matches a pattern."""
        return self._take_first(found[0] for found in re.finditer(pattern, self.text, re.IGNORECASE))

    def mentions(self, text: str) -> bool:
        """Whether the sentence holds `text` as words of their own."""
        spoken = re.escape(text.replace("_", " "))
        return re.search(rf"(?<!\w){spoken}(?!\w)", self.text.replace("_", " "), re.IGNORECASE) is not None

    def listed_names(self) -> list[str]:
        """List the names that the sentence joins with `and` or `or`."""
        found = _LISTED.search(self.text)
        joined = re.sub(r",? (?:and|or) (?:in |to |for |at )?", ", ", found[0]) if found else ""
        # A state's two letters belong to the city before them.
        return re.split(r", (?![A-Z]{2}(?!\w))", joined) if joined else []

    def _names(self) -> Iterator[str]:
        """Walk the proper names; one that opens the sentence may be no name and comes last."""
        opening: list[str] = []
        for found in _PROPER.finditer(self.text):
            words = found[0].split(" ")
            skipped = next((at for at, word in enumerate(words) if word.lower() not in _NO_NAME), len(words))
            name = " ".join(words[skipped:])
            if name and (found.start() > 0 or skipped):
                yield name
            elif name:
                opening.append(name)
        yield from opening

    def _following(self, words: str) -> Iterator[str]:
        for found in re.finditer(
            rf"(?<!\w)(?:{words})(?:[\s:=]+)(?:(?:the|a|an) )?", self.text, re.IGNORECASE
        ):
            rest = self.text[found.end() :]
            named = _PROPER.match(rest)
            ended = _AFTER_NAME.search(rest)
            word = rest[: ended.start()] if ended else rest
            name = named[0] if named else word.strip(" \"'“”.")
            if name and len(name) <= _LONGEST_NAME:
                yield name

    def _take_first(self, candidates: Iterator[str]) -> str | None:
        for candidate in candidates:
            if candidate.strip() and candidate not in self._taken:
                self._taken.add(candidate)
                return candidate
        return None
