"""A request and its answer on the wire: ASGI's messages, read and written for the endpoints.

Litestar's own request and response objects would cost more than an answer does.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from time import monotonic
from typing import Final, Protocol

import msgspec
from litestar.types import HTTPResponseBodyEvent, Receive, Send

from gateway import errors
from gateway.deadlines import Watch
from gateway.exchange import Exchange
from gateway.keys import Caller
from translators.clients.openai_error import event
from translators.errors import ApiError

Headers = Mapping[bytes, bytes]
Pairs = list[tuple[bytes, bytes]]

DEPARTURE: Final = "penstock.departure"
OUTLET: Final = "penstock.outlet"

JSON: Final = b"application/json"
_EVENTS: Final = b"text/event-stream; charset=utf-8"
_PIECE: Final = 2**16  # asyncio's own mark above which a connection counts as full
_KEEP_ALIVE: Final = b": keep-alive\n\n"


class Departure:
    """By this the server says that the client has left, at once and without a task that waits for it.

    The server puts one into the `state` of every request's scope, under `DEPARTURE`.
    """

    __slots__ = ("_told", "happened")

    def __init__(self) -> None:
        self.happened = False
        self._told: Callable[[], None] | None = None

    def tell(self, told: Callable[[], None] | None) -> None:
        """Call `told` when it happens; None: nobody wants to know any more."""
        self._told = told

    def happen(self) -> None:
        """The client has left."""
        self.happened = True
        if self._told is not None:
            self._told()


class Outlet(Protocol):
    """The server's side of an answer, for what need not wait and so needs no task.

    The server puts one into the `state` of every request's scope, under `OUTLET`.
    """

    def is_open(self) -> bool:
        """Whether the client takes what is written, and the answer has not ended."""

    def write(self, body: bytes) -> None:
        """Write a piece of the body, which is not the last one."""

    def answer(self, status: int, headers: Pairs, body: bytes) -> None:
        """Write a whole answer, whose length need not be among its headers."""


class Request(msgspec.Struct, eq=False):
    """One request as endpoints see it."""

    exchange: Exchange
    departure: Departure
    watch: Watch
    headers: Headers
    receive: Receive
    body_limit: int
    has_room: Callable[[int], bool]
    query: bytes = b""
    caller: Caller | None = None

    @property
    def holder(self) -> Caller:
        """Who holds the key of a request; only where a key is asked for."""
        if self.caller is None:
            raise RuntimeError("This endpoint asks for no key.")
        return self.caller

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            ApiError: 415 for what is not plain JSON, 413 for too much of it, 503 without memory for it.
        """
        self._check_headers()
        chunks: list[bytes] = []
        size = 0
        while True:
            self.watch.wait_for("body_idle")
            message = await self.receive()
            if message["type"] != "http.request":
                raise ClientLeftError
            chunk = message["body"]
            size += len(chunk)
            if size > self.body_limit:
                raise errors.body_too_large(self.body_limit)
            if not self.has_room(len(chunk)):
                raise errors.overloaded(2)
            chunks.append(chunk)
            if not message["more_body"]:
                return b"".join(chunks)

    def _check_headers(self) -> None:
        kind = self.headers.get(b"content-type", JSON)
        if kind != JSON:
            media_type = kind.partition(b";")[0].strip().lower()
            if media_type != JSON and not media_type.endswith(b"+json"):
                raise errors.not_json(kind.decode("latin-1"))
        encoding = self.headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            raise errors.compressed(encoding.decode("latin-1"))
        length = self.headers.get(b"content-length", b"0")
        # Python reads no number of thousands of digits, and zeros may come first.
        if length.isdigit() and int(length.lstrip(b"0") or b"0") > self.body_limit:
            raise errors.body_too_large(self.body_limit)


class ClientLeftError(Exception):
    """The client closed the connection before its answer."""


