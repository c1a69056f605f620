"""Keeps the log probabilities of text that a filter gives out later than it came, or in other pieces.

They stand with the last character of the piece that they came with. Where a part of that piece is not given
out they are left out, for they are those of another text.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from translators.deltas import Text


class LogProbabilities:
    """Those of one choice, whose text is given out in the order in which it came."""

    def __init__(self) -> None:
        self._come = 0  # characters
        self._gone = 0
        self._waiting: deque[tuple[int, int, msgspec.Raw]] = deque()  # where a piece begins and ends

    def come(self, piece: Text) -> None:
        """Text has come."""
        begin, self._come = self._come, self._come + len(piece.text)
        if piece.logprobs is not None:
            self._waiting.append((begin, self._come, piece.logprobs))

    def give(self, choice: int, text: str) -> Iterator[Text]:
        """The text that is next, in such pieces that each has its own."""
        begin, self._gone = self._gone, self._gone + len(text)
        at = begin
        while self._waiting and self._waiting[0][1] <= self._gone:
            _, end, logprobs = self._waiting.popleft()
            yield Text(choice, text[at - begin : end - begin], logprobs)
            at = end
        if at < self._gone:
            yield Text(choice, text[at - begin :])

    def leave_out(self, left: int) -> None:
        """Of all text that has come only so many characters are left; what was not given out never is."""
        if self._come - left == self._gone:
            return
        self._gone = self._come - left
        while self._waiting and self._waiting[0][0] < self._gone:
            self._waiting.popleft()
