"""Server-sent events in every legal and illegal spelling, to a streamed and a whole request."""

from dataclasses import dataclass
from itertools import chain

import pytest

from tests.faults.chaos_server import (
    DONE,
    END,
    EVENTS,
    GOOD,
    GOOD_WHOLE,
    LAST,
    Act,
    Flood,
    Script,
    chunk,
    event,
    stream,
)
from tests.faults.conftest import Between
from tests.faults.outcomes import Breaks, Fails, Outcome, Says, check, check_books, check_nothing_left

HEL, LO = event(response="Hel"), event(response="lo")
PLAIN = HEL + LO + LAST + DONE
INVALID = "bad_backend_answer"
MIB = 2**20
HELLO = Says()


@dataclass(frozen=True)
class Fault:
    """How a stream is spelled, and what becomes of it; a whole answer fails where a stream would break."""

    name: str
    script: Script
    expected: Outcome = HELLO


def broken(code: str, status: int = 502, outcome: str = "invalid", text: str = "Hel") -> Outcome:
    """The outcome of a stream; `as_whole` gives that of a whole answer."""
    return Breaks(code, outcome, text=text) if text else Fails(status, code, outcome)


def then(first: bytes, *rest: bytes) -> Script:
    """A stream whose first piece is read by itself, so that it has gone out when the rest comes."""
    return (EVENTS, chunk(first), Act.TURN, *(chunk(each) for each in rest), END)


def byte_by_byte(data: bytes) -> Script:
    pieces = [data[at : at + 1] for at in range(len(data))]
    return (
        EVENTS,
        *chain.from_iterable((chunk(each), Act.TURN) for each in pieces[:40]),
        chunk(data[40:]),
        END,
    )


def cut_at(data: bytes, at: int) -> Script:
    return (EVENTS, chunk(data[:at]), Act.TURN, chunk(data[at:]), END)


LEGAL = (
    Fault("line feeds", stream(PLAIN)),
    Fault("carriage returns and line feeds", stream(PLAIN.replace(b"\n", b"\r\n"))),
    Fault("carriage returns alone", stream(PLAIN.replace(b"\n", b"\r"))),
    Fault(
        "line ends of all three kinds",
        stream(HEL.replace(b"\n", b"\r"), LO.replace(b"\n", b"\r\n"), LAST, DONE),
    ),
    Fault("no space after the colon", stream(PLAIN.replace(b"data: ", b"data:"))),
    Fault("a byte order mark", stream(b"\xef\xbb\xbf" + PLAIN)),
    Fault("comments", stream(b": hello\n\n", HEL, b":\n", LO, b": canary\n\n", LAST, DONE)),
    Fault("ids", stream(b"id: 1\n" + HEL, b"id: 2\n" + LO, b"id\n\n", LAST, DONE)),
    Fault("an id and a comment by themselves", stream(b"id: 1\n\n", b": x\n\n", HEL, LO, LAST, DONE)),
    Fault("event names", stream(b"event: message\n" + HEL, b"event: delta\n" + LO, LAST, DONE)),
    Fault("retry", stream(b"retry: 10\n\n", HEL, b"retry: 10\n" + LO, LAST, DONE)),
    Fault("unknown fields", stream(b"canary: x\n\n", HEL, b"x\n" + LO, LAST, DONE)),
    Fault("data over several lines", stream(b'data: {"response":\ndata: "Hel"}\n\n', LO, LAST, DONE)),
    Fault("no final newline", then(HEL, LO, LAST, b"data: [DONE]")),
    Fault("no final blank line", then(HEL, LO, LAST, b"data: [DONE]\n")),
    Fault("many blank lines", stream(b"\n\n\n", HEL, b"\n\n", LO, b"\n", LAST, DONE)),
    Fault("empty data", stream(b"data\n\n", HEL, b"data:\n\n", LO, LAST, DONE)),
    Fault("all events in one piece", stream(PLAIN)),
    Fault("a byte at a time", byte_by_byte(PLAIN)),
    Fault("a cut between carriage return and line feed", cut_at(PLAIN.replace(b"\n", b"\r\n"), len(HEL) + 1)),
    Fault(
        "a cut inside a character",
        cut_at(
            'data: {"response":"Grüße 🌊"}\n\n'.encode() + LAST + DONE,
            len(b'data: {"response":"Gr') + 1,
        ),
        Says("Grüße 🌊"),
    ),
    Fault(
        "line separators of Unicode inside the text",
        stream('data: {"response":"a\u2028b\u2029c\u0085d"}\n\n'.encode(), LAST, DONE),
        Says("a\u2028b\u2029c\u0085d"),
    ),
    Fault("NUL as an escape", stream(b'data: {"response":"a\\u0000b"}\n\n', LAST, DONE), Says("a\x00b")),
    Fault(
        "an event of three megabytes", stream(event(response="x" * 3 * MIB), LAST, DONE), Says("x" * 3 * MIB)
    ),
    Fault("usage on every event", stream(event(response="Hel", usage={}), LO, LAST, DONE)),
)

