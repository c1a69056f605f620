"""Backends that hang, break off, lie about lengths or say what is no answer, asked whole and streamed."""

import gzip
import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import pytest

from tests.faults.chaos_server import (
    CHUNKED,
    EVENTS,
    GOOD,
    GOOD_WHOLE,
    LAST,
    Act,
    Flood,
    Script,
    chunk,
    envelope,
    event,
    failed,
    head,
    said,
    stream,
    whole,
)
from tests.faults.conftest import Between
from tests.faults.outcomes import Breaks, Fails, Outcome, Says, check, check_books, check_nothing_left

FLOOD = 64 * 2**20
IN_2100 = 4_102_444_800
SHORT = {"first_byte": 0.05, "gap": 0.05, "total": 1.0}
HTML = b"<html><body>canary 10.0.0.7 /srv/app.py</body></html>"
BOMB = gzip.compress(bytes(64 * 2**20))
DEEP = b'{"result":' + b"[" * 100_000

UNREADABLE = Fails(502, "bad_backend_answer", "invalid")
BROKEN = Fails(502, "backend_broken", "reset")
SILENT = Fails(504, "deadline_first_byte", "timeout", "first_byte")
STALLED = Fails(504, "deadline_gap", "timeout", "gap")
HELLO = Says()


@dataclass(frozen=True)
class Fault:
    """What a backend does, and what a client sees of it who asked for a whole answer or for a stream."""

    name: str
    script: Script
    whole: Outcome
    stream: Outcome | None = None  # the same, where not said
    greeting: Script = ()
    deadlines: Any = None


def over(status: int, body: bytes = b"", content_type: str = "application/json", *more: str) -> Script:
    return (whole(body, status, content_type, *more),)


def cut(body: bytes, *end: Act) -> Script:
    """An answer that is longer than what comes of it."""
    return (head(200, "application/json", f"content-length: {len(body) + 10}"), body, *end)


HALF = said("Hello")[:20]
BEGUN = (EVENTS, chunk(event(response="Hel")))

HANGS = (
    Fault("hang before anything is said", (Act.HANG,), SILENT, deadlines=SHORT),
    Fault("hang in the status line", (b"HTTP/1.1 20", Act.HANG), SILENT, deadlines=SHORT),
    Fault("hang in the headers", (b"HTTP/1.1 200 OK\r\nx: ", Act.HANG), SILENT, deadlines=SHORT),
    Fault(
        "headers that never end",
        (b"HTTP/1.1 200 OK\r\n", *([b"x: y\r\n", Act.TURN] * 20), Act.HANG),
        SILENT,
        deadlines=SHORT,
    ),
    Fault(
        "interim responses and no other",
        (b"HTTP/1.1 102 Wait\r\n\r\n" * 9, Act.HANG),
        SILENT,
        deadlines=SHORT,
    ),
    Fault("hang before the body", (CHUNKED, Act.HANG), SILENT, deadlines=SHORT),
    Fault("hang in the middle of the body", (CHUNKED, chunk(HALF), Act.HANG), STALLED, deadlines=SHORT),
    Fault(
        "hang before the end of the body", (CHUNKED, chunk(said("Hello")), Act.HANG), STALLED, deadlines=SHORT
    ),
    Fault(
        "hang in an error's body",
        (head(500, "application/json", "content-length: 9"), Act.HANG),
        SILENT,
        deadlines=SHORT,
    ),
    Fault(
        "hang in the middle of the stream",
        (*BEGUN, Act.HANG),
        STALLED,
        Breaks("deadline_gap", "timeout", "gap"),
        deadlines=SHORT,
    ),
    Fault(
        "hang in the middle of an event",
        (*BEGUN, chunk(b'data: {"resp'), Act.HANG),
        STALLED,
        Breaks("deadline_gap", "timeout", "gap"),
        deadlines=SHORT,
    ),
    Fault(
        "a trickle that never ends",
        (EVENTS, chunk(event(response="Hel")), *([chunk(b": wait\n\n"), Act.TURN] * 2000), Act.HANG),
        Fails(504, "deadline_total", "timeout", "total"),
        Breaks("deadline_total", "timeout", "total"),
        deadlines={"gap": 5.0, "total": 0.3},
    ),
)

