"""Reads the calls of a model that was told of tools in words, and of one form in which to call them.

A call is a JSON object with `name` and `arguments` between `<tool_call>` and `</tool_call>`. It begins as
soon as its name is known, and its arguments are cut out of the object and go on as they come. Text streams
as well, and is held only while it may be the mark. What stands between the marks and names no tool that was
offered, or is not even almost JSON, is text.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from typing import Final

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Text
from translators.model_text.almost_json import decoded, mend
from translators.model_text.json_scan import Event, Scanner
from translators.tools import mint_call_id

OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"

_ARGUMENTS: Final = ("arguments", "parameters")  # Llama's own word is the second
_MOST_SPACE: Final = 64  # characters of white space before a mark that are left out
_LONGEST_BROKEN: Final = 65_536  # characters that are waited for behind the first that is no JSON
_NONE: Final = "{}"  # the arguments of a call that states none: clients parse them as JSON

_Waiting = Generator[None, None, None]


class PromptedCalls:
    """Reads calls between marks, each choice by itself.

    Args:
        names: The tools that were offered.
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out the deltas belong to, for the ids; theirs are counted from it.
    """

    satisfied = False

    def __init__(self, names: frozenset[str], stamp: Stamp, choice: int = 0) -> None:
        self._names = names
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
                called = choice.count and delta.reason == "stop"
                yield Finish(delta.choice, "tool_calls") if called else delta
            case Failed():
                for _, choice in sorted(self._choices.items()):
                    yield from choice.end(cut=True)
                yield delta
            case _:
                yield delta

    def _text(self, delta: Text) -> Iterator[Delta]:
        if delta.choice not in self._choices:
            self._choices[delta.choice] = _Choice(delta.choice, self._names, self._stamp, self._first)
        out = self._choices[delta.choice].feed(delta.text)
        yield from [delta] if out == [Text(delta.choice, delta.text)] else out


class _Choice:
    """Reads the text of one choice; where it needs more, the reading waits."""

    def __init__(self, number: int, names: frozenset[str], stamp: Stamp, first: int) -> None:
        self.count = 0  # calls that have begun
        self._number = number
        self._names = names
        self._stamp = stamp
        self._first = first
        self._rest = ""  # text that was not read yet
        self._mark = ""  # the last mark, with the white space before it
        self._ended = False
        self._cut = False
        self._out: list[Delta] = []
        self._reading = self._read()

    def feed(self, text: str) -> list[Delta]:
        """Read on."""
        self._rest += text
        next(self._reading, None)
        out, self._out = self._out, []
        return out

    def end(self, *, cut: bool) -> list[Delta]:
        """Read to the end; where the answer was cut there nothing is completed."""
        self._ended, self._cut = True, cut
        return self.feed("")

    def _read(self) -> _Waiting:
        while True:
            yield from self._to_mark()
            if self._ended and not self._rest:
                return
            yield from self._call()

    def _say(self, text: str) -> None:
        if text:
            self._out.append(Text(self._number, text))

    def _to_mark(self) -> _Waiting:
        """Give out the text before the next mark."""
        while True:
            before, mark, rest = self._rest.partition(OPEN)
            if mark:
                free = _without_space(before)
                self._say(free)
                self._mark = before[len(free) :] + mark
                self._rest = rest
                return
            free = _without_space(before[: len(before) - _beginning_of_mark(before)])
            self._say(free)
            self._rest = before[len(free) :]
            if self._ended:
                self._say("" if self.count and not self._rest.strip() else self._rest)
                self._rest = ""
                return
            yield

    def _call(self) -> _Waiting:
        """Read what stands behind a mark."""
        found = _Object()
        while True:
            self._rest = found.feed(self._rest)
            if found.name is not None and not found.begun and not self._begin(found):
                self._say(self._mark + found.text)
                return
            self._argue(found.arguments() if found.begun else "")
            if found.scanner.broken or found.scanner.closed or self._ended:
                break
            yield
        if not found.scanner.closed:
            yield from self._mended(found)
        elif found.begun:
            self._argue("" if found.given else _NONE)
            yield from self._closing()
        else:
            self._say(self._mark + found.text)

    def _begin(self, found: "_Object") -> bool:
        """Begin the call, if it names a tool that was offered."""
        if not isinstance(found.name, str) or found.name not in self._names:
            return False
        call_id = mint_call_id(self._stamp, self._first + self._number, self.count, None)
        self._out.append(Call(self._number, self.count, call_id, found.name))
        self.count += 1
        found.begun = True
        return True

    def _argue(self, text: str) -> None:
        if text:
            self._out.append(Arguments(self._number, self.count - 1, text))

    def _closing(self) -> _Waiting:
        """Leave out the mark behind a call, which some models forget."""
        while True:
            self._rest = self._rest.lstrip()
            if self._rest.startswith(CLOSE):
                self._rest = self._rest.removeprefix(CLOSE)
                return
            if not CLOSE.startswith(self._rest):
                return
            if self._ended:
                self._rest = ""
                return
            yield

    def _mended(self, found: "_Object") -> _Waiting:
        """Read an object that is not quite JSON, once all of it is there."""
        while not self._ended and CLOSE not in self._rest and len(self._rest) <= _LONGEST_BROKEN:
            yield
        rest, close, self._rest = self._rest.partition(CLOSE)
        raw = found.text + rest
        is_whole = bool(close) or (self._ended and not self._cut)
        better = _Object(found.given)
        better.feed((mend(raw) if is_whole else None) or "")
        if found.begun:
            none = _NONE if is_whole and not found.given else ""
            self._argue(better.arguments() or found.remainder(raw) or none)
        elif better.name is not None and self._begin(better):
            self._argue(better.arguments() or _NONE)
        else:
            self._say(self._mark + raw + close)


class _Object:
    """Finds name and arguments in the object of a call.

    Args:
        given: Up to which place of the text the arguments were given out before.
    """

    def __init__(self, given: int = 0) -> None:
        self.name: object = None  # whatever stands there
        self.begun = False  # whether its call was given out
        self.given = given
        self.scanner = Scanner()
        self._text = _Pieces()
        self._key: object = None
        self._start: int | None = None  # of the arguments
        self._end: int | None = None
        self._streams = False  # whether they are an object, which can go on in pieces

    @property
    def text(self) -> str:
        """All of it that has come."""
        return self._text.cut(0, self.scanner.position)

    def feed(self, text: str) -> str:
        """Take the next piece and give back what does not belong to the object."""
        before = self.scanner.position
        events = self.scanner.feed(text)
        taken = self.scanner.position - before
        self._text.add(text[:taken])
        for event in events:
            if event.depth == 1:
                self._member(event)
        return text[taken:]

    def arguments(self) -> str:
        """What has come of the arguments and was not given out."""
        if self._start is None:
            return ""
        begin = max(self._start, self.given)
        end = self._end or (self.scanner.settled if self._streams else self._start)
        self.given = max(self.given, end)
        return self._text.cut(begin, end)

    def remainder(self, raw: str) -> str:
        """All that stands behind the arguments given out so far, where these never ended."""
        return "" if self._start is None or self._end is not None else raw[max(self._start, self.given) :]

    def _member(self, event: Event) -> None:
        is_arguments = self._key in _ARGUMENTS
        match event.kind:
            case "key":
                self._key = decoded(self._text.cut(event.start, event.end))
            case "value" if is_arguments and self._start is None:
                self._start = event.end
                self._streams = self._text.cut(event.end, event.end + 1) == "{"
            case "end" if self._key == "name" and self.name is None:
                self.name = decoded(self._text.cut(event.start, event.end))
            case "end" if is_arguments and self._end is None:
                self._end = event.end
            case _:
                pass


class _Pieces:
    """Text that comes in pieces, of which parts are cut out without joining all of it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._begins: list[int] = []
        self._length = 0

    def add(self, text: str) -> None:
        """Take the next piece."""
        self._pieces.append(text)
        self._begins.append(self._length)
        self._length += len(text)

    def cut(self, start: int, end: int) -> str:
        """What stands between two places."""
        first = max(0, bisect_right(self._begins, start) - 1)
        last = bisect_left(self._begins, end)
        begin = self._begins[first] if self._begins else 0
        return "".join(self._pieces[first:last])[start - begin : max(start, end) - begin]


def _without_space(text: str) -> str:
    """The text without the white space at its end, of which a model writes a little before a mark."""
    most = max(0, len(text) - _MOST_SPACE)
    return text[:most] + text[most:].rstrip()


def _beginning_of_mark(text: str) -> int:
    """How many characters at the end may begin a mark."""
    for size in range(min(len(text), len(OPEN) - 1), 0, -1):
        if OPEN.startswith(text[-size:]):
            return size
    return 0
