"""Reads the calls that stand in the text of an answer, between the marks of which chat templates are made.

So calls a model that was told of tools in words, and of one form in which to call them: a JSON object with
`name` and `arguments` between `<tool_call>` and `</tool_call>`. And so leak the calls of a model that knows
tools, where its server misses them behind what the model says first. Other spellings in which models write
calls are read as well, once they are whole (model_text/spelled_calls.py). In the form that was asked for a
call begins as soon as it is sure (model_text/call_object.py), and its arguments are cut out of the object and
go on as they come; a leaked call is made once it is whole, for before that it may be none. Text streams, and
is held only while it may be a mark or a call.

A call begins a line or a sentence (model_text/prose.py): in a code fence, in inline code, or in the middle of
a sentence it is shown and not made. (An answer that is a fenced call and nothing else is one for `salvage`.)
What stands between the marks and names no tool that was offered, defines one, or has no arguments
that are surely meant, is text. What a model that plays the tool as well says behind its call, from
`<tool_response` on, is left out; the call was whole then, and so is the answer, even where that was cut.

Calls that the backend reports itself count with those from the text: each has the next number of its choice,
and an id of that number. Text in front of one has come to its end.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Refusal, Text
from translators.filters.log_probabilities import LogProbabilities
from translators.model_text.almost_json import mend
from translators.model_text.call_object import CallObject
from translators.model_text.gemma_calls import BARE_GEMMA
from translators.model_text.offered import Offered
from translators.model_text.prose import Prose
from translators.model_text.source import Marks, Source
from translators.model_text.spelled_calls import (
    CLOSE,
    ENDS,
    OPEN,
    RESPONSE,
    TEMPLATES,
    Calls,
    read_behind,
    read_marked,
)
from translators.model_text.stated_calls import NoCallError, SpelledCall, stated_calls
from translators.tools import mint_call_id, restore_call_id

_MARKS: Final = Marks((*TEMPLATES, RESPONSE, *ENDS))
_BEHIND: Final = re.compile("|".join(map(re.escape, (CLOSE, OPEN, RESPONSE))))
_MOST_SPACE: Final = 64  # characters of white space before a mark that are left out
_MOST_FAILED: Final = 32  # marks without a call, behind which all is read again; more only talk about calls
_LONGEST_BROKEN: Final = 65_536  # characters that are waited for behind those that are surely JSON

_Waiting = Generator[None, None, None]


class MarkedCalls:
    """Reads calls between marks, each choice by itself.

    Args:
        offered: The tools that were offered.
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out the deltas belong to, for the ids; theirs are counted from it.
        flows: Whether a call in the form that was asked for goes on before it is whole.
    """

    satisfied = False

    def __init__(self, offered: Offered, stamp: Stamp, choice: int = 0, *, flows: bool) -> None:
        self._offered = offered
        self._stamp = stamp
        self._first = choice
        self._flows = flows
        self._choices: dict[int, _Choice] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on text, and make calls of what stands between marks."""
        match delta:
            case Text():
                yield from self._choice(delta.choice).take(delta)
            case Call() | Refusal():
                choice = self._choice(delta.choice)
                yield from choice.break_off()
                yield choice.numbers.next(delta) if isinstance(delta, Call) else delta
            case Arguments():
                yield self._choice(delta.choice).numbers.of(delta)
            case Finish() if delta.choice in self._choices:
                choice = self._choices[delta.choice]
                yield from choice.end(cut=delta.reason == "length")
                is_whole = delta.reason == "stop" or choice.answered
                yield Finish(delta.choice, "tool_calls") if choice.called and is_whole else delta
            case Failed():
                for _, choice in sorted(self._choices.items()):
                    yield from choice.end(cut=True)
                yield delta
            case _:
                yield delta

    def _choice(self, number: int) -> "_Choice":
        if number not in self._choices:
            numbers = _Numbers(self._stamp, self._first + number)
            self._choices[number] = _Choice(number, self._offered, numbers, flows=self._flows)
        return self._choices[number]


