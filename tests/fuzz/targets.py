"""What is fuzzed: three ways in from outside, each fed with bytes alone.

A target raises where its room does not keep what it promises; hypothesis, the replay of what was found once
and the coverage-guided fuzzer all call these.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.api.wire import Departure, Request
from gateway.exchange import Exchange
from gateway.keys import Keys
from tests.fuzz.connections import ask, serve
from tests.laws.exchange import CATALOGUE, STAMP
from tests.laws.families import FAMILIES
from translators.answers.waiting import told_to_wait
from translators.backends.workers_ai.request import translate
from translators.backends.workers_ai.response import Reader
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS
from translators.clients.openai_error import envelope
from translators.deltas import Delta, Failed, Finish, Usage, fold
from translators.errors import ApiError
from translators.report import Report, header
from translators.sse import Event, EventDecoder

MASTER: Final = b"sk-ps-fuzzed-0123456789"
MODELS: Final = tuple(model for family in FAMILIES for model in family.models[:2])
STATUSES: Final = (200, 200, 200, 200, 400, 404, 413, 429, 500, 503)
KINDS: Final = ("application/json", "text/event-stream", "text/html", "")
CHAT: Final = OPENAI_CHAT.read(
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true,'
    b' "stream_options": {"include_usage": true}}'
)

_DIALECTS: Final = (OPENAI_CHAT, OPENAI_COMPLETIONS)
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


def body(data: bytes) -> None:
    """A client's body: calls to a backend, or an error about the request. The first byte chooses for whom."""
    chosen, raw = data[:1] or b"\0", data[1:]
    dialect, model = _DIALECTS[chosen[0] & 1], MODELS[(chosen[0] >> 1) % len(MODELS)]
    report = Report()
    try:
        request = dialect.read(raw)
        dialogue = translate(request, model, CATALOGUE.facts(model), STAMP, report)
        calls = dialogue.first()
    except ApiError as error:
        check_error(error, range(400, 500))
        return
    assert calls
    for call in calls:
        assert isinstance(msgspec.json.decode(call.body), dict)
        assert call.segments == ("ai", "run", *model.split("/"))
    told = header(report.entries(request.sent, request.settled))
    assert told.isascii()
    assert told.isprintable()
    assert len(told) <= 1024


def events(data: bytes) -> None:
    """A backend's answer, whole and in pieces; its first bytes choose status, type and the pieces' size."""
    chosen, raw = data[:3].ljust(3, b"\0"), data[3:]
    status, size = STATUSES[chosen[0] % len(STATUSES)], len(raw) // 64 + chosen[2] % 64 + 1
    headers = {"content-type": KINDS[chosen[1] % len(KINDS)], "retry-after": "1"}
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    deltas = _deltas(status, headers, [raw])
    assert _comparable(_deltas(status, headers, pieces)) == _comparable(deltas)
    _check_ending(deltas)
    _write(deltas)
    expected = _events_by_lines(raw)
    assert _decoded([raw]) == expected
    assert _decoded(pieces) == expected


def headers(data: bytes) -> None:
    """Headers of a client and of a backend: as they stand in the room that reads them, and as raw HTTP."""
    fields = _fields(data)
    _authenticate(fields)
    _read_body(fields)
    told = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields.items()}
    seconds = told_to_wait(told, 0)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    serve(data)
    ask(data)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"body": body, "events": events, "headers": headers}


def check_error(error: ApiError, statuses: range) -> None:
    """Whether a client can be told: a status of its class, and the envelope with its four keys."""
    assert error.status in statuses, error
    fields = msgspec.json.decode(envelope(error))["error"]
    assert fields.keys() == {"message", "type", "param", "code"}
    assert fields["message"]
    assert len(fields["message"]) < 4096
    assert fields["param"] is None or isinstance(fields["param"], str)
    assert error.retry_after is None or error.retry_after >= 0


def _comparable(deltas: list[Delta]) -> list[Delta | str]:
    """The deltas, with errors as they show: no two of these are equal."""
    return [repr(each) if isinstance(each, Failed) else each for each in deltas]


def _deltas(status: int, headers: Mapping[str, str], pieces: list[bytes]) -> list[Delta]:
    reader = Reader(STAMP, 0, 100, 10)
    reader.start(status, headers)
    return [delta for piece in pieces for delta in reader.feed(piece)] + reader.close()


def _check_ending(deltas: list[Delta]) -> None:
    failures = [delta for delta in deltas if isinstance(delta, Failed)]
    if failures:
        assert failures == [deltas[-1]]
        check_error(failures[0].error, range(400, 600))
        return
    assert isinstance(deltas[-1], Usage)
    assert sum(isinstance(delta, Usage) for delta in deltas) == 1
    assert sum(isinstance(delta, Finish) for delta in deltas) == 1


def _write(deltas: list[Delta]) -> None:
    """A client's stream and its whole answer, which are JSON whatever the backend said."""
    writer = OPENAI_CHAT.writer(CHAT, STAMP)
    for event in (writer.stream(deltas) + writer.end()).removesuffix(b"\n\n").split(b"\n\n"):
        assert event.startswith(b"data: ")
        assert event == b"data: [DONE]" or msgspec.json.decode(event[6:])
    try:
        msgspec.json.decode(OPENAI_CHAT.writer(CHAT, STAMP).whole(fold(deltas)))
    except ApiError as error:
        check_error(error, range(400, 600))


def _decoded(pieces: list[bytes]) -> list[Event]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def _events_by_lines(raw: bytes) -> list[Event]:
    """The events of a stream as the specification says it, all of it at hand; and the end without a field."""
    events: list[Event] = []
    data: list[bytes] = []
    name = b""
    for line in [*_LINE_END.split(raw.removeprefix(b"\xef\xbb\xbf")), b""]:
        field, _, value = line.partition(b":")
        if not line:
            events += [Event(b"\n".join(data), name)] if data else []
            data, name = [], b""
        elif field == b"data":
            data.append(value.removeprefix(b" "))
        elif line == b"[DONE]":
            data.append(line)
        elif field == b"event" and b":" in line:
            name = value.removeprefix(b" ")
    return events


def _fields(data: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in data.split(b"\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _authenticate(fields: Mapping[bytes, bytes]) -> None:
    try:
        Keys(MASTER.decode()).known(fields)
    except ApiError as error:
        check_error(error, range(401, 402))
    else:
        assert any(MASTER in value for value in fields.values())


def _read_body(fields: dict[bytes, bytes]) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    watch: Any = _Watch()
    request = Request(Exchange("POST", "/"), Departure(), watch, fields, receive, 1024, lambda _size: True)
    read: object = None
    try:
        request.body().send(None)
    except (StopIteration, ApiError) as end:
        read = end
    if isinstance(read, ApiError):
        assert read.status in {413, 415}
        check_error(read, range(400, 500))
    else:
        assert isinstance(read, StopIteration)
        assert read.value == b"{}"


class _Watch:
    """A watch that nobody looks at."""

    def wait_for(self, phase: str) -> None:
        assert phase == "body_idle"
