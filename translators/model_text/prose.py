"""What stands before a place in a text: whether a call may begin there, or would only be shown.

A model that calls begins a line with the call, or at least a sentence. One that explains how to call puts it
into a code fence, into inline code, into a quotation, into the middle of a sentence, or behind a line that
announces an example. What is inside of a call that is shown, is shown as well.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

_FENCE: Final = "```"
_QUOTE: Final = ">"
_RUNNING: Final = "`'\",;:-(=/&|\u201c\u2018\u00ab\u2013\u2014"  # behind these a sentence goes on
_EXAMPLE: Final = re.compile(r"(?:\bexamples?\b|\bfor instance\b|\be\.\s?g\.).*:\W*", re.IGNORECASE)
_LONGEST_LINE: Final = 120  # characters at its end that are looked at for an example


@dataclass(slots=True)
class Prose:
    """Follows a text that comes in pieces."""

    _in_fence: bool = False
    _head: str = ""  # how the line begins, as far as that may show a fence
    _last: str = ""  # the last character of the line that is no space
    _line: str = ""  # how the line ends
    _before: str = ""  # how the last line ends that is not empty
    _is_mark_last: bool = False  # whether nothing has come behind the mark of a call that is shown
    _shows: bool = False  # whether the line holds such a mark

    @property
    def has_room(self) -> bool:
        """Whether a call may begin here."""
        if self._in_fence or self._shows or self._is_mark_last or self._head.startswith(_QUOTE):
            return False
        if not self._last:
            return _EXAMPLE.search(self._before) is None
        return not (self._last.isalnum() or self._last in _RUNNING)

    @property
    def begins_line(self) -> bool:
        """Whether a call may begin here, and a line does."""
        return self.has_room and not self._last

    def has_room_behind(self, text: str) -> bool:
        """Whether a call may begin behind more text."""
        behind = replace(self)
        behind.take(text)
        return behind.has_room

    def take(self, text: str) -> None:
        """Follow the next piece."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._add(line)
            self._in_fence ^= self._head == _FENCE
            self._before = self._line if self._last else self._before
            self._shows = False
            self._head = self._last = self._line = ""
        self._add(rest)

    def show(self, mark: str) -> None:
        """The mark of a call stands here that is shown."""
        self.take(mark)
        self._shows = self._is_mark_last = True

    def break_off(self) -> None:
        """Something stands here that is no prose; what follows begins anew."""
        self._head = self._last = self._line = self._before = ""
        self._shows = self._is_mark_last = False

    def _add(self, text: str) -> None:
        if len(self._head) < len(_FENCE):
            self._head = (self._head + text if self._head else text.lstrip())[: len(_FENCE)]
        last = text.rstrip()[-1:]
        if last:
            self._last = last
            self._is_mark_last = False
        self._line = (self._line + text)[-_LONGEST_LINE:]
