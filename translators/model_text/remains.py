"""Tells values that stand among words from those that stand in the remains of a larger one.

Where a model breaks its JSON, what is left of it may hold values that are whole. Each of them is only a part
of what was meant, and nobody could see that it is. So what stands around the values is looked at: a key or a
comma beside one, brackets that go around it with quotes in them, or the beginning of an object that never
became one. A bracket too many is no more than that.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_LONGEST: Final = 256  # characters of a key, or beside a value, that are looked at
_ODD: Final = re.compile(r'["{}\[\]]')  # what does not stand in words
_QUOTE: Final = re.compile(r"\"|(?<!\w)'|'(?!\w)")  # and no apostrophe
_BRACKET: Final = re.compile(r"[{}\[\]]")
_CLOSING: Final = {"{": "}", "[": "]"}
_BEGUN_OBJECT: Final = re.compile(rf"""\{{\s*["'][^"'\n]{{0,{_LONGEST}}}["']\s*:""")
_KEY_BEFORE: Final = re.compile(r"""["']\s*[:,]\s*\Z""")
_PYTHONS_KEY: Final = re.compile(r"(?:\A|[\s,])'[^'\n]+'\s*:\s*\Z")
_COMMA_BEFORE: Final = re.compile(r",\s*\Z")
_MARK_BEFORE: Final = re.compile(r"[:,]\s*\Z")
_ONLY_MARK: Final = re.compile(r"\s*[:,]\s*")
_MEMBER_BEHIND: Final = re.compile(
    r"""\s*,\s*(?:"|'[^'\n]*'\s*:)"""  # another key
    r"""|\s*"[^"\n]*"\s*:"""
    r"""|[^"'{}\[\],:\n]*["']\s*:"""  # the end of one
)
_COMMA_OR_END: Final = re.compile(r"\s*[,\]}]")
_ONE_BRACKET: Final = re.compile(r"""\s*[\]}](?!\s*[,:"'])""")


def in_remains(around: Sequence[str]) -> bool:
    """Whether a value may be a part of a larger one that is broken.

    Args:
        around: The text before the first value, between each two, and behind the last.
    """
    if not any(map(_ODD.search, around)):
        return any(_PYTHONS_KEY.search(before[-_LONGEST:]) for before in around[:-1])
    if any(map(_BEGUN_OBJECT.search, around)):
        return True
    brackets = _Brackets(around)
    quoted = any(map(_QUOTE.search, around))
    return any(
        _is_member(before[-_LONGEST:], behind) or brackets.are_around(number, before, behind, quoted=quoted)
        for number, (before, behind) in enumerate(pairwise(around))
    )


def _is_member(before: str, behind: str) -> bool:
    """Whether a key, or commas, stand beside a value."""
    if _KEY_BEFORE.search(before) or _MEMBER_BEHIND.match(behind):
        return True
    return _COMMA_BEFORE.search(before) is not None and _COMMA_OR_END.match(behind) is not None


class _Brackets:
    """The brackets around values."""

    def __init__(self, around: Sequence[str]) -> None:
        self._pairs: set[int] = set()  # numbers of the values that stand in a pair of brackets
        self._last_lone = 0  # the last part that closes a bracket which never opened
        self._lone = 0  # how many do
        opened: list[tuple[str, int]] = []
        for part, text in enumerate(around):
            for found in _BRACKET.finditer(text):
                if found[0] in _CLOSING:
                    opened.append((_CLOSING[found[0]], part))
                elif opened and opened[-1][0] == found[0]:
                    self._pairs.update(range(opened.pop()[1], part))
                else:
                    self._lone += 1
                    self._last_lone = part

    def are_around(self, number: int, before: str, behind: str, *, quoted: bool) -> bool:
        """Whether a value stands in brackets that are no slip."""
        if number in self._pairs:
            return quoted or _MARK_BEFORE.search(before[-_LONGEST:]) is not None
        if number >= self._last_lone:
            return False
        is_slip = self._lone == 1 and _ONE_BRACKET.match(behind) is not None
        return quoted or not is_slip or _ONLY_MARK.fullmatch(before) is not None
