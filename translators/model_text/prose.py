"""What stands before a place in a text: whether a call may begin there, or would only be shown.

A model that calls begins a line with the call, or at least a sentence. One that explains how to call puts it
into a code fence, into inline code, into a quotation, or into the middle of a sentence.
"""

from typing import Final

_FENCE: Final = "```"
_QUOTE: Final = ">"
_RUNNING: Final = "`'\",;:-(=/&|\u201c\u2018\u00ab\u2013\u2014"  # behind these a sentence goes on


class Prose:
    """Follows a text that comes in pieces."""

    def __init__(self) -> None:
        self._in_fence = False
        self._head = ""  # how the line begins, as far as that may show a fence
        self._last = ""  # the last character of the line that is no space

    @property
    def has_room(self) -> bool:
        """Whether a call may begin here."""
        is_running = self._last.isalnum() or (self._last != "" and self._last in _RUNNING)
        return not (self._in_fence or is_running or self._head.startswith(_QUOTE))

    def take(self, text: str) -> None:
        """Follow the next piece."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._add(line)
            self._in_fence ^= self._head == _FENCE
            self._head = self._last = ""
        self._add(rest)

    def break_off(self) -> None:
        """Something stands here that is no prose; what follows begins anew."""
        self._head = self._last = ""

    def _add(self, text: str) -> None:
        if len(self._head) < len(_FENCE):
            self._head = (self._head + text if self._head else text.lstrip())[: len(_FENCE)]
        self._last = text.rstrip()[-1:] or self._last
