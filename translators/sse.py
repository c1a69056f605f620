"""Server-sent events, read from bytes.

Only CR, LF and CRLF end a line (WHATWG HTML, section 9.2.6): U+2028 and U+0085 may stand
unescaped inside a JSON string, so the text is never split as `str`. Comments, `id` and `retry` are passed
over. A last event that lacks its blank line is given out at `close`, since Workers AI does not always
send one. The word that ends a stream counts without the name of its field as well: it stands so in the tests
of Cloudflare's own client.
"""

from typing import Final, NamedTuple

EVENT_LIMIT: Final = 8 * 1024 * 1024  # bytes; whole tool calls and images arrive as one event

# What a line costs beside its bytes: an event of two million empty lines would hold 100 MB of nothing.
_LINE: Final = 56

_BOM: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its data lines joined by a newline, and its name where it has one."""

    data: bytes
    name: bytes = b""


class EventTooLongError(ValueError):
    """An event is longer than the limit; `before` are the events that were whole before it."""

    def __init__(self, limit: int, before: list[Event]) -> None:
        super().__init__(f"An event is longer than {limit} bytes.")
        self.before = before


class EventDecoder:
    """Cuts a byte stream into events; however the bytes arrive, the events are the same."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._line: list[bytes] = []  # pieces of the line that has not ended yet
        self._data: list[bytes] = []
        self._name = b""
        self._size = 0  # bytes held of the event that has not ended yet
        self._after_cr = False
        self._first_line = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes and give the events that they complete.

        Raises:
            EventTooLongError: One event exceeds the limit.
        """
        if chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") and self._is_between_events():
            plain = self._plain(chunk)
            if plain:
                self._first_line = False
                return plain
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        events: list[Event] = []
        # bytes.splitlines knows CR, LF and CRLF only, unlike its twin of str.
        lines = chunk.splitlines(keepends=True)
        rest = b"" if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        for line in lines:
            self._take_line(line.rstrip(b"\r\n"), events)
        if rest:
            self._hold(rest, events)
        self._after_cr = chunk.endswith(b"\r")
        return events

    def _is_between_events(self) -> bool:
        return not (self._size or self._name or self._after_cr)

    def _plain(self, chunk: bytes) -> list[Event]:
        """The events where each is one line, written as all backends write it; none where one is not."""
        events: list[Event] = []
        for line in chunk[:-2].split(b"\n\n"):
            is_plain = line.startswith(b"data: ") and b"\n" not in line and b"\r" not in line
            if not is_plain or len(line) + _LINE > self._limit:
                return []
            events.append(Event(line[6:]))
        return events

    def close(self) -> list[Event]:
        """Give the last event, where the stream ended without a blank line."""
        events: list[Event] = []
        if self._line:
            self._take_line(b"", events)
        self._take_line(b"", events)
        return events

    def _take_line(self, ending: bytes, events: list[Event]) -> None:
        self._hold(ending, events)
        line = b"".join(self._line)
        self._line.clear()
        self._size += _LINE
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line:
            self._dispatch(events)
        elif line.startswith(b"event:"):
            self._name = line[6:].removeprefix(b" ")
        elif line == b"data":
            self._data.append(b"")
        elif line == b"[DONE]":
            self._data.append(line)

    def _hold(self, piece: bytes, events: list[Event]) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise EventTooLongError(self._limit, events)
        self._line.append(piece)

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append(Event(b"\n".join(self._data), self._name))
            self._data.clear()
        self._name = b""
        self._size = 0
