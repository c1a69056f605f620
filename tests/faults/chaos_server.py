"""A backend that breaks as a script says: bytes written by hand over real sockets, and what is done to them.

A script is played for each request in turn; the last one goes on for all further requests. Nothing of it
parses or repairs anything, so that any answer can be told, legal or not.
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

PATIENCE = 30  # seconds until a test fails that awaits what does not come


class Act(Enum):
    """What a script can do besides writing."""

    TURN = "let what was written be read by itself"
    HANG = "say nothing more until the other side leaves"
    RESET = "break the connection off with a reset"
    CLOSE = "close the connection in the regular way"


@dataclass(frozen=True)
class Flood:
    """The same bytes again and again, until there are so many or nobody takes them."""

    data: bytes
    size: int


# An event is waited for, so that a test can say when its script goes on.
Step = bytes | Act | Flood | asyncio.Event
Script = Sequence[Step]


@dataclass
class ChaosServer:
    """A server on loopback."""

    scripts: list[Script] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"
    requests: list[bytes] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    # A script that is played when a client connects, before it has said anything.
    greeting: Script = ()

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    async def left(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(PATIENCE):
            while self.open:  # noqa: ASYNC110 - turns of the loop, not time
                await asyncio.sleep(0.001)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            goes_on = await _play(self.greeting, reader, writer)
            while goes_on:
                self.requests.append(await _request(reader))
                self.asked.set()
                number = min(len(self.requests), len(self.scripts))
                goes_on = await _play(self.scripts[number - 1], reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has left
        finally:
            writer.close()
            self.open.discard(writer)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length"))
    return head + await reader.readexactly(length)


async def _play(script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection can take another request."""
    for step in script:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case Flood(data, size):
                for _ in range(0, size, len(data)):
                    writer.write(data)
                    await writer.drain()
            case asyncio.Event():
                await step.wait()
            case Act.TURN:
                for _ in range(5):  # of which each lets the gateway, in the same loop, read and go on
                    await asyncio.sleep(0.001)
            case Act.HANG:
                await reader.read()
                return False
            case Act.RESET | Act.CLOSE:
                _end(writer, by_reset=step is Act.RESET)
                return False
    return True


def _end(writer: asyncio.StreamWriter, *, by_reset: bool) -> None:
    if by_reset:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        writer.close()


@asynccontextmanager
async def chaos_server(
    *scripts: Script, greeting: Script = (), context: ssl.SSLContext | None = None
) -> AsyncIterator[ChaosServer]:
    """Serve until the block ends."""
    chaos = ChaosServer(list(scripts), greeting=greeting, scheme="https" if context else "http")
    server = await asyncio.start_server(chaos.connected, "127.0.0.1", 0, ssl=context, limit=2**20)
    chaos.port = server.sockets[0].getsockname()[1]
    try:
        yield chaos
    finally:
        server.close()
        for writer in tuple(chaos.open):
            writer.transport.abort()
        await server.wait_closed()


# The bytes of answers


def head(status: int = 200, content_type: str = "application/json", *more: str) -> bytes:
    """Status and headers."""
    lines = [f"HTTP/1.1 {status} Said", *([f"content-type: {content_type}"] if content_type else []), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(body: bytes, status: int = 200, content_type: str = "application/json", *more: str) -> bytes:
    """An answer of a known length."""
    return head(status, content_type, f"content-length: {len(body)}", *more) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


END = b"0\r\n\r\n"
EVENTS = head(200, "text/event-stream", "transfer-encoding: chunked")
CHUNKED = head(200, "application/json", "transfer-encoding: chunked")
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def envelope(result: Any, **fields: Any) -> bytes:
    """Workers AI's envelope."""
    return json.dumps({"result": result, "success": True, "errors": [], "messages": [], **fields}).encode()


def said(text: str) -> bytes:
    """A whole answer's body."""
    return envelope({"response": text, "usage": USAGE})


def failed(code: int, message: str = "canary-of-the-backend") -> bytes:
    """A refusal's body."""
    return envelope(None, success=False, errors=[{"code": code, "message": message}])


def event(**payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


LAST = event(response="", usage=USAGE)
DONE = b"data: [DONE]\n\n"


def stream(*pieces: bytes) -> Script:
    """A stream that ends its body regularly, each piece in a chunk of its own."""
    return (EVENTS, *(chunk(each) for each in pieces), END)


GOOD = stream(event(response="Hel"), event(response="lo"), LAST, DONE)
GOOD_WHOLE = (whole(said("Hello")),)