BREAKS = (
    Fault("reset before anything is read", (), BROKEN, greeting=(Act.RESET,)),
    Fault("close before anything is read", (), BROKEN, greeting=(Act.CLOSE,)),
    Fault("reset before the headers", (Act.RESET,), BROKEN),
    Fault("close before the headers", (Act.CLOSE,), BROKEN),
    Fault("reset in the headers", (b"HTTP/1.1 200 OK\r\nx: ", Act.TURN, Act.RESET), BROKEN),
    Fault("close in the headers", (b"HTTP/1.1 200 OK\r\nx: ", Act.TURN, Act.CLOSE), BROKEN),
    Fault("reset before the body", (CHUNKED, Act.TURN, Act.RESET), BROKEN),
    Fault("reset in the middle of the body", (CHUNKED, chunk(HALF), Act.TURN, Act.RESET), BROKEN),
    Fault("close in the middle of the body", (CHUNKED, chunk(HALF), Act.TURN, Act.CLOSE), BROKEN),
    Fault(
        "reset in the middle of the stream",
        (*BEGUN, Act.TURN, Act.RESET),
        BROKEN,
        Breaks("backend_broken", "reset"),
    ),
    Fault(
        "close in the middle of the stream",
        (*BEGUN, Act.TURN, Act.CLOSE),
        BROKEN,
        Breaks("backend_broken", "reset"),
    ),
    Fault(
        "close in the middle of a chunk",
        (*BEGUN, b"ff\r\ndata: {", Act.TURN, Act.CLOSE),
        BROKEN,
        Breaks("backend_broken", "reset"),
    ),
    Fault(
        "a bad chunk size",
        (*BEGUN, Act.TURN, b"zz\r\n", Act.TURN, Act.CLOSE),
        BROKEN,
        Breaks("backend_broken", "reset"),
    ),
    Fault("an early clean end before the first event", stream(), UNREADABLE),
    Fault(
        "an early clean end in the middle of the stream",
        stream(event(response="Hel")),
        UNREADABLE,
        Breaks("bad_backend_answer", "invalid"),
    ),
    Fault(
        "an early clean end in the middle of an event",
        stream(event(response="Hel"), b'data: {"resp'),
        UNREADABLE,
        Breaks("bad_backend_answer", "invalid"),
    ),
    Fault("no [DONE] after the usage", stream(event(response="Hello"), LAST), HELLO),
)

LENGTHS = (
    Fault("a body shorter than its length", cut(said("Hello"), Act.TURN, Act.CLOSE), BROKEN),
    Fault("a body that never reaches its length", cut(said("Hello"), Act.HANG), STALLED, deadlines=SHORT),
    Fault("a truncated body of the right length", (whole(said("Hello")[:30]),), UNREADABLE),
    Fault(
        "a body longer than its length",
        (head(200, "application/json", "content-length: 30"), said("Hello"), Act.TURN, Act.CLOSE),
        UNREADABLE,
    ),
    Fault(
        "a length that is no number",
        (head(200, "application/json", "content-length: x"), b"{}", Act.CLOSE),
        BROKEN,
    ),
    Fault(
        "two lengths",
        (head(200, "application/json", "content-length: 2", "content-length: 99"), b"{}", Act.CLOSE),
        BROKEN,
    ),
    Fault(
        "a body without a length that ends with the connection", (head(200), said("Hello"), Act.CLOSE), HELLO
    ),
    Fault("a body without end", (CHUNKED, Flood(chunk(b"[" * 65536), 40 * 2**20), Act.HANG), UNREADABLE),
)

STATUSES = (
    Fault("400 with a body", over(400, failed(5006)), Fails(400, None, "http_4xx")),
    Fault("400 without a body", over(400), Fails(400, None, "http_4xx")),
    Fault("401", over(401, failed(10000)), Fails(502, "upstream_auth", "http_5xx")),
    Fault("403 as HTML", over(403, HTML, "text/html"), Fails(502, "upstream_auth", "http_5xx")),
    Fault("404 without a body", over(404), Fails(404, "model_not_found", "http_4xx")),
    Fault("408 of the backend's", over(408, failed(3007)), Fails(504, "timeout", "timeout")),
    Fault("413 as HTML", over(413, HTML, "text/html"), Fails(413, None, "http_4xx")),
    *(
        Fault(f"{status} {kind}", over(status, body, content_type), expected)
        for status, expected in (
            (500, Fails(502, "upstream_error", "http_5xx")),
            (502, Fails(502, "upstream_error", "http_5xx")),
            (503, Fails(503, "overloaded", "http_5xx")),
            (504, Fails(504, "timeout", "timeout")),
            (529, Fails(503, "overloaded", "http_5xx")),
        )
        for kind, body, content_type in (
            ("as JSON", failed(0), "application/json"),
            ("as HTML", HTML, "text/html"),
            ("without a body", b"", ""),
            ("with a cut body", failed(0)[:9], "application/json"),
        )
    ),
    *(
        Fault(
            f"a redirect {status} to another host",
            over(status, b"", "", "location: http://169.254.169.254/canary"),
            Fails(502, "upstream_error", "http_5xx"),
        )
        for status in (301, 302, 303, 307, 308)
    ),
    Fault("204 without a body", (head(204),), UNREADABLE),
    Fault(
        "an interim response before the answer", (b"HTTP/1.1 103 Hints\r\n\r\n", whole(said("Hello"))), HELLO
    ),
)


