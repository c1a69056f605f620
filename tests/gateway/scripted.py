"""A backend that the test itself plays: it hands over each call, and the test says what goes back and when.

Everything is written by hand, so that an answer can break off anywhere. Nothing waits by time: what the
gateway did (a call came, a connection closed) is awaited as an event.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

PATIENCE = 5  # seconds until a test fails that awaits what does not come

Payload = Mapping[str, Any]


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


@dataclass(eq=False)
class Call:
    """One request that the backend got, and the way to answer it."""

    connection: "_Connection"
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    answered: bool = False

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.connection.transport.write(data)

    def json(self, payload: Any, status: int = 200, **headers: str) -> None:
        """Answer whole, and keep the connection for the next request."""
        self.whole(json.dumps(payload).encode(), status, **headers)

    def whole(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer with a body that need not be JSON."""
        fields = {"content-type": "application/json", "content-length": str(len(body))}
        self._head(status, {**fields, **{name.replace("_", "-"): text for name, text in headers.items()}})
        self.raw(body)
        self.connection.end(self)

    def result(self, text: str, prompt: int = 7, completion: int = 3, **fields: Any) -> None:
        """Answer whole, with a text."""
        result = {"response": text, "usage": usage(prompt, completion), **fields}
        self.json({"result": result, "success": True, "errors": [], "messages": []})

    def refuse(self, status: int, code: int = 0, message: str = "no", **headers: str) -> None:
        """Answer with an error of Workers AI."""
        errors = [{"code": code, "message": message}]
        self.json({"result": None, "success": False, "errors": errors, "messages": []}, status, **headers)

    def begin(self, status: int = 200, content_type: str = "text/event-stream") -> None:
        """Send status and headers of a stream."""
        self._head(status, {"content-type": content_type, "transfer-encoding": "chunked"})

    def piece(self, data: bytes) -> None:
        """Send one chunk of the body."""
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, **payload: Any) -> None:
        """Send one event."""
        self.piece(b"data: " + json.dumps(payload).encode() + b"\n\n")

    def finish(self) -> None:
        """End the body regularly, whatever has been said."""
        self.raw(b"0\r\n\r\n")
        self.connection.end(self)

    def stream(self, *texts: str, prompt: int = 7, completion: int = 3) -> None:
        """Answer with a complete stream."""
        self.begin()
        for text in texts:
            self.event(response=text)
        self.event(response="", usage=usage(prompt, completion))
        self.piece(b"data: [DONE]\n\n")
        self.finish()

    def close(self) -> None:
        """Close the connection in the regular way, at whatever point."""
        self.connection.transport.close()

    def reset(self) -> None:
        """Break the connection off with a reset."""
        linger = struct.pack("ii", 1, 0)
        sock = self.connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.transport.abort()

    async def left(self) -> None:
        """Wait until the gateway has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            await self.closed.wait()

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {text}" for name, text in headers.items())]
        self.raw("\r\n".join([*lines, "", ""]).encode())


Reply = Callable[[Call], None]


def begins_with(text: str) -> Reply:
    """A stream that says something and leaves the rest to the test."""

    def reply(call: Call) -> None:
        call.begin()
        call.event(response=text)

    return reply


class Backend:
    """A server on loopback; calls wait in a queue unless `reply` answers them at once."""

    def __init__(self) -> None:
        self.port = 0
        self.reply: Reply | None = None
        self.calls: list[Call] = []
        self.connections: set[_Connection] = set()
        self._waiting: asyncio.Queue[Call] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def call(self) -> Call:
        """The next call that the test has not seen."""
        async with asyncio.timeout(PATIENCE):
            return await self._waiting.get()

    def take(self, call: Call) -> None:
        self.calls.append(call)
        if self.reply is not None:
            self.reply(call)
        else:
            self._waiting.put_nowait(call)


@asynccontextmanager
async def serving_backend() -> AsyncIterator[Backend]:
    backend = Backend()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(backend), "127.0.0.1", 0)
    backend.port = server.sockets[0].getsockname()[1]
    try:
        yield backend
    finally:
        server.close()
        for connection in list(backend.connections):
            connection.transport.abort()
        await server.wait_closed()


class _Connection(asyncio.Protocol):
    """Reads one request after the other."""

    transport: asyncio.Transport

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._data = b""
        self._call: Call | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._backend.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._backend.connections.discard(self)
        if self._call is not None:
            self._call.closed.set()

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._read()

    def end(self, call: Call) -> None:
        """The call has been answered; the next one may come."""
        call.answered = True
        self._call = None
        self._read()

    def _read(self) -> None:
        head, blank, rest = self._data.partition(b"\r\n\r\n")
        if not blank or self._call is not None:
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._data = rest[length:]
        method, path, _version = request.split(" ")
        self._call = Call(self, method, path, headers, json.loads(rest[:length] or b"null"))
        self._backend.take(self._call)