ILLEGAL = (
    Fault(
        "invalid UTF-8 in the text",
        stream(b'data: {"response":"a\xff\xfeb"}\n\n', LAST, DONE),
        Says("a\ufffd\ufffdb"),
    ),
    Fault("NUL in a comment", stream(b": a\x00b\n\n", HEL, LO, LAST, DONE)),
    Fault("NUL in the text", then(HEL, b'data: {"response":"a\x00b"}\n\n', LAST, DONE), broken(INVALID)),
    Fault("an event that is no JSON", then(HEL, b"data: {canary\n\n", LAST, DONE), broken(INVALID)),
    Fault(
        "a first event that is no JSON",
        stream(b"data: <html>canary\n\n", LAST, DONE),
        broken(INVALID, text=""),
    ),
    Fault("an event that is a list", then(HEL, b"data: []\n\n", LAST, DONE), broken(INVALID)),
    Fault("an event that is null", then(HEL, b"data: null\n\n", LAST, DONE), broken(INVALID)),
    Fault(
        "an event nested too deep",
        then(HEL, b"data: " + b"[" * 100_000 + b"\n\n", LAST, DONE),
        broken(INVALID),
    ),
    Fault("two [DONE]", then(HEL, LO, LAST, DONE, DONE)),
    Fault("events after [DONE]", then(HEL, LO, LAST, DONE, event(response="canary"))),
    Fault("nonsense after [DONE]", then(HEL, LO, LAST, DONE, b"\xff\x00canary")),
    Fault("no end of the body after [DONE]", (*then(HEL, LO, LAST, DONE)[:-1], Act.HANG)),
    Fault("a reset after [DONE]", (*then(HEL, LO, LAST, DONE)[:-1], Act.TURN, Act.RESET)),
    Fault("a close after [DONE]", (*then(HEL, LO, LAST, DONE)[:-1], Act.CLOSE)),
    Fault("much after [DONE]", (*then(HEL, LO, LAST, DONE)[:-1], Flood(chunk(b"x" * 65536), MIB), Act.HANG)),
    Fault("spaces around [DONE]", then(HEL, LO, LAST, b"data:   [DONE] \n\n", event(response="canary"))),
    Fault("[DONE] alone", stream(DONE), broken(INVALID, text="")),
    Fault("comments alone", stream(b": a\n\n", b": b\n\n"), broken(INVALID, text="")),
    Fault(
        "an event larger than the limit",
        (
            EVENTS,
            chunk(HEL),
            Act.TURN,
            chunk(b'data: {"response":"'),
            Flood(chunk(b"x" * 65536), 9 * MIB),
            Act.HANG,
        ),
        broken(INVALID),
    ),
    Fault(
        "a line without end",
        (EVENTS, chunk(HEL), Act.TURN, Flood(chunk(b":" * 65536), 64 * MIB), Act.HANG),
        broken(INVALID),
    ),
    Fault(
        "empty lines of data without end",
        (EVENTS, chunk(HEL), Act.TURN, Flood(chunk(b"data:\n" * 10_000), 64 * MIB), Act.HANG),
        broken(INVALID),
    ),
)

