"""A backend's answer, whole or streamed, read into deltas.

The answer's own first byte decides how it is read, never the model and hardly its headers: JSON may come
to a request for a stream, and proxies on the way name types as they like.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from translators.answers.answer import Answer, Payload
from translators.answers.envelope import holds_error
from translators.answers.waiting import told_to_wait
from translators.call import Stamp
from translators.deltas import Delta, Failed, Usage
from translators.errors import ApiError, bad_answer
from translators.sse import Event, EventDecoder, EventTooLongError
from translators.surrogates import Halves

WHOLE_LIMIT: Final = 32 * 1024 * 1024  # bytes of a whole answer

# How JSON begins, and how a line of an event stream: data, event, id, retry, a comment, a byte order mark.
_JSON: Final = frozenset(b"{[")
_EVENTS: Final = frozenset(b"deir:\xef")

_WAITING: Final = frozenset({429, 503})

# A raw field is decoded late, so that reading a payload fails in the same ways as decoding it.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_payload = msgspec.json.Decoder(Payload)


class _Envelope(msgspec.Struct, gc=False):
    """What REST wraps around a whole answer."""

    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    success: Any = None
    errors: Any = None
    error: Any = None


_envelope = msgspec.json.Decoder(_Envelope)


class Reader:
    """Reads one answer (an `AnswerReader`); each dialect of backends has its own words for what is wrong.

    Args:
        stamp: The exchange's.
        choice: Which choice this is; the first one, where there are several.
        max_tokens: What was asked for, of each.
        prompt_estimate: The prompt in tokens.
        choices: How many were asked for.

    Attributes:
        who: The backend, as it is called at the beginning of a sentence.
    """

    who = "The backend"

    def __init__(
        self, stamp: Stamp, choice: int, max_tokens: int, prompt_estimate: int, choices: int = 1
    ) -> None:
        self._answer = Answer(stamp, choice, max_tokens, prompt_estimate, choices)
        self._halves: Halves | None = None  # made where an escape may be one
        self._now = stamp.created
        self._status = 0
        self._succeeded = False
        self._headers: Mapping[str, str] = {}
        self._form_is_known = False
        self._events: EventDecoder | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._done = False  # the stream's own end was seen
        self._failed = False

    def error_in(self, status: int, body: bytes, now: int) -> ApiError:
        """The common error of an answer that is no success; the seconds are since 1970."""
        raise NotImplementedError

    def no_answer(self, body: bytes) -> ApiError:
        """The error of a success in a form that is not known."""
        kind = "an empty body" if not body.strip() else "an answer in a form that is not known"
        return bad_answer(f"{self.who} sent {kind}. Ask again; if it stays, tell the gateway's operator.")

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and the headers of the answer."""
        self._status, self._headers = status, headers
        self._succeeded = 200 <= status < 300
        self._form_is_known = not self._succeeded

    def feed(self, data: bytes) -> list[Delta]:
        """Take the next bytes of the body."""
        if self._failed or self._done:
            return []
        if not self._form_is_known:
            data = data.lstrip()  # in whatever pieces it comes, white space before an answer is none of it
            self._learn_form(data)
        if self._events is None:
            return self._hold(data)
        try:
            return self._take(self._events.feed(data))
        except EventTooLongError as error:
            return self._take(error.before, too_long=True)

    def is_done(self) -> bool:
        """Whether the stream's own end was seen."""
        return self._done

    def close(self) -> list[Delta]:
        """Take the regular end of the body."""
        if self._failed:
            return []
        if self._events is None:
            return self._whole(b"".join(self._body))
        out = self._take([] if self._done else self._events.close())
        if out and isinstance(out[-1], Failed):
            return out
        if not (self._done or self._answer.ended):
            return [*out, *self._fail(bad_answer(f"{self.who} ended its answer before it was whole."))]
        if not self._answer.spoke:
            return [*out, *self._fail(self.no_answer(b"?"))]
        return [*out, *self._end()]

    def usage(self) -> Usage:
        """What the backend reported, or else our own count of what came so far."""
        return self._answer.usage()

    def _learn_form(self, beginning: bytes) -> None:
        """Events or one body? The first byte tells, wherever the answer is cut."""
        if beginning:
            self._form_is_known = True
            first = beginning[0]
            if first in _EVENTS or (first not in _JSON and self._declares_events()):
                self._events = EventDecoder()

    def _declares_events(self) -> bool:
        return self._headers.get("content-type", "").startswith("text/event-stream")

    def _hold(self, data: bytes) -> list[Delta]:
        self._size += len(data)
        if self._size > WHOLE_LIMIT:
            return self._fail(bad_answer(f"{self.who} sent an answer that is too long to be read."))
        self._body.append(data)
        return []

    def _whole(self, body: bytes) -> list[Delta]:
        if not self._succeeded:
            return self._fail(self._error(self._status, body))
        body = self._readable(body)
        try:
            envelope = _envelope.decode(body)
            if envelope.success is False:
                return self._fail(self._error(self._status, body))
            # A proxy on the way may have taken the envelope off.
            out = self._deltas(body if envelope.result is msgspec.UNSET else envelope.result)
        except _UNREADABLE:
            return self._fail(self._shapeless(body))
        if self._failed:
            return out[-1:]
        # `success` is the verdict on a call; errors are where it is missing, and where nothing came.
        if (envelope.errors or envelope.error) and not (out and envelope.success is True):
            return self._fail(self._error(502, body))
        if not self._answer.spoke:
            return self._fail(self._shapeless(body))
        out += self._end()
        return out

    def _readable(self, data: bytes) -> bytes:
        """JSON that can be decoded; a broken character is no reason to lose an answer."""
        # One byte is found sooner than two, and most events have none.
        is_escaped = b"\\" in data and b"\\u" in data
        if is_escaped and (b"\\ud" in data or b"\\uD" in data):  # half of a character, or both
            self._halves = self._halves or Halves()
            data = self._halves.read(data)
        return data if data.isascii() else data.decode(errors="replace").encode()

    def _deltas(self, data: bytes | msgspec.Raw) -> list[Delta]:
        """What one event or a whole result says; it may end with its failure."""
        payload = _payload.decode(data)
        if payload.errors or payload.error:
            return self._fail(self._error(502, bytes(data)))
        out = self._answer.take(payload)
        if self._halves is not None:
            out = self._halves.join(out)
        if self._answer.broke:
            out += self._fail(bad_answer(f"{self.who} says that it failed. Ask again."))
        elif not out and not payload.is_answer and payload.usage is None and holds_error(bytes(data)):
            return self._fail(self._error(502, bytes(data)))
        return out

    def _end(self) -> list[Delta]:
        if self._answer.lacks_choices:
            return self._fail(bad_answer(f"{self.who} gave fewer answers than were asked for. Ask again."))
        end = self._answer.end()
        end.append(self.usage())
        return end if self._halves is None else [*self._halves.end(), *end]

    def _shapeless(self, body: bytes) -> ApiError:
        """The error of a body that is no answer; it may say so itself, though nothing else does."""
        if holds_error(body):
            return self._error(self._status, body)
        return self.no_answer(body)

    def _error(self, status: int, body: bytes) -> ApiError:
        error = self.error_in(status, body, self._now)
        if error.status in _WAITING:  # what the backend says is more than what we can compute
            told = told_to_wait(self._headers, self._now)
            error.retry_after = error.retry_after if told is None else told
        return error

    def _take(self, events: list[Event], *, too_long: bool = False) -> list[Delta]:
        """The deltas of some events, behind which may stand one that is too long."""
        out: list[Delta] = []
        for event in events:
            if event.data == b"[DONE]":
                self._done = True
                return out
            if not event.data:
                continue
            if event.name == b"error":  # whatever the form of what it says
                return [*out, *self._fail(self._error(502, event.data))]
            try:
                out += self._deltas(self._readable(event.data))
            except _UNREADABLE:
                out += self._unreadable(event.data)
            if self._failed or self._done:
                return out
        if too_long:
            out += self._fail(bad_answer(f"{self.who} sent an event that is too long to be read."))
        return out

    def _unreadable(self, data: bytes) -> list[Delta]:
        """What an event says that is no JSON: that all is done, or several events without a line between."""
        if data.strip() == b"[DONE]":
            self._done = True
            return []
        lines = data.split(b"\n")
        if len(lines) > 1:
            return self._take([Event(line) for line in lines])
        return self._fail(bad_answer(f"{self.who} sent an event that is no JSON object."))

    def _fail(self, error: ApiError) -> list[Delta]:
        self._failed = True
        self._body.clear()
        return [Failed(error)]
