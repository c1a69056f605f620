"""Makes calls of what a model wrote as text (model_text/spelled_calls.py), where tools were offered.

Servers miss calls now and then: gpt-oss leaks them as JSON with no tool calls and the finish `stop`
(cloudflare/ai#574), small models in the spelling of their training. Text is held only while all of it may
still be such a call, which mostly the first character decides, and is given out as it came the moment it
cannot be one.
"""

from collections.abc import Iterator

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Text, Usage
from translators.model_text.spelled_calls import USUAL, NoCallError, Reading, Source, SpelledCall, read_calls
from translators.tools import mint_call_id


class _Choice:
    """One choice whose text may be a call."""

    def __init__(self, names: frozenset[str], marks: tuple[str, ...]) -> None:
        self.held: list[Delta] = []
        self.calls: list[SpelledCall] = []  # known at the end
        self.is_text = False  # whether it can be no call
        self._source = Source()
        self._reading = self._read(names, marks)

    def feed(self, text: str) -> None:
        """Read on."""
        self._source.rest += text
        next(self._reading, None)

    def end(self, *, cut: bool) -> None:
        """Read to the end."""
        self._source.ended, self._source.cut = True, cut
        self.feed("")

    def _read(self, names: frozenset[str], marks: tuple[str, ...]) -> Reading[None]:
        try:
            self.calls = yield from read_calls(self._source, names, marks)
        except NoCallError:
            self.is_text = True


class Salvage:
    """Reads leaked calls, each choice by itself.

    Args:
        names: The tools that were offered.
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out the deltas belong to, for the ids; theirs are counted from it.
        marks: How a call may begin (model_text/spelled_calls.py).
    """

    satisfied = False

    def __init__(
        self, names: frozenset[str], stamp: Stamp, choice: int = 0, marks: tuple[str, ...] = USUAL
    ) -> None:
        self._names = names
        self._stamp = stamp
        self._first = choice
        self._marks = marks
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
            self._choices[delta.choice] = _Choice(self._names, self._marks)
        choice = self._choices[delta.choice]
        if choice is None:
            yield delta
            return
        choice.held.append(delta)
        choice.feed(delta.text)
        if choice.is_text:
            yield from self._release(delta.choice)

    def _release(self, number: int) -> Iterator[Delta]:
        """Give out the text as it came; what follows is text as well."""
        choice = self._choices.get(number)
        self._choices[number] = None
        if choice is not None:
            yield from choice.held

    def _finish(self, delta: Finish) -> Iterator[Delta]:
        choice = self._choices.get(delta.choice)
        if choice is not None:
            choice.end(cut=delta.reason == "length")
        if choice is None or not choice.calls:
            yield from self._release(delta.choice)
            yield delta
            return
        for index, call in enumerate(choice.calls):
            call_id = mint_call_id(self._stamp, self._first + delta.choice, index, call.id)
            yield Call(delta.choice, index, call_id, call.name)
            yield Arguments(delta.choice, index, call.arguments)
        yield Finish(delta.choice, "tool_calls" if delta.reason == "stop" else delta.reason)
