"""Reads the calls of a model that was told of tools in words, and of one form in which to call them.

A call is a JSON object with `name` and `arguments` between `<tool_call>` and `</tool_call>`. It begins as
soon as it is sure (model_text/call_object.py), and its arguments are cut out of the object and go on as they
come. The other spellings in which models write calls between these marks are read as well, once they are
whole (model_text/spelled_calls.py). Text streams, and is held only while it may be a mark.

A call begins a line or a sentence (model_text/prose.py): in a code fence, in inline code, or in the middle of
a sentence it is shown and not made. (An answer that is a fenced call and nothing else is one for `salvage`.)
What stands between the marks and names no tool that was offered, defines one, or has no arguments
that are surely meant, is text. What a model that plays the tool as well says behind its call, from
`<tool_response` on, is left out; the call was whole then, and so is the answer, even where that was cut.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Text
from translators.model_text.almost_json import mend
from translators.model_text.call_object import CallObject
from translators.model_text.offered import Offered
from translators.model_text.prose import Prose
from translators.model_text.source import Source, beginning
from translators.model_text.spelled_calls import CLOSE, OPEN, RESPONSE, read_marked
from translators.model_text.stated_calls import NoCallError, SpelledCall, stated_calls
from translators.tools import mint_call_id

_MARKS: Final = (OPEN, RESPONSE)
_MARK: Final = re.compile("|".join(map(re.escape, _MARKS)))
_BEHIND: Final = re.compile("|".join(map(re.escape, (CLOSE, *_MARKS))))
_MOST_SPACE: Final = 64  # characters of white space before a mark that are left out
_LONGEST_BROKEN: Final = 65_536  # characters that are waited for behind the first that is no JSON

_Waiting = Generator[None, None, None]


class PromptedCalls:
    """Reads calls between marks, each choice by itself.

    Args:
        offered: The tools that were offered.
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out the deltas belong to, for the ids; theirs are counted from it.
    """

    satisfied = False

    def __init__(self, offered: Offered, stamp: Stamp, choice: int = 0) -> None:
        self._offered = offered
        self._stamp = stamp
        self._first = choice
        self._choices: dict[int, _Choice] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on text, and make calls of what stands between marks."""
        match delta:
            case Text():
                yield from self._text(delta)
            case Finish() if delta.choice in self._choices:
                choice = self._choices[delta.choice]
                yield from choice.end(cut=delta.reason == "length")
                is_whole = delta.reason == "stop" or choice.answered
                yield Finish(delta.choice, "tool_calls") if choice.count and is_whole else delta
            case Failed():
                for _, choice in sorted(self._choices.items()):
                    yield from choice.end(cut=True)
                yield delta
            case _:
                yield delta

    def _text(self, delta: Text) -> Iterator[Delta]:
        if delta.choice not in self._choices:
            self._choices[delta.choice] = _Choice(delta.choice, self._offered, self._stamp, self._first)
        out = self._choices[delta.choice].feed(delta.text)
        yield from [delta] if out == [Text(delta.choice, delta.text)] else out


