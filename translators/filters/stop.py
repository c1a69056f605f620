"""Ends an answer at the client's stop strings, for backends that do not.

The answer ends where the first stop string is complete, and that string is no part of it. Text is held
back only while it may be the beginning of a stop string. Whatever the strings and the pieces of the text, the
time that this takes grows with the text alone.
"""

from collections.abc import Iterator

from translators.deltas import Call, Delta, Failed, Finish, Text, Usage
from translators.filters.log_probabilities import LogProbabilities


class _Search:
    """One stop string, looked for in text that comes in pieces (Knuth, Morris and Pratt's search).

    How many of its characters the text ends with is all that has to be known of earlier pieces.
    """

    def __init__(self, stop: str) -> None:
        self._stop = stop
        # Of each beginning of the string, how long the longest is that it both begins and ends with.
        self._borders = [0, 0]
        for character in stop[1:]:
            self._borders.append(self._step(self._borders[-1], character))

    def __len__(self) -> int:
        return len(self._stop)

    def end(self, piece: str, begun: int) -> int | None:
        """Where in a piece the string is complete, `begun` characters of which came before it."""
        for at, character in enumerate(piece):
            if begun <= at:
                break  # what began before this piece is none
            begun = self._step(begun, character)
            if begun == len(self):
                return at + 1
        found = piece.find(self._stop)
        return None if found < 0 else found + len(self)

    def begun(self, piece: str, begun: int) -> int:
        """How many characters of the string the text ends with, behind a piece that does not complete it."""
        if len(piece) >= len(self):
            piece, begun = piece[len(piece) - len(self) + 1 :], 0
        for character in piece:
            begun = self._step(begun, character)
        return begun

    def _step(self, begun: int, character: str) -> int:
        while begun and self._stop[begun] != character:
            begun = self._borders[begun]
        return begun + 1 if self._stop[begun] == character else 0


class Stop:
    """Enforces stop strings on every choice by itself."""

    def __init__(self, stops: tuple[str, ...], choices: int) -> None:
        self._searches = [_Search(stop) for stop in stops]
        self._open = set(range(choices))
        self._held: dict[int, str] = {}
        self._begun: dict[int, list[int]] = {}  # of each choice whose text is held, what it holds of each
        self._log_probabilities: dict[int, LogProbabilities] = {}  # of the choices that come with some
        self._matched = False
        self._called: set[int] = set()  # choices that have called a tool

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
                if isinstance(delta, Call):
                    self._called.add(delta.choice)
                yield from self._release(delta.choice)
                yield delta

    def _text(self, delta: Text) -> Iterator[Delta]:
        begun = self._begun.pop(delta.choice, None) or [0] * len(self._searches)
        held = self._held.pop(delta.choice, "")
        self._come(delta, held)
        start = self._start(delta.text, begun)
        if start is not None:
            before = (held + delta.text)[: len(held) + start]
            if before:
                yield from self._give(delta.choice, before)
            self._open.discard(delta.choice)
            self._matched = True
            # Clients that see `stop` do not look for calls.
            yield Finish(delta.choice, "tool_calls" if delta.choice in self._called else "stop")
            return
        begun = [each.begun(delta.text, known) for each, known in zip(self._searches, begun, strict=True)]
        keep = max(begun)
        if not keep and not held and delta.choice not in self._log_probabilities:
            yield delta
            return
        text = held + delta.text
        free = len(text) - keep
        if keep:
            self._held[delta.choice], self._begun[delta.choice] = text[free:], begun
        if free or not keep:
            yield from self._give(delta.choice, text[:free])

    def _start(self, piece: str, begun: list[int]) -> int | None:
        """Where the stop string begins that is complete first; of two that end together, the longer.

        Counted from the piece's beginning; below zero where it begins in what is held.
        """
        ends = [
            (end, end - len(each))
            for each, known in zip(self._searches, begun, strict=True)
            if (end := each.end(piece, known)) is not None
        ]
        return min(ends)[1] if ends else None

    def _release(self, choice: int) -> Iterator[Delta]:
        held = self._held.pop(choice, "")
        self._begun.pop(choice, None)
        if held:
            yield from self._give(choice, held)

    def _come(self, delta: Text, held: str) -> None:
        if delta.logprobs is not None and delta.choice not in self._log_probabilities:
            self._log_probabilities[delta.choice] = LogProbabilities()
            self._log_probabilities[delta.choice].come(Text(delta.choice, held))
        if delta.choice in self._log_probabilities:
            self._log_probabilities[delta.choice].come(delta)

    def _give(self, choice: int, text: str) -> Iterator[Text]:
        """Text that is next, with the log probabilities of what of it came with some."""
        if choice in self._log_probabilities:
            return self._log_probabilities[choice].give(choice, text)
        return iter((Text(choice, text),))
