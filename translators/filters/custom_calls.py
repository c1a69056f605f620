"""Turns the calls of emulated custom tools back into custom calls.

A call's arguments are held until it is whole, for JSON text cannot be unwrapped in part.
"""

from collections.abc import Iterator

from translators.deltas import Arguments, Call, Delta, Usage
from translators.tools import unwrap_custom


class CustomCalls:
    """Unwraps the arguments of the tools with the given names."""

    satisfied = False

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._held: dict[int, tuple[Call, list[str]]] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Hold the arguments of a custom call; give them out before whatever else its choice says."""
        if isinstance(delta, Arguments) and delta.choice in self._held:
            call, texts = self._held[delta.choice]
            if delta.index == call.index:
                texts.append(delta.text)
                return
        if not isinstance(delta, Usage):
            yield from self._release(getattr(delta, "choice", None))
        if isinstance(delta, Call) and delta.name in self._names:
            self._held[delta.choice] = (delta, [])
            yield Call(delta.choice, delta.index, delta.id, delta.name, "custom")
            return
        yield delta

    def _release(self, choice: int | None) -> Iterator[Delta]:
        """Give out the call of one choice, or of all where the answer failed."""
        for held in [choice] if choice is not None else list(self._held):
            if held in self._held:
                call, texts = self._held.pop(held)
                yield Arguments(call.choice, call.index, unwrap_custom("".join(texts)))