class _Choice:
    """Reads the text of one choice; where it needs more, the reading waits."""

    def __init__(self, number: int, offered: Offered, stamp: Stamp, first: int) -> None:
        self.count = 0  # calls that have begun
        self._number = number
        self._offered = offered
        self._stamp = stamp
        self._first = first
        self._source = Source()
        self._prose = Prose()
        self._space = ""  # white space before the last mark
        self._out: list[Delta] = []
        self._reading = self._read()

    @property
    def answered(self) -> bool:
        """Whether the model went on in the place of the tool."""
        return self._source.answered

    def feed(self, text: str) -> list[Delta]:
        """Read on."""
        self._source.rest += text
        next(self._reading, None)
        out, self._out = self._out, []
        return out

    def end(self, *, cut: bool) -> list[Delta]:
        """Read to the end; where the answer was cut there nothing is completed."""
        self._source.ended, self._source.cut = True, cut
        return self.feed("")

    def _read(self) -> _Waiting:
        while True:
            mark = yield from self._to_mark()
            if mark is None:
                return
            if mark == RESPONSE:
                self._source.answered = True
                break
            yield from self._call()
        while True:
            self._source.rest = ""
            yield

    def _give(self, text: str) -> None:
        if text:
            self._out.append(Text(self._number, text))

    def _say(self, text: str) -> None:
        """Give out text, and see what it is."""
        self._prose.take(text)
        self._give(text)

    def _say_mark(self, text: str) -> None:
        """Give out what turned out to be no call, from its mark on."""
        self._give(self._space)
        self._say(OPEN + text)

    def _to_mark(self) -> Generator[None, None, str | None]:
        """Give out the text before the next mark."""
        source = self._source
        while True:
            found = _MARK.search(source.rest)
            if found is not None:
                before, source.rest = source.rest[: found.start()], source.rest[found.end() :]
                self._prose.take(before)
                free = _without_space(before)
                self._give(free)
                self._space = before[len(free) :]
                if self._prose.has_room and (found[0] == OPEN or self.count):
                    return found[0]
                self._give(self._space)
                self._say(found[0])
                continue
            free = _without_space(source.rest[: len(source.rest) - beginning(source.rest, _MARKS)])
            self._say(free)
            source.rest = source.rest[len(free) :]
            if source.ended:
                self._say_last(source.rest)
                return None
            yield

    def _say_last(self, rest: str) -> None:
        """Give out what may have begun a mark; behind a call neither space nor the beginning of a result."""
        begun = rest.lstrip()
        self._prose.take(rest[: len(rest) - len(begun)])
        if not (self.count and RESPONSE.startswith(begun) and (not begun or self._prose.has_room)):
            self._give(rest)

    def _call(self) -> _Waiting:
        """Read what stands behind a mark."""
        found = CallObject(self._offered)
        begun = False
        while True:
            self._source.rest = found.feed(self._source.rest)
            if found.is_foreign:
                self._say_mark(found.text)
                return
            if found.flows:
                begun = begun or self._begin(found.name or "")
                self._argue(found.arguments())
            if found.scanner.broken or found.scanner.closed or self._source.ended:
                break
            yield
        if begun and found.scanner.closed:
            yield from self._closing()
        elif begun:
            yield from self._mended(found)
        elif found.scanner.closed:
            yield from self._stated(found.text, found.text)
        elif found.text.strip():
            raw, mended = yield from self._broken(found)
            yield from self._stated(mended, raw)
        else:
            yield from self._spelled(found.text)

    def _begin(self, name: str) -> bool:
        """Begin a call."""
        call_id = mint_call_id(self._stamp, self._first + self._number, self.count, None)
        self._out.append(Call(self._number, self.count, call_id, name))
        self.count += 1
        return True

    def _argue(self, text: str) -> None:
        if text:
            self._out.append(Arguments(self._number, self.count - 1, text))

    def _made(self, calls: Iterable[SpelledCall]) -> _Waiting:
        """Make calls that are whole."""
        for call in calls:
            self._begin(call.name)
            self._argue(call.arguments)
        yield from self._closing()

    def _stated(self, text: str | None, raw: str) -> _Waiting:
        """Make the calls that JSON states, if there is any that does."""
        try:
            calls = stated_calls(text or "", self._offered, marked=True)
        except NoCallError:
            self._say_mark(raw)
        else:
            yield from self._made(calls)

    def _spelled(self, space: str) -> _Waiting:
        """Read calls that are written otherwise."""
        source = self._source
        reading = read_marked(source, self._offered)
        came = [source.rest]
        while True:
            try:
                next(reading)
            except StopIteration as end:
                yield from self._made(end.value)
                return
            except NoCallError:
                read = "".join(came)
                self._say_mark(space + read[: len(read) - len(source.rest)])
                return
            left = len(source.rest)
            yield
            came.append(source.rest[left:])

    def _closing(self) -> _Waiting:
        """Leave out the mark behind a call, which some models forget."""
        source = self._source
        self._prose.break_off()
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
        yield from self._closing()

    def _broken(self, found: CallObject) -> Generator[None, None, tuple[str, str | None]]:
        """All of an object that is not quite JSON, up to the next mark; and the JSON that it almost is."""
        source, seen = self._source, 0
        while True:
            mark = _BEHIND.search(source.rest, seen)
            if mark is not None or source.ended or len(source.rest) > _LONGEST_BROKEN:
                break
            seen = max(0, len(source.rest) - len(RESPONSE))
            yield
        end = mark.start() if mark else len(source.rest)
        raw, source.rest = found.text + source.rest[:end], source.rest[end:]
        is_whole = mark is not None or (source.ended and not source.cut)
        return raw, mend(raw) if is_whole else None


def _without_space(text: str) -> str:
    """The text without the white space at its end, of which a model writes a little before a mark."""
    most = max(0, len(text) - _MOST_SPACE)
    return text[:most] + text[most:].rstrip()
