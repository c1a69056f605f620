"""Requests that are no HTTP, or could be read in two ways: refused in OpenAI's words, and never passed on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.chaos_client import PATH, chaos_client, head, request
from tests.faults.chaos_server import END, GOOD, GOOD_WHOLE, chunk
from tests.faults.conftest import Between
from tests.faults.outcomes import is_error
from tests.gateway.served import MASTER, asks

Lines = Callable[[], list[dict[str, Any]]]

CRLF = b"\r\n"


@dataclass(frozen=True)
class Fault:
    name: str
    data: bytes
    status: int = 400
    code: str = "invalid_http"


def post(*headers: str, body: bytes = b"", method: str = "POST") -> bytes:
    return head(method, "/v1/chat/completions", "content-type: application/json", *headers) + body


def chunked(body: bytes, *headers: str) -> bytes:
    return post("transfer-encoding: chunked", *headers, body=body)


GOOD_REQUEST = request()
CHAT = json.dumps(asks()).encode()
ENDLESS = b"x" * 2**20
UPGRADE = ("connection: upgrade", "upgrade: h2c")

FRAMING = (
    Fault("a length and chunks", post("content-length: 5", "transfer-encoding: chunked", body=b"0\r\n\r\n")),
    Fault("chunks and a length", post("transfer-encoding: chunked", "content-length: 5", body=b"0\r\n\r\n")),
    Fault("two lengths", post("content-length: 5", "content-length: 6", body=b"hello!")),
    Fault("the same length twice", post("content-length: 5", "content-length: 5", body=b"hello")),
    Fault("a list of lengths", post("content-length: 5, 5", body=b"hello")),
    Fault("a length with a sign", post("content-length: +5", body=b"hello")),
    Fault("a negative length", post("content-length: -5", body=b"hello")),
    Fault("a hexadecimal length", post("content-length: 0x5", body=b"hello")),
    Fault("a length that overflows", post("content-length: 99999999999999999999999", body=b"hello")),
    Fault("an empty length", post("content-length: ", body=b"hello")),
    Fault("a length in two words", post("content-length: 1 1", body=b"hello")),
    Fault("an encoding after chunks", post("transfer-encoding: chunked, gzip", body=b"0\r\n\r\n")),
    Fault("an encoding before chunks", post("transfer-encoding: gzip, chunked", body=b"0\r\n\r\n")),
    Fault("an unknown transfer encoding", post("transfer-encoding: xchunked", body=b"0\r\n\r\n")),
    Fault("identity as transfer encoding", post("transfer-encoding: identity", body=b"{}")),
    Fault(
        "chunks said twice",
        post("transfer-encoding: chunked", "transfer-encoding: chunked", body=b"0\r\n\r\n"),
    ),
    Fault("chunks behind a vertical tab", post("transfer-encoding: \x0bchunked", body=b"0\r\n\r\n")),
    Fault("a space before the colon", post("transfer-encoding : chunked", body=b"0\r\n\r\n")),
    Fault(
        "chunks with HTTP/1.0",
        head("POST", "/v1/chat/completions", "transfer-encoding: chunked", version="HTTP/1.0") + b"0\r\n\r\n",
    ),
)

CHUNKS = (
    Fault("a hexadecimal prefix in a chunk size", chunked(b"0x5\r\nhello\r\n0\r\n\r\n")),
    Fault("a sign in a chunk size", chunked(b"+5\r\nhello\r\n0\r\n\r\n")),
    Fault("a negative chunk size", chunked(b"-5\r\nhello\r\n0\r\n\r\n")),
    Fault("a space after a chunk size", chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
    Fault("a space before a chunk size", chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
    Fault("a chunk size that overflows", chunked(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
    Fault("no chunk size", chunked(b"\r\nhello\r\n0\r\n\r\n")),
    Fault("a chunk size without carriage return", chunked(b"5\nhello\n0\n\n")),
    Fault("a chunk longer than its size", chunked(b"5\r\nhelloXX0\r\n\r\n")),
    Fault("a line feed in a chunk extension", chunked(b'5;a="b\n"\r\nhello\r\n0\r\n\r\n')),
    Fault("a bad chunk after good ones", chunked(b"1\r\n{\r\n1\r\n}\r\nZ\r\n")),
    Fault("a trailer that never ends", chunked(b"2\r\n{}\r\n0\r\nx: " + ENDLESS), 431, "headers_too_large"),
    Fault("a chunk extension that never ends", chunked(b"2;" + ENDLESS), 431, "headers_too_large"),
    Fault("a chunk size that never ends", chunked(ENDLESS.replace(b"x", b"0")), 431, "headers_too_large"),
    Fault("endless trailers", chunked(b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 10_000), 431, "headers_too_large"),
)

LINES = (
    Fault("bare line feeds", b"GET /v1/models HTTP/1.1\nhost: x\n\n"),
    Fault("a bare line feed in a header", post("x: a\ncontent-length: 0")),
    Fault("a bare carriage return in a header", post("x: a\rcontent-length: 0")),
    Fault("a folded header", post("x: a\r\n b")),
    Fault("a header without a colon", post("canary")),
    Fault("a header without a name", post(": canary")),
    Fault("a space in a header's name", post("x y: canary")),
    Fault("NUL in a header's value", post("x: a\x00b")),
    Fault("NUL in a header's name", post("x\x00: b")),
    Fault("no Host", b"GET /v1/models HTTP/1.1\r\nauthorization: Bearer " + MASTER.encode() + b"\r\n\r\n"),
    Fault("two Hosts", head("GET", "/v1/models", "host: y")),
    Fault("the same Host twice", head("GET", "/v1/models", "host: x")),
)

TARGETS = (
    Fault("a target that is a whole URL", head("GET", "http://canary.example/v1/models")),
    Fault("a target that is a whole URL without a host", head("GET", "http:///v1/models")),
    Fault("a target of another scheme", head("GET", "ftp://x/v1/models")),
    Fault("a target with a password", head("GET", f"http://{MASTER}:{MASTER}@canary.example/v1/models")),
    Fault("a target without a slash", head("GET", "v1/models")),
    Fault("a target with a space", head("GET", "/v1/mod els")),
    Fault("a target with NUL", head("GET", "/v1/models\x00")),
    Fault("a target that is not ASCII", head("GET", "/v1/m\xf6dels")),
    Fault("CONNECT", head("CONNECT", "canary.example:443")),
    Fault("no version", b"GET /v1/models\r\n\r\n"),
    Fault("HTTP/1.2", head("GET", "/v1/models", version="HTTP/1.2")),
    Fault("HTTP/2.0 as text", head("GET", "/v1/models", version="HTTP/2.0")),
    Fault("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    Fault("a method that is none", head("FOO", "/v1/models")),
    Fault("a method in lower case", head("get", "/v1/models")),
    Fault("a tab after the method", b"GET\t/v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
    Fault("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03canary"),
    Fault("noise", bytes(range(256)) * 8),
)

LIMITS = (
    Fault("headers over 32 KB", post(*[f"x-{n}: {'y' * 1000}" for n in range(40)]), 431, "headers_too_large"),
    Fault("one header over 32 KB", post("x: " + "y" * 40_000), 431, "headers_too_large"),
    Fault("a header of a megabyte", post("x: " + "y" * 2**20), 431, "headers_too_large"),
    Fault("more than a hundred headers", post(*[f"x-{n}: y" for n in range(100)]), 431, "headers_too_large"),
    Fault("a target over 8 KB", head("GET", "/v1/models?" + "x" * 9000), 414, "url_too_long"),
    Fault("a target of a megabyte", head("GET", "/" + "x" * 2**20), 414, "url_too_long"),
    Fault(
        "an unknown expectation",
        post("expect: canary", "content-length: 2", body=b"{}"),
        417,
        "unknown_expectation",
    ),
)

FAULTS = (*FRAMING, *CHUNKS, *LINES, *TARGETS, *LIMITS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_bad_http(between: Between, fault: Fault, access_lines: Lines) -> None:
    served, chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        # Whatever follows is of the same mouth, and must not become a request.
        await client.send(fault.data + GOOD_REQUEST)
        answer = await client.answer()
        assert await client.rest() == b"", "nothing follows a refusal"
    assert (answer.status, answer.error["code"]) == (fault.status, fault.code)
    assert is_error(answer.error)
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"].startswith("req_")
    assert not chaos.requests
    await served.settled()
    [line] = access_lines()
    assert (line["status"], line["error"], line["request_id"]) == (
        fault.status,
        fault.code,
        answer.headers["x-request-id"],
    )
    assert MASTER not in str(line)
    assert await served.metric("penstock_requests_total", status_class="4xx") == 1
    assert not served.gateway.ticker._live


@pytest.mark.parametrize(
    "fault", [*FRAMING[:2], *CHUNKS[:1], *LINES[:1], *LIMITS[:1]], ids=lambda fault: fault.name
)
async def test_bad_http_behind_a_good_request_is_answered_in_its_turn(between: Between, fault: Fault) -> None:
    served, chaos = await between(GOOD)
    async with chaos_client(served.port) as client:
        await client.send(request(stream=True) + fault.data + GOOD_REQUEST)
        first = await client.answer()
        second = await client.answer()
        assert await client.rest() == b""
    assert (first.status, first.body.count(b"[DONE]")) == (200, 1)
    assert (second.status, second.error["code"]) == (fault.status, fault.code)
    assert len(chaos.requests) == 1
    assert await served.metric("penstock_unread_requests_total") == (fault not in CHUNKS)


@pytest.mark.parametrize(
    "data",
    [
        request("connection: upgrade", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"),
        request("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"),
        request("expect: 100-continue"),
        request(version="HTTP/1.0"),
        request(path=f"http://x{PATH}"),
        request(path=f"HTTP://X{PATH}?a=b"),
        post(f"content-length: {len(CHAT):05000}", body=CHAT),
        b"\r\n\r\n" + request(),
        chunked(b"2;a=b\r\n{}\r\n0\r\nauthorization: Bearer canary\r\n\r\n"),
    ],
    ids=[
        "an upgrade to HTTP/2",
        "an upgrade to a websocket",
        "100-continue",
        "HTTP 1.0",
        "a target that is a whole URL of this host",
        "one in capitals and with a query",
        "a length with thousands of zeros",
        "blank lines before it",
        "chunks with an extension and a trailer",
    ],
)
async def test_what_is_odd_but_allowed_is_answered(between: Between, data: bytes) -> None:
    served, chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(data)
        answer = await client.answer()
        if answer.status == 100:
            answer = await client.answer()
    empty = b"2;a=b" in data
    assert answer.status == (400 if empty else 200), "an empty object is no chat, but it has been read"
    assert len(chaos.requests) == (not empty)


@pytest.mark.parametrize(
    "data",
    [post(f"content-length: {len(CHAT)}", *UPGRADE, body=CHAT), chunked(chunk(CHAT) + END, *UPGRADE)],
    ids=["by length", "in chunks"],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
async def test_what_follows_a_request_for_another_protocol_is_not_of_its_body(
    between: Between, data: bytes, *, at_once: bool
) -> None:
    """It is either the other protocol's or a request on a connection that is about to end."""
    served, chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(*([data + GOOD_REQUEST] if at_once else [data, GOOD_REQUEST]))
        answer = await client.answer()
        assert await client.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert len(chaos.requests) == 1


