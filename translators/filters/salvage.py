"""Makes calls of what a model wrote as text (model_text/spelled_calls.py), where tools were offered.

Servers miss calls now and then: gpt-oss leaks them as JSON with no tool calls and the finish `stop`
(cloudflare/ai#574), small models in the spelling of their training. Text is held only while all of it may
still be such a call, which mostly the first character decides, and is given out as it came the moment it
cannot be one. What a model that plays the tool as well says behind its call is left out; the call was whole
then, and so is the answer, even where that was cut.
"""

from collections.abc import Iterator

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Text, Usage
from translators.model_text.offered import Offered
from translators.model_text.source import Reading, Source
from translators.model_text.spelled_calls import ALL, read_calls
from translators.model_text.stated_calls import NoCallError, SpelledCall
from translators.tools import mint_call_id


class _Choice:
    """One choice whose text may be a call."""

    def __init__(self, offered: Offered, marks: tuple[str, ...], *, forced: bool) -> None:
        self.held: list[Delta] = []
        self.calls: list[SpelledCall] = []  # known at the end
        self.is_text = False  # whether it can be no call
        self._source = Source()
        self._reading = self._read(offered, marks, forced=forced)

    @property
    def answered(self) -> bool:
        """Whether the model went on in the place of the tool."""
        return self._source.answered

    def feed(self, text: str) -> None:
        """Read on."""
        self._source.rest += text
        next(self._reading, None)

    def end(self, *, cut: bool) -> None:
        """Read to the end."""
        self._source.ended, self._source.cut = True, cut
        self.feed("")

    def _read(self, offered: Offered, marks: tuple[str, ...], *, forced: bool) -> Reading[None]:
        try:
            self.calls = yield from read_calls(self._source, offered, marks, forced=forced)
        except NoCallError:
            self.is_text = True


class Salvage:
    """Reads leaked calls, each choice by itself.

    Args:
        offered: The tools that were offered.
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out the deltas belong to, for the ids; theirs are counted from it.
        marks: How a call may begin (model_text/spelled_calls.py).
        forced: Whether a call had to come.
    """

    satisfied = False

    def __init__(
        self,
        offered: Offered,
        stamp: Stamp,
        choice: int = 0,
        marks: tuple[str, ...] = ALL,
        *,
        forced: bool = False,
    ) -> None:
        self._offered = offered
        self._stamp = stamp
        self._first = choice
        self._marks = marks
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
            self._choices[delta.choice] = _Choice(self._offered, self._marks, forced=self._forced)
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
        is_whole = delta.reason == "stop" or choice.answered
        yield Finish(delta.choice, "tool_calls" if is_whole else delta.reason)