def limited(*headers: str) -> Script:
    return over(429, failed(3021), "application/json", *headers)


def says_when(seconds: str, milliseconds: str) -> Fails:
    headers = (("retry-after", seconds), ("retry-after-ms", milliseconds))
    return Fails(429, "rate_limit_exceeded", "rate_limited", headers=headers)


RETRIES = (
    Fault("429 with Retry-After in seconds", limited("retry-after: 7"), says_when("7", "7000")),
    Fault("429 with retry-after-ms", limited("retry-after-ms: 1500"), says_when("2", "1500")),
    Fault(
        "429 with both, the exact one holds",
        limited("retry-after: 9", "retry-after-ms: 1500"),
        says_when("2", "1500"),
    ),
    Fault("429 with an hour in Retry-After", limited("retry-after: 3600"), says_when("3600", "3600000")),
    Fault(
        "429 with a date that has passed in Retry-After",
        limited("retry-after: Sun, 06 Nov 1994 08:49:37 GMT"),
        says_when("1", "0"),
    ),
    Fault(
        "429 with a date in Retry-After",
        limited(f"retry-after: {formatdate(IN_2100, usegmt=True)}"),
        Fails(429, "rate_limit_exceeded", "rate_limited", at=IN_2100),
    ),
    Fault(
        "429 with a broken Retry-After",
        limited("retry-after: soon"),
        Fails(429, "rate_limit_exceeded", "rate_limited"),
    ),
    Fault(
        "429 with a negative Retry-After",
        limited("retry-after: -5"),
        Fails(429, "rate_limit_exceeded", "rate_limited"),
    ),
    Fault("429 without a body", over(429), Fails(429, "rate_limit_exceeded", "rate_limited")),
    Fault(
        "503 with Retry-After in seconds",
        over(503, failed(3040), "application/json", "retry-after: 4"),
        Fails(503, "overloaded", "http_5xx", headers=(("retry-after", "4"),)),
    ),
)

BODIES = (
    Fault("an empty answer", over(200), UNREADABLE),
    Fault("HTML under 200", over(200, HTML, "text/html"), UNREADABLE),
    Fault("HTML that calls itself JSON", over(200, HTML), UNREADABLE),
    Fault("HTML that calls itself events", over(200, HTML, "text/event-stream"), UNREADABLE),
    Fault("plain words", over(200, b"canary: ok", "text/plain"), UNREADABLE),
    Fault("null", over(200, b"null"), UNREADABLE),
    Fault("a list", over(200, b"[]"), UNREADABLE),
    Fault("an empty object", over(200, b"{}"), UNREADABLE),
    Fault("a result of null", over(200, envelope(None)), UNREADABLE),
    Fault("invalid UTF-8 where there is JSON", over(200, b'{"\xff'), UNREADABLE),
    Fault("JSON too deep", over(200, DEEP), UNREADABLE),
    Fault("an error object under 200", over(200, failed(3040)), Fails(503, "overloaded", "http_5xx")),
    Fault(
        "OpenAI's error object under 200",
        over(200, json.dumps({"error": {"message": "canary"}}).encode()),
        Fails(502, "upstream_error", "http_5xx"),
    ),
    Fault("a JSON answer that calls itself HTML", over(200, said("Hello"), "text/html"), HELLO),
    Fault("a JSON answer without a type", over(200, said("Hello"), ""), HELLO),
    Fault("a JSON answer that calls itself events", over(200, said("Hello"), "text/event-stream"), HELLO),
    Fault("events that call themselves JSON", (CHUNKED, *GOOD[1:]), HELLO),
    Fault(
        "events that call themselves nothing", (head(200, "", "transfer-encoding: chunked"), *GOOD[1:]), HELLO
    ),
    Fault("a stream nobody asked for, or the one that was", GOOD, HELLO),
    Fault("a whole answer nobody asked for, or the one that was", GOOD_WHOLE, HELLO),
)