async def test_a_stream_to_http_1_0_ends_with_the_connection_and_has_no_chunks(between: Between) -> None:
    served, _chaos = await between(GOOD)
    async with chaos_client(served.port) as client:
        await client.send(request(version="HTTP/1.0", stream=True))
        answer = await client.answer()
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"
    assert answer.body.startswith(b"data: {")
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_the_interim_answer_comes_only_where_the_body_is_wanted(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(
            head("POST", "/v1/chat/completions", "content-length: 99", "expect: 100-continue", key="no")
        )
        assert (await client.answer()).status == 401


async def test_behind_a_refusal_without_an_interim_answer_nothing_is_read(between: Between) -> None:
    """Some clients send the body then and some their next request, and neither may be taken for the other."""
    served, chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        await client.send(head("POST", PATH, "content-length: 999", "expect: 100-continue", key="no"))
        answer = await client.answer()
        assert (answer.status, answer.headers.get("connection")) == (401, "close")
        await client.send(GOOD_REQUEST)
        assert await client.rest() == b""
    assert not chaos.requests


async def test_who_does_not_wait_for_the_interim_answer_keeps_the_connection(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE)
    refused = head("POST", PATH, "content-length: 2", "expect: 100-continue", key="no") + b"{}"
    async with chaos_client(served.port) as client:
        for data, status in ((refused, 401), (refused, 401), (GOOD_REQUEST, 200)):
            await client.send(data)
            assert (await client.answer()).status == status


async def test_a_whole_url_without_a_path_is_the_root(between: Between) -> None:
    served, _chaos = await between(GOOD_WHOLE)
    async with chaos_client(served.port) as client:
        for target, path in (("http://x", "/"), ("http://x?a=b", "/"), ("https://x/a", "/a")):
            await client.send(head("GET", target))
            answer = await client.answer()
            assert answer.error["message"].startswith(f"Unknown request URL: GET {path}.")


async def test_odd_targets_are_unknown_urls(between: Between) -> None:
    served, chaos = await between(GOOD_WHOLE)
    for target in ("*", "/v1/../v1/models", "/v1/%2e%2e/admin", "/%00", "/%ff", "/v1/models%zz", "/a#b"):
        async with chaos_client(served.port) as client:
            await client.send(head("OPTIONS" if target == "*" else "GET", target))
            answer = await client.answer()
        assert answer.status in {404, 405}, target
        assert is_error(answer.error)
    assert not chaos.requests
