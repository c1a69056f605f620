"""Keeps the choices of an answer in order, as clients need them: choice k begins after choice k-1.

openai-python's `.stream()` fails otherwise. It is the last of all filters, for those before it may hold back
the beginning of one choice and not that of the next.
"""

from collections.abc import Iterator

from translators.deltas import Delta, Failed, Usage


class InOrder:
    """Holds a choice until the one before it has begun."""

    satisfied = False

    def __init__(self, choices: int) -> None:
        self._begun = 0  # choices below this one have begun
        self._held: list[list[Delta]] = [[] for _ in range(choices)]

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on what may go; at the end of all choices nothing is held."""
        match delta:
            case Usage() | Failed():
                yield delta
            case _:
                self._held[delta.choice].append(delta)
                yield from self._release()

    def _release(self) -> Iterator[Delta]:
        for choice, held in enumerate(self._held):
            if choice > self._begun or (choice == self._begun and not held):
                return
            self._begun = max(self._begun, choice + 1)
            yield from held
            held.clear()
