"""Ends an answer at the client's stop strings, for backends that do not.

The answer ends where the first stop string is complete, and that string is no part of it. Text is held
back only while it may be the beginning of a stop string.
"""

from collections.abc import Iterator

from translators.deltas import Delta, Failed, Finish, Text, Usage


class Stop:
    """Enforces stop strings on every choice by itself."""

    def __init__(self, stops: tuple[str, ...], choices: int) -> None:
        self._stops = stops
        self._open = set(range(choices))
        self._held: dict[int, str] = {}
        self._matched = False

    @property
    def satisfied(self) -> bool:
        """Whether every choice has ended and at least one at a stop string."""
        return self._matched and not self._open

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on what stands before a stop string; nothing of a choice after it."""
        match delta:
            case Usage():
                yield delta
            case Failed() if self.satisfied:
                return  # the client has its whole answer
            case Failed():
                for choice in sorted(self._held):
                    yield from self._release(choice)
                yield delta
            case _ if delta.choice not in self._open:
                return
            case Text():
                yield from self._text(delta)
            case Finish():
                yield from self._release(delta.choice)
                self._open.discard(delta.choice)
                yield delta
            case _:
                yield from self._release(delta.choice)
                yield delta

    def _text(self, delta: Text) -> Iterator[Delta]:
        text = self._held.pop(delta.choice, "") + delta.text
        cut = self._match(text)
        if cut is not None:
            if cut:
                yield Text(delta.choice, text[:cut])
            self._open.discard(delta.choice)
            self._matched = True
            yield Finish(delta.choice, "stop")
            return
        keep = self._beginning(text)
        free = text[: len(text) - keep]
        if keep:
            self._held[delta.choice] = text[len(free) :]
        if free == delta.text:
            yield delta
        elif free:
            yield Text(delta.choice, free)

    def _match(self, text: str) -> int | None:
        """Where the stop string begins that is complete first; of two that end together, the longer."""
        ends = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(ends)[1] if ends else None

    def _beginning(self, text: str) -> int:
        """How many characters at the end of the text may begin a stop string."""
        for size in range(min(len(text), max(map(len, self._stops)) - 1), 0, -1):
            tail = text[-size:]
            if any(stop.startswith(tail) for stop in self._stops):
                return size
        return 0

    def _release(self, choice: int) -> Iterator[Delta]:
        held = self._held.pop(choice, "")
        if held:
            yield Text(choice, held)
