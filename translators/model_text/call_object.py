"""The object of a call while it comes, so that its arguments can go on before it is whole.

Arguments go on in pieces only where it is sure by then that they are arguments: the object names a tool that
was offered, and they begin with a key that is none of JSON Schema's words, for small models repeat a tool's
definition where a call is due. Everything else waits for the whole (stated_calls.py).
"""

from bisect import bisect_left, bisect_right

from translators.model_text.almost_json import decoded
from translators.model_text.json_scan import Event, Scanner
from translators.model_text.offered import SCHEMA_WORDS, Offered

_UNKNOWN = object()


class CallObject:
    """Finds name and arguments in the object of a call.

    Args:
        offered: The tools that were offered.
        given: Up to which place of the text the arguments were given out before.
    """

    def __init__(self, offered: Offered, given: int = 0) -> None:
        self.name: str | None = None  # of the tool
        self.is_foreign = False  # whether it names no tool that was offered
        self.given = given
        self.scanner = Scanner()
        self._offered = offered
        self._text = _Pieces()
        self._key: object = None
        self._start: int | None = None  # of the arguments
        self._end: int | None = None
        self._is_object = False  # whether they are one, which can go on in pieces
        self._first_key: object = _UNKNOWN

    @property
    def text(self) -> str:
        """All of it that has come."""
        return self._text.cut(0, self.scanner.position)

    @property
    def flows(self) -> bool:
        """Whether what has come of the arguments may go on."""
        if self.name is None or self._first_key is _UNKNOWN:
            return False
        return self._first_key not in SCHEMA_WORDS or self._first_key in self._offered.parameters(self.name)

    def feed(self, text: str) -> str:
        """Take the next piece and give back what does not belong to the object."""
        before = self.scanner.position
        events = self.scanner.feed(text)
        taken = self.scanner.position - before
        self._text.add(text[:taken])
        for event in events:
            if event.depth == 1:
                self._member(event)
            elif event.kind == "key" and event.depth == 2 and self._is_open():
                self._first_key = decoded(self._text.cut(event.start, event.end))
        return text[taken:]

    def arguments(self) -> str:
        """What has come of the arguments and was not given out."""
        if self._start is None:
            return ""
        begin = max(self._start, self.given)
        end = self._end or (self.scanner.settled if self._is_object else self._start)
        self.given = max(self.given, end)
        return self._text.cut(begin, end)

    def remainder(self, raw: str) -> str:
        """All that stands behind the arguments given out so far, where these never ended."""
        return "" if self._start is None or self._end is not None else raw[max(self._start, self.given) :]

    def _is_open(self) -> bool:
        """Whether the first key of the arguments may come."""
        return self._is_object and self._end is None and self._first_key is _UNKNOWN

    def _member(self, event: Event) -> None:
        match event.kind:
            case "key":
                self._key = decoded(self._text.cut(event.start, event.end))
            case "value" if self._key == "arguments" and self._start is None:
                self._start = event.end
                self._is_object = self._text.cut(event.end, event.end + 1) == "{"
            case "end" if self._key == "name" and self.name is None:
                self.name = self._offered.called(decoded(self._text.cut(event.start, event.end)))
                self.is_foreign = self.name is None
            case "end" if self._key == "arguments" and self._end is None:
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