class Client(msgspec.Struct, eq=False):
    """Sends an answer; a `relay.Client`."""

    exchange: Exchange
    watch: Watch
    send: Send
    outlet: Outlet | None = None
    started: bool = False
    streams: bool = False
    ended: bool = False

    def send_json(self, status: int, body: bytes) -> Awaitable[None]:
        """Send a whole JSON answer."""
        return self.send_whole(status, JSON, body)

    async def send_whole(
        self, status: int, content_type: bytes, body: bytes, more: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer."""
        self.watch.wait_for("write_stall")
        outlet = self.outlet
        is_at_once = outlet is not None and len(body) <= _PIECE and not self.started and outlet.is_open()
        headers = self._begin(status, content_type, _encoded(more) if more else [])
        if outlet is not None and is_at_once:
            self.ended = True
            outlet.answer(status, headers, body)
        else:
            headers.append((b"content-length", b"%d" % len(body)))
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self._write(body, last=True)

    async def send_nothing(self, headers: Pairs) -> None:
        """Send an answer that has no body."""
        self.watch.wait_for("write_stall")
        self.started = True
        self.exchange.status = 204
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self._write(b"", last=True)

    async def send_events(self, data: bytes) -> None:
        """Send events of a stream; the first call sends status 200 and the headers."""
        if not self.started:
            self.watch.wait_for("write_stall")
            await self._start_events()
        if data:
            await self._write(data, last=False)

    def takes_at_once(self) -> bool:
        """Whether events of a stream that has begun can be sent without waiting."""
        return self.outlet is not None and self.streams and self.outlet.is_open()

    def send_at_once(self, data: bytes) -> None:
        """Send events; only where that needs no waiting."""
        if self.outlet is not None:
            self.outlet.write(data)

    async def keep_alive(self) -> None:
        """Show a waiting client that the stream lives: a comment, which clients pass over.

        It leaves the deadlines alone: they are those of the backend, which has not said a word.
        """
        await self._start_events()
        if self.streams and not self.ended:  # an error may have gone out in place of the stream
            await self.send(_body(_KEEP_ALIVE, last=False))

    async def fail(self, error: ApiError) -> None:
        """End a stream that has begun with an event that says what broke."""
        if self.streams and not self.ended:
            await self.send_events(event(error))
            await self.end()

    async def end(self) -> None:
        """End the stream's body."""
        await self._write(b"", last=True)

    async def _start_events(self) -> None:
        if not self.started:
            self.streams = True
            headers = self._begin(200, _EVENTS, [(b"x-accel-buffering", b"no")])
            await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    def _begin(self, status: int, content_type: bytes, more: Pairs) -> Pairs:
        """Count the answer as begun; its headers."""
        self.started = True
        self.exchange.status = status
        elapsed = int((monotonic() - self.exchange.started) * 1000)
        headers = [
            (b"content-type", content_type),
            (b"x-request-id", self.exchange.request_id.encode()),
            (b"openai-processing-ms", str(elapsed).encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"authorization"),
            *self.exchange.permission,
            (b"x-content-type-options", b"nosniff"),
            *more,
        ]
        if self.exchange.translation:
            headers.append((b"x-penstock-translation", self.exchange.translation.encode()))
        if self.exchange.standing:
            headers += self.exchange.standing
        if self.exchange.route:
            headers += _way(self.exchange.attempts, self.exchange.route, self.exchange.backend)
        return headers

    async def _write(self, data: bytes, *, last: bool) -> None:
        if len(data) > _PIECE:
            data = await self._write_pieces(memoryview(data))
        self.ended = self.ended or last
        self.watch.wait_for("write_stall")
        await self.send(_body(data, last=last))

    async def _write_pieces(self, rest: memoryview) -> bytes:
        """Write all but the last piece, so that a client that does not read holds one of them only."""
        while len(rest) > _PIECE:
            self.watch.wait_for("write_stall")
            await self.send(_body(bytes(rest[:_PIECE]), last=False))
            rest = rest[_PIECE:]
        return bytes(rest)


@lru_cache(1024)
def _way(attempts: int, route: str, backend: str) -> tuple[tuple[bytes, bytes], ...]:
    """Which way an answer came, as headers; names, an operator's or a model's, where they are plain."""
    named = ((b"x-penstock-route", route), (b"x-penstock-backend", backend))
    plain = [(name, value) for name, value in named if value and value.isascii() and value.isprintable()]
    return (b"x-penstock-attempts", b"%d" % attempts), *((name, value.encode()) for name, value in plain)


def _body(data: bytes, *, last: bool) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": data, "more_body": not last}


def _encoded(headers: Mapping[str, str]) -> Pairs:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