class _Numbers:
    """Numbers the calls of one choice, wherever they come from."""

    def __init__(self, stamp: Stamp, choice: int) -> None:
        self._stamp = stamp
        self._choice = choice
        self._count = 0
        self._given: dict[int, int] = {}  # the number that a call came with -> the one that it has here

    @property
    def last(self) -> int:
        """The number of the call that began last."""
        return self._count - 1

    def new(self, choice: int, name: str, backend_id: str | None) -> Call:
        """A call that begins in the text."""
        call_id = mint_call_id(self._stamp, self._choice, self._count, backend_id)
        self._count += 1
        return Call(choice, self.last, call_id, name)

    def next(self, call: Call) -> Call:
        """A call that begins elsewhere; its id changes where its number does, which is a part of that."""
        self._count += 1
        self._given[call.index] = self.last
        if call.index == self.last:
            return call
        restored = restore_call_id(call.id)
        backend_id = None if restored == call.id else restored
        call_id = mint_call_id(self._stamp, self._choice, self.last, backend_id)
        return replace(call, index=self.last, id=call_id)

    def of(self, arguments: Arguments) -> Arguments:
        """Arguments of a call that began elsewhere."""
        index = self._given.get(arguments.index, arguments.index)
        return arguments if index == arguments.index else replace(arguments, index=index)


