"""The simulated models' tokens: text in, sub-word pieces out, always the same for one seed.

A vocabulary of our own, so that nobody can arrive at the simulator's counts by guessing characters over
four: words are cut into pieces of 2 to 6 characters at places that a checksum chooses, digits go in threes,
everything beyond ASCII is dearer. The pieces of a text join to that text again.
"""

import re
import zlib
from collections.abc import Iterable, Iterator

# A word keeps the one space before it, as in the byte-pair vocabularies of the imitated models.
_CHUNK = re.compile(r" ?[A-Za-z]+|[0-9]{1,3}| ?[^\W\d_]+| +(?= )|\s+|.", re.DOTALL)
_SHORTEST, _SPREAD = 2, 5
_LOOKAHEAD = 8  # characters that decide where a piece ends


class Vocabulary:
    """Cuts text into tokens."""

    def __init__(self, seed: int = 0) -> None:
        self._salt = zlib.crc32(str(seed).encode())

    def tokens(self, text: str) -> Iterator[str]:
        """Cut one text, lazily, so that an answer nobody waits for costs nothing."""
        for found in _CHUNK.finditer(text):
            chunk = found[0]
            if len(chunk) <= _SHORTEST:
                yield chunk
            else:
                yield from self._pieces(chunk)

    def count(self, texts: Iterable[str]) -> int:
        """Count the tokens of several texts."""
        return sum(1 for text in texts for _ in self.tokens(text))

    def _pieces(self, chunk: str) -> Iterator[str]:
        """Cut a word (with its space) or a run of blanks."""
        if chunk.isspace() or chunk[0].isdecimal():
            yield chunk
            return
        start = 0
        while start < len(chunk):
            # surrogatepass: a lone surrogate is no character, but a client may send one.
            checksum = zlib.crc32(
                chunk[start : start + _LOOKAHEAD].encode("utf-8", "surrogatepass"), self._salt
            )
            size = _SHORTEST + checksum % _SPREAD if chunk.isascii() else 1 + checksum % 2
            yield chunk[start : start + size]
            start += size
