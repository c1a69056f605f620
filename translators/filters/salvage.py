"""Makes calls of what a model wrote as text (spelled_calls.py), where tools were offered.

Servers miss calls now and then: gpt-oss leaks them as JSON with no tool calls and the finish `stop`
(cloudflare/ai#574), small models in the spelling of their training. Text is held only while all of it may
still be such a call, which mostly the first character decides, and is given out as it came the moment it
cannot be one.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Text, Usage
from translators.spelled_calls import NoCallError, Reading, Source, SpelledCall, read_calls
from translators.tools import mint_call_id


@dataclass(slots=True)
class _Choice:
    """One choice whose text may be a call."""

    source: Source
    reading: Reading[list[SpelledCall]]
    held: list[Delta] = field(default_factory=list)

    def goes_on(self, text: str) -> bool:
        """Whether it may still be a call with this text behind it."""
        self.source.rest += text
        try:
            next(self.reading)
        except NoCallError:
            return False
        return True

    def calls(self, *, cut: bool) -> list[SpelledCall]:
        """The calls that the whole text was; none where it was none."""
        self.source.ended, self.source.cut = True, cut
        with suppress(NoCallError):
            try:
                next(self.reading)
            except StopIteration as end:
                calls: list[SpelledCall] = end.value
                return calls
        return []


class Salvage:
    """Reads leaked calls, each choice by itself.

    Args:
        names: The tools that were offered.
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out the deltas belong to, for the ids; theirs are counted from it.
        forced: Whether a tool has to be called, so that looser spellings count as well.
    """

    satisfied = False

    def __init__(self, names: frozenset[str], stamp: Stamp, choice: int = 0, *, forced: bool = False) -> None:
        self._names = names
        self._stamp = stamp
        self._first = choice
        self._forced = forced
        self._choices: dict[int, _Choice | None] = {}  # None: its text is text

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Hold text that may be a call; anything else that a choice says shows that it is none."""
        match delta:
            case Text():
                yield from self._text(delta)
            case Reasoning() | Usage():
                yield delta
            case Finish():
                yield from self._finish(delta)
            case Failed():
                for choice in sorted(self._choices):
                    yield from self._release(choice)
                yield delta
            case _:
                yield from self._release(delta.choice)
                yield delta

    def _text(self, delta: Text) -> Iterator[Delta]:
        if delta.choice not in self._choices:
            source = Source()
            reading = read_calls(source, self._names, forced=self._forced)
            self._choices[delta.choice] = _Choice(source, reading)
        choice = self._choices[delta.choice]
        if choice is None:
            yield delta
            return
        choice.held.append(delta)
        if not choice.goes_on(delta.text):
            yield from self._release(delta.choice)

    def _release(self, number: int) -> Iterator[Delta]:
        """Give out the text as it came; what follows is text as well."""
        choice = self._choices.get(number)
        self._choices[number] = None
        if choice is not None:
            yield from choice.held

    def _finish(self, delta: Finish) -> Iterator[Delta]:
        choice = self._choices.get(delta.choice)
        calls = choice.calls(cut=delta.reason == "length") if choice is not None else []
        if not calls:
            yield from self._release(delta.choice)
            yield delta
            return
        for index, call in enumerate(calls):
            call_id = mint_call_id(self._stamp, self._first + delta.choice, index, call.id)
            yield Call(delta.choice, index, call_id, call.name)
            yield Arguments(delta.choice, index, call.arguments)
        yield Finish(delta.choice, "tool_calls" if delta.reason == "stop" else delta.reason)