class _Choice:
    """Reads the text of one choice; where it needs more, the reading waits."""

    def __init__(self, number: int, offered: Offered, numbers: _Numbers, *, flows: bool) -> None:
        self.numbers = numbers
        self.called = False  # whether a call has begun in the text
        self._number = number
        self._offered = offered
        self._flows = flows
        self._source = Source()
        self._prose = Prose()
        self._space = ""  # white space before the last mark
        self._failed = 0  # marks behind which no call stood
        self._log_probabilities = LogProbabilities()
        self._out: list[Delta] = []
        self._reading = self._read()

    @property
    def answered(self) -> bool:
        """Whether the model went on in the place of the tool."""
        return self._source.answered

    def take(self, delta: Text) -> list[Delta]:
        """Read on."""
        self._log_probabilities.come(delta)
        return self._feed(delta.text)

    def end(self, *, cut: bool) -> list[Delta]:
        """Read to the end; where the answer was cut there nothing is completed."""
        self._source.ended, self._source.cut = True, cut
        return self._feed("")

    def break_off(self) -> list[Delta]:
        """Read to the end of this text, behind which another may begin; nothing is completed here."""
        out = self.end(cut=True)
        if not self.answered:
            self._source.ended = False
            self._prose.break_off()
            self._reading = self._read()
        return out

    def _feed(self, text: str) -> list[Delta]:
        self._source.rest += text
        next(self._reading, None)
        out, self._out = self._out, []
        return out

    def _read(self) -> _Waiting:
        source = self._source
        while not source.answered:
            mark = yield from self._to_mark()
            if mark is None:
                return
            if mark == RESPONSE:
                source.answered = True
            elif mark == OPEN:
                before = self.numbers.last
                yield from self._call()
                if self.numbers.last > before:
                    yield from self._closing()
            elif mark not in ENDS:
                yield from self._spelled(mark, "", read_behind(mark, source, self._offered))
            self._log_probabilities.leave_out(len(source.rest))
        while True:
            source.rest = ""
            yield

    def _give(self, text: str) -> None:
        self._out += self._log_probabilities.give(self._number, text)

    def _say(self, text: str) -> None:
        """Give out text, and see what it is."""
        self._prose.take(text)
        self._give(text)

    def _show(self, mark: str, behind: str = "") -> None:
        """Give out a mark behind which no call stands, and go on with what was read there.

        However much that was: it is the same wherever the text was cut.
        """
        self._give(self._space + mark)
        self._prose.show(mark)
        self._source.rest = behind + self._source.rest

    def _to_mark(self) -> Generator[None, None, str | None]:
        """Give out the text before the next mark."""
        source = self._source
        while True:
            found = _MARKS.search(source.rest)
            if found is not None:
                before, source.rest = source.rest[: found.start()], source.rest[found.end() :]
                self._prose.take(before)
                free = _without_space(before)
                self._give(free)
                self._space = before[len(free) :]
                if self._begins(found[0]):
                    return found[0]
                if found[0][0].isalpha():  # words, for which nobody has waited
                    self._give(self._space)
                    self._say(found[0])
                else:
                    self._show(found[0])
                continue
            free = _without_space(source.rest[: len(source.rest) - self._held()])
            self._say(free)
            source.rest = source.rest[len(free) :]
            if source.ended:
                self._say_last(source.rest)
                source.rest = ""
                return None
            yield

    def _begins(self, mark: str) -> bool:
        """Whether a mark means here what it says; those that stand behind a call mean nothing before one."""
        if self._failed == _MOST_FAILED:
            return False
        if mark not in TEMPLATES:
            return self.called and self._prose.has_room
        return self._prose.begins_line if mark == BARE_GEMMA else self._prose.has_room

    def _held(self) -> int:
        """How many characters at the end may begin a mark; for words nobody waits where no call may begin."""
        rest = self._source.rest
        begun = _MARKS.beginning(rest)
        is_word = begun and rest[-begun].isalpha()
        return 0 if is_word and not self._prose.has_room_behind(rest[:-begun]) else begun

    def _say_last(self, rest: str) -> None:
        """Give out what may have begun a mark; behind a call neither space nor the beginning of a result."""
        begun = rest.lstrip()
        self._prose.take(rest[: len(rest) - len(begun)])
        if not (self.called and RESPONSE.startswith(begun) and (not begun or self._prose.has_room)):
            self._give(rest)

    def _call(self) -> _Waiting:
        """Read what stands behind a mark."""
        found = CallObject(self._offered)
        begun = False
        while True:
            self._source.rest = found.feed(self._source.rest)
            if found.is_foreign:
                self._fail(OPEN, found.text)
                return
            if self._flows and found.flows:
                begun = begun or self._begin(found.name or "")
                self._argue(found.arguments())
            if found.scanner.broken or found.scanner.closed or self._source.ended:
                break
            yield
        if begun and found.scanner.closed:
            return
        if begun:
            yield from self._mended(found)
        elif found.scanner.closed:
            self._state(found.text, found.text)
        elif found.text.strip():
            raw, mended = yield from self._broken(found)
            self._state(mended, raw)
        else:
            yield from self._spelled(OPEN, found.text, read_marked(self._source, self._offered))

    def _begin(self, name: str, backend_id: str | None = None) -> bool:
        """Begin a call."""
        self._out.append(self.numbers.new(self._number, name, backend_id))
        self._prose.break_off()
        self.called = True
        return True

    def _argue(self, text: str) -> None:
        if text:
            self._out.append(Arguments(self._number, self.numbers.last, text))

    def _make(self, calls: Iterable[SpelledCall]) -> None:
        """Make calls that are whole."""
        for call in calls:
            self._begin(call.name, call.id)
            self._argue(call.arguments)

    def _state(self, text: str | None, raw: str) -> None:
        """Make the calls that JSON states, if there is any that does."""
        try:
            calls = stated_calls(text or "", self._offered, marked=True)
        except NoCallError:
            self._fail(OPEN, raw)
        else:
            self._make(calls)

    def _spelled(self, mark: str, space: str, reading: Calls) -> _Waiting:
        """Read calls that are written otherwise, behind a mark and white space."""
        source = self._source
        came = [space, source.rest]
        while True:
            try:
                next(reading)
            except StopIteration as end:
                self._make(end.value)
                return
            except NoCallError:
                source.rest = ""
                self._fail(mark, "".join(came))
                return
            left = len(source.rest)
            yield
            came.append(source.rest[left:])

    def _fail(self, mark: str, behind: str) -> None:
        """See that no call stands behind a mark."""
        self._failed += 1
        self._show(mark, behind)

    def _closing(self) -> _Waiting:
        """Leave out the mark behind a call, which some models forget."""
        source = self._source
        while True:
            source.rest = source.rest.lstrip()
            if source.rest.startswith(CLOSE):
                source.rest = source.rest.removeprefix(CLOSE)
                return
            if not CLOSE.startswith(source.rest):
                return
            if source.ended:
                source.rest = ""
                return
            yield

    def _mended(self, found: CallObject) -> _Waiting:
        """Give out the rest of arguments that are not quite JSON, once all of it is there."""
        raw, mended = yield from self._broken(found)
        better = CallObject(self._offered, found.given)
        better.feed(mended or "")
        self._argue(better.arguments() or found.remainder(raw))

    def _broken(self, found: CallObject) -> Generator[None, None, tuple[str, str | None]]:
        """All of an object that is not quite JSON, up to the next mark; and the JSON that it almost is."""
        source, seen = self._source, 0
        most = max(0, found.scanner.settled + _LONGEST_BROKEN - found.scanner.position)
        while True:
            mark = _BEHIND.search(source.rest, seen)
            # So much more that a mark which begins within the bound is there as a whole, however it comes.
            if mark is not None or source.ended or len(source.rest) >= most + len(RESPONSE):
                break
            seen = max(0, len(source.rest) - len(RESPONSE))
            yield
        end = mark.start() if mark else len(source.rest)
        raw, source.rest = found.text + source.rest[: min(end, most)], source.rest[min(end, most) :]
        is_whole = end <= most and (mark is not None or (source.ended and not source.cut))
        return raw, mend(raw) if is_whole else None


def _without_space(text: str) -> str:
    """The text without the white space at its end, of which a model writes a little before a mark."""
    most = max(0, len(text) - _MOST_SPACE)
    return text[:most] + text[most:].rstrip()
