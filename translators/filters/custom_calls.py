"""Turns the calls of emulated custom tools back into custom calls.

A call's arguments are held until they are whole, for JSON text cannot be unwrapped in part: until their
object has closed, or until the choice goes on with something that is no call.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from translators.deltas import Arguments, Call, Delta, Failed, Usage
from translators.model_text.json_scan import Scanner
from translators.tools import unwrap_custom


@dataclass(slots=True)
class _Held:
    """The arguments of one call so far."""

    scanner: Scanner = field(default_factory=Scanner)
    pieces: list[str] = field(default_factory=list)


class CustomCalls:
    """Unwraps the arguments of the tools with the given names."""

    satisfied = False

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        # Choice and index of a call -> its arguments, or None where they were given out.
        self._held: dict[tuple[int, int], _Held | None] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Hold the arguments of custom calls; give them out before whatever else their choice says."""
        match delta:
            case Call() if delta.name in self._names:
                self._held[delta.choice, delta.index] = _Held()
                yield Call(delta.choice, delta.index, delta.id, delta.name, "custom")
            case Arguments() if (delta.choice, delta.index) in self._held:
                yield from self._hold((delta.choice, delta.index), delta.text)
            case Call() | Arguments() | Usage():
                yield delta
            case Failed():
                yield from self._release({choice for choice, _ in self._held})
                yield delta
            case _:
                yield from self._release({delta.choice})
                yield delta

    def _hold(self, key: tuple[int, int], text: str) -> Iterator[Delta]:
        held = self._held[key]
        if held is None:
            return  # behind the whole arguments
        held.pieces.append(text)
        held.scanner.feed(text)
        if held.scanner.closed:
            yield self._give_out(key, held)

    def _release(self, choices: set[int]) -> Iterator[Delta]:
        for key, held in self._held.items():
            if held is not None and key[0] in choices:
                yield self._give_out(key, held)

    def _give_out(self, key: tuple[int, int], held: _Held) -> Arguments:
        self._held[key] = None
        return Arguments(*key, unwrap_custom("".join(held.pieces)))
