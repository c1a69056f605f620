"""How many tokens a prompt will turn out to have, by its length, as each model's past usage has taught.

A straight line is fitted to what a model's answers have reported: tokens by bytes of text, with a part that
every prompt has (the chat template's). Bytes stand in for characters because they are nearer to tokens where
a character is a token, as in Chinese. What is long ago weighs less.
"""

from collections import OrderedDict
from typing import Final

_MOST_MODELS: Final = 1024
_MEMORY: Final = 0.98  # what an earlier prompt weighs after another one: the last fifty or so decide

# Before anything is known: 12 tokens of template, and one token for four bytes, as in English.
_LENGTHS: Final = (64.0, 4096.0)
_TEMPLATE: Final = 12.0
_PER_BYTE: Final = 0.25
_PRIOR: Final = 0.5  # what such a supposed prompt weighs beside a real one

_MOST_PER_BYTE: Final = 1.0  # a token has a byte at least
_LEAST_PER_BYTE: Final = 1 / 32
# A prompt with more tokens than this is not text alone: its images do not tell what text costs.
_MOST_TEMPLATE: Final = 2048


class Estimates:
    """What is known of all models."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, _Line] = OrderedDict()

    def tokens(self, model: str, prompt_bytes: int) -> int:
        """How many tokens a prompt of this length is likely to have."""
        line = self._lines.get(model)
        return _UNTAUGHT.at(prompt_bytes) if line is None else line.at(prompt_bytes)

    def learn(self, model: str, prompt_bytes: int, tokens: int) -> None:
        """A backend has reported how many tokens a prompt had."""
        if tokens <= 0 or tokens > prompt_bytes * _MOST_PER_BYTE + _MOST_TEMPLATE:
            return
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = _Line()
            if len(self._lines) > _MOST_MODELS:
                self._lines.popitem(last=False)
        line.add(prompt_bytes, tokens)


class _Line:
    """A line fitted by least squares, whose older points weigh less."""

    __slots__ = ("_n", "_x", "_xx", "_xy", "_y")

    def __init__(self) -> None:
        # Of all prompts, weighed: how many, and the sums of lengths (x), of tokens (y), and of products.
        self._n = self._x = self._y = self._xx = self._xy = 0.0
        for length in _LENGTHS:
            tokens = _TEMPLATE + _PER_BYTE * length
            self._n += _PRIOR
            self._x += _PRIOR * length
            self._y += _PRIOR * tokens
            self._xx += _PRIOR * length * length
            self._xy += _PRIOR * length * tokens

    def add(self, length: float, tokens: float) -> None:
        self._n = self._n * _MEMORY + 1.0
        self._x = self._x * _MEMORY + length
        self._y = self._y * _MEMORY + tokens
        self._xx = self._xx * _MEMORY + length * length
        self._xy = self._xy * _MEMORY + length * tokens

    def at(self, length: float) -> int:
        n = self._n
        mean_length, mean_tokens = self._x / n, self._y / n
        spread = self._xx / n - mean_length * mean_length
        slope = (self._xy / n - mean_length * mean_tokens) / spread if spread > 1 else _PER_BYTE
        if slope > _MOST_PER_BYTE:
            slope = _MOST_PER_BYTE
        elif slope < _LEAST_PER_BYTE:
            slope = _LEAST_PER_BYTE
        return max(1, round(mean_tokens + slope * (length - mean_length)))


_UNTAUGHT: Final = _Line()