ENCODINGS = (
    Fault(
        "gzip nobody asked for",
        over(200, gzip.compress(said("Hello")), "application/json", "content-encoding: gzip"),
        UNREADABLE,
    ),
    Fault("a gzip bomb", over(200, BOMB, "application/json", "content-encoding: gzip"), UNREADABLE),
    Fault(
        "a gzip bomb as events", over(200, BOMB, "text/event-stream", "content-encoding: gzip"), UNREADABLE
    ),
    Fault(
        "gzip that is none", over(200, b"canary", "application/json", "content-encoding: gzip"), UNREADABLE
    ),
    Fault(
        "deflate", over(200, b"\x78\x9c\x03\x00", "application/json", "content-encoding: deflate"), UNREADABLE
    ),
    Fault(
        "an unknown encoding", over(200, b"canary", "application/json", "content-encoding: zebra"), UNREADABLE
    ),
    Fault(
        "gzip under an error status",
        over(503, gzip.compress(HTML), "text/html", "content-encoding: gzip"),
        Fails(503, "overloaded", "http_5xx"),
    ),
)

HEADERS = (
    Fault(
        "a header of a megabyte", over(200, said("Hello"), "application/json", "x: " + "y" * 2**20), BROKEN
    ),
    Fault("a thousand headers", over(200, said("Hello"), "application/json", *["x: y"] * 1000), HELLO),
    Fault(
        "ten thousand headers",
        over(200, said("Hello"), "application/json", *["x: " + "y" * 20] * 10_000),
        BROKEN,
    ),
    Fault("a header line that is none", over(200, said("Hello"), "application/json", "canary"), BROKEN),
    Fault("a status that is none", (b"HTTP/1.1 000 Said\r\ncontent-length: 0\r\n\r\n", Act.HANG), BROKEN),
    Fault("no HTTP at all", (b"SSH-2.0-canary\r\n", Act.CLOSE), BROKEN),
    Fault(
        "cookies and hop-by-hop headers",
        over(
            200,
            said("Hello"),
            "application/json",
            "set-cookie: a=canary",
            "connection: x-foo",
            "x-foo: canary",
        ),
        HELLO,
    ),
)

ENDLESS = (
    Fault("a reason that never ends", (b"HTTP/1.1 200 ", Flood(b"y" * 65536, FLOOD), Act.HANG), BROKEN),
    Fault(
        "a header that never ends", (b"HTTP/1.1 200 OK\r\nx: ", Flood(b"y" * 65536, FLOOD), Act.HANG), BROKEN
    ),
    Fault(
        "interim responses without end",
        (Flood(b"HTTP/1.1 102 Wait\r\n\r\n" * 1000, FLOOD), Act.HANG),
        BROKEN,
    ),
    Fault(
        "a chunk extension that never ends",
        (CHUNKED, b"5;", Flood(b"y" * 65536, FLOOD), Act.HANG),
        BROKEN,
    ),
    Fault(
        "a trailer that never ends",
        (CHUNKED, chunk(said("Hello")), b"0\r\nx: ", Flood(b"y" * 65536, FLOOD), Act.HANG),
        BROKEN,
    ),
    Fault(
        "trailers without end",
        (CHUNKED, chunk(said("Hello")), b"0\r\n", Flood(b"x: y\r\n" * 10_000, FLOOD), Act.HANG),
        BROKEN,
    ),
    Fault(
        "another protocol nobody asked for",
        (head(101, "", "connection: upgrade", "upgrade: canary"), b"canary", Act.HANG),
        BROKEN,
    ),
    Fault(
        "trailers that end",
        (CHUNKED, chunk(said("Hello")), b"0\r\nserver-timing: total;dur=9\r\nset-cookie: canary\r\n\r\n"),
        HELLO,
    ),
)

FAULTS = (*HANGS, *BREAKS, *LENGTHS, *STATUSES, *RETRIES, *BODIES, *ENCODINGS, *HEADERS, *ENDLESS)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_upstream(between: Between, fault: Fault, *, streamed: bool) -> None:
    served, chaos = await between(fault.script, greeting=fault.greeting, deadlines=fault.deadlines or {})
    answer = await served.chat(stream=streamed)
    expected = fault.stream if streamed and fault.stream else fault.whole
    check(answer, expected)
    await check_nothing_left(served, chaos)
    await check_books(served, expected)
    chaos.greeting, chaos.scripts = (), [(GOOD_WHOLE, GOOD)[streamed]]
    check(await served.chat(stream=streamed), HELLO)
