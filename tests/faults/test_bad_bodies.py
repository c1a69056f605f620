"""Bodies that are no chat, sent by hand to the running gateway: a 4xx in words, at once, and no call."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.chaos_client import chaos_client, head, request
from tests.faults.chaos_server import GOOD_WHOLE
from tests.faults.conftest import Between
from tests.faults.outcomes import is_error
from tests.gateway.served import MODEL, asks

Lines = Callable[[], list[dict[str, Any]]]

AT_ONCE = 50  # milliseconds, the best of some
MIB = 2**20


@dataclass(frozen=True)
class Fault:
    name: str
    body: bytes
    status: int = 400
    code: str | None = "invalid_json"
    param: str | None = None


def chat(**raw: str) -> bytes:
    """A chat with some fields as raw JSON."""
    fields = {name: json.dumps(value) for name, value in asks().items()} | raw
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


def said(content: str) -> bytes:
    return chat(messages=f'[{{"role":"user","content":{content}}}]')


NO_JSON = (
    Fault("nothing", b""),
    Fault("blank", b" \r\n\t"),
    Fault("an open brace", b"{"),
    Fault("null", b"null", code="invalid_type", param="body"),
    Fault("a list", b"[]", code="invalid_type", param="body"),
    Fault("a number", b"1", code="invalid_type", param="body"),
    Fault("text", b'"x"', code="invalid_type", param="body"),
    Fault("true", b"true", code="invalid_type", param="body"),
    Fault("two objects", b"{}{}"),
    Fault("an object and more", b"{} x"),
    Fault("a comma too many", chat()[:-1] + b",}"),
    Fault("single quotes", b"{'model':'x'}"),
    Fault("a comment", b"{} // x"),
    Fault("a form", b"model=x&stream=true"),
    Fault("invalid UTF-8", chat(user='"\xff"').replace(b"\xc3\xbf", b"\xff")),
    Fault("an overlong character", chat(user='"?"').replace(b"?", b"\xc0\xaf")),
    Fault("half a character as bytes", chat(user='"?"').replace(b"?", b"\xed\xa0\x80")),
    Fault("half a character as an escape", said('"\\ud800"')),
    Fault("the halves the wrong way round", said('"\\udc00\\ud800"')),
    Fault("an unknown escape", said('"\\x41"')),
    Fault("a line feed in text", said('"a\nb"')),
    Fault("NUL in text", said('"a\x00b"')),
    Fault("NUL behind it", chat() + b"\x00"),
    Fault("a byte order mark", b"\xef\xbb\xbf" + chat()),
    Fault("UTF-16", chat().decode().encode("utf-16")),
    Fault("UTF-32", chat().decode().encode("utf-32-le")),
    Fault("NaN", chat(temperature="NaN")),
    Fault("Infinity", chat(temperature="Infinity")),
    Fault("minus Infinity", chat(temperature="-Infinity")),
    Fault("1e999", chat(temperature="1e999")),
    Fault("a leading zero", chat(n="01")),
    Fault("a plus", chat(n="+1")),
    Fault("hexadecimal", chat(n="0x1")),
    Fault("5,000 digits", chat(n="1" * 5000)),
    Fault(
        "65 lists in each other", chat(metadata="[" * 65 + "]" * 65), code="invalid_type", param="metadata"
    ),
    Fault("2,000 lists in each other", chat(metadata="[" * 2000 + "]" * 2000)),
    Fault("100,000 objects in each other", chat(metadata='{"a":' * 100_000 + "1" + "}" * 100_000)),
    Fault("a million open lists", b"[" * 1_000_000),
    Fault("a million open objects", b'{"a":' * 200_000),
    Fault("a million quotes", b'"' * 1_000_000),
    Fault("a million backslashes", b'{"a":"' + b"\\" * 1_000_001),
)


@pytest.mark.parametrize("fault", NO_JSON, ids=lambda fault: fault.name)
@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "in chunks"])
async def test_what_is_no_json(between: Between, access_lines: Lines, fault: Fault, *, chunked: bool) -> None:
    served, chaos = await between(GOOD_WHOLE)
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(fault.body)}"
    data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(fault.body), fault.body) if chunked and fault.body else fault.body
    data = data or (b"0\r\n\r\n" if chunked else b"")
    async with chaos_client(served.port) as client:
        for _ in range(3):
            await client.send(
                head("POST", "/v1/chat/completions", "content-type: application/json", framing) + data
            )
            answer = await client.answer()
            assert answer.status == fault.status, answer.body
            assert is_error(answer.error)
            assert (answer.error["code"], answer.error["param"]) == (fault.code, fault.param)
        await client.send(request())
        assert (await client.answer()).status == 200, "the connection serves on"
    assert len(chaos.requests) == 1
    assert min(line["duration_ms"] for line in access_lines()) < AT_ONCE


async def test_of_a_key_that_comes_twice_the_last_wins_everywhere(between: Between) -> None:
    served, chaos = await between(GOOD_WHOLE)
    messages = json.dumps(asks("the first")["messages"])
    twice = b'{"model":"@cf/nobody/nothing","messages":%b,"user":"a",' % messages.encode() + chat()[1:]
    async with chaos_client(served.port) as client:
        await client.send(
            head(
                "POST",
                "/v1/chat/completions",
                "content-type: application/json",
                f"content-length: {len(twice)}",
            )
            + twice
        )
        assert (await client.answer()).status == 200
    [sent] = chaos.requests
    assert MODEL.encode() in sent.partition(b"\r\n")[0]
    assert b"the first" not in sent
    assert sent.count(b'"messages"') == 1


@pytest.mark.parametrize("text", ["\u2028\u2029\x85", "\x00", "\x1b[2J", "\ufeff", "\ufffd", "𝄞"])
async def test_odd_characters_go_on_as_they_are(between: Between, text: str) -> None:
    served, chaos = await between(GOOD_WHOLE)
    assert (await served.chat(text)).status_code == 200
    [sent] = chaos.requests
    body = json.loads(sent.partition(b"\r\n\r\n")[2])
    assert body["messages"][-1]["content"] == text