ERRORS = (
    Fault(
        "OpenAI's error as the first event",
        stream(event(error={"message": "canary", "code": 500})),
        broken("upstream_error", outcome="http_5xx", text=""),
    ),
    Fault(
        "OpenAI's error in the middle",
        then(HEL, event(error={"message": "canary", "type": "server_error"}), DONE),
        broken("upstream_error", outcome="http_5xx"),
    ),
    Fault(
        "a text as the error",
        then(HEL, event(error="canary at http://10.0.0.7/")),
        broken("upstream_error", outcome="http_5xx"),
    ),
    Fault(
        "Workers AI's errors as the first event",
        stream(event(success=False, errors=[{"code": 3040, "message": "canary"}])),
        broken("overloaded", 503, "http_5xx", text=""),
    ),
    Fault(
        "Workers AI's errors in the middle",
        then(HEL, event(errors=[{"code": 3040, "message": "canary"}])),
        broken("overloaded", 503, "http_5xx"),
    ),
    Fault(
        "an error event with a name",
        then(HEL, b'event: error\ndata: {"error":{"message":"canary"}}\n\n'),
        broken("upstream_error", outcome="http_5xx"),
    ),
    Fault(
        "a rate limit in the middle",
        then(HEL, event(error={"message": "canary", "type": "rate_limit_error"})),
        broken("rate_limit_exceeded", 429, "rate_limited"),
    ),
    Fault(
        "an error after the usage and before [DONE]",
        then(HEL, LO, LAST, event(error={"message": "canary"}), DONE),
        broken("upstream_error", outcome="http_5xx", text="Hello"),
    ),
)


def choices(delta: dict[str, object], reason: str | None = None) -> bytes:
    return event(choices=[{"index": 0, "delta": delta, "finish_reason": reason}])


def openai(*pieces: bytes) -> Script:
    usage = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
    return stream(choices({"role": "assistant", "content": ""}), *pieces, usage, DONE)


FORMS = (
    Fault("OpenAI's form", openai(choices({"content": "Hello"}), choices({}, "stop"))),
    Fault(
        "deltas after the finish",
        openai(choices({"content": "Hello"}), choices({}, "stop"), choices({"content": "!"})),
        Says("Hello!"),
    ),
    Fault("two finishes", openai(choices({"content": "Hello"}), choices({}, "stop"), choices({}, "stop"))),
    Fault("an unknown finish", openai(choices({"content": "Hello"}), choices({}, "canary"))),
    Fault("choices of null", openai(choices({"content": "Hello"}), event(choices=None), choices({}, "stop"))),
    Fault(
        "a delta of null",
        openai(choices({"content": "Hello"}), event(choices=[{"delta": None}]), choices({}, "stop")),
    ),
)

FAULTS = (*LEGAL, *ILLEGAL, *ERRORS, *FORMS)


def as_whole(expected: Outcome) -> Outcome:
    """What a request for a whole answer sees, which can still be told so by the status."""
    statuses = {"overloaded": 503, "rate_limit_exceeded": 429}
    if isinstance(expected, Breaks):
        return Fails(statuses.get(expected.code, 502), expected.code, expected.outcome)
    return expected


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_events(between: Between, fault: Fault, *, streamed: bool) -> None:
    served, chaos = await between(fault.script)
    answer = await served.chat(stream=streamed)
    expected = fault.expected if streamed else as_whole(fault.expected)
    check(answer, expected)
    await check_nothing_left(served, chaos)
    await check_books(served, expected)
    chaos.scripts = [GOOD if streamed else GOOD_WHOLE]
    check(await served.chat(stream=streamed), Says())
