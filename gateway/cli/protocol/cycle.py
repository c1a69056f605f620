"""One request of a connection, and its answer.

The answer's head waits for the first piece of its body, and both leave in one write; uvicorn's own cycle
writes twice, and searches each name and value for what may not be in one.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway import errors
from gateway.api.wire import OUTLET, Departure
from gateway.outbox import Deferred
from translators.errors import ApiError

Header = tuple[bytes, bytes]

_BODILESS: Final = frozenset({204, 304})
_CLOSE: Final = b"connection: close"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Cycle:
    """One request and its answer.

    Args:
        connection: Where the request comes from; its head has been read.
        refusal: Gives the ASGI application that answers with an error.

    Attributes:
        error: What is wrong with the rest of the request.
        lingers: Whether the client may go on sending behind it. Closing over what it sends would reset the
            connection and destroy the answer on its way (RFC 9112 section 9.6), so that only the writing side
            is closed at first.
    """

    # How each begins; few of these become another one before a small answer is whole.
    disconnected = False
    lingers = False
    error: ApiError | None = None
    body = b""  # what has come and was not received
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    _head = b""  # written with the first piece of the body

    def __init__(
        self,
        connection: HttpToolsProtocol,
        refusal: Callable[[ApiError], Any],
        *,
        keep_alive: bool,
        expects: bool,
    ) -> None:
        self.scope = connection.scope
        self.transport = cast(Deferred, connection.transport)  # which each connection wraps its own in
        self.flow = connection.flow
        self.logger = connection.logger
        self.default_headers = connection.server_state.default_headers
        self.on_response: Callable[[], None] = connection.on_response_complete
        self.refusal = refusal
        self.departure = Departure()
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects
        self.message_event = asyncio.Event()  # set when there is more to receive

    def leave(self) -> None:
        """The client has left."""
        if not self.response_complete:
            self.disconnected = True
            self.departure.happen()
        self.message_event.set()

    def refuse(self, error: ApiError) -> None:
        """The rest of the request is no HTTP: whoever reads its body is told."""
        self.error, self.keep_alive, self.lingers = error, False, True
        self.message_event.set()

    def take(self, body: bytes) -> None:
        """A piece of the request's body has come."""
        self.body = self.body + body if self.body else body
        if len(self.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.message_event.set()

    async def receive(self) -> Any:
        """The next piece of the request.

        Raises:
            ApiError: What came next was no HTTP.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(_CONTINUE)
            self.waiting_for_100_continue = False
        if not (self.disconnected or self.response_complete):
            self.flow.resume_reading()
            if not self.message_event.is_set():
                await self.message_event.wait()
            self.message_event.clear()
        if self.error is not None and not self.disconnected:
            raise self.error
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def is_open(self) -> bool:
        """Whether a piece of the body can be written without waiting; a `wire.Outlet`."""
        return not (self.flow.write_paused or self.disconnected or self.response_complete)

    def write(self, body: bytes) -> None:
        """Write a piece of the body, which is not the last one."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body) if self.chunked_encoding else body)

    def answer(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Write a whole answer, whose length need not be among its headers."""
        self.chunked_encoding, self.expected_content_length = False, len(body)
        self._begin(status, [*headers, (b"content-length", b"%d" % len(body))])
        self._write_piece(body, last=True)

    async def send(self, message: Any) -> None:
        """Send the head of the answer or a piece of its body; wait while the client takes nothing.

        Raises:
            RuntimeError: The application breaks HTTP: the head is missing or comes twice, a header holds a
                line end, or the body is longer or shorter than was said.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            length = dict(message["headers"]).get(b"content-length")
            if length is not None:
                self.chunked_encoding, self.expected_content_length = False, int(length)
            self._begin(message["status"], message["headers"])
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._write_piece(message.get("body", b""), last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"'{message['type']}' comes too early or too late in an answer.")

    def _begin(self, status: int, headers: Iterable[Header]) -> None:
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False  # the client alone knows whether the body comes now, or a request
        self.response_started, self.waiting_for_100_continue = True, False
        lines = [*map(b": ".join, self.default_headers), *map(b": ".join, headers)]
        if self.scope["method"] == "HEAD" or status in _BODILESS:
            self.chunked_encoding, self.expected_content_length = False, 0
        elif self.chunked_encoding is None:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked")
        if _CLOSE in lines:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(_CLOSE)
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise RuntimeError("A header of an answer holds a line end.")
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], head)

    def _write_piece(self, body: bytes, *, last: bool) -> None:
        if self.chunked_encoding:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            piece += b"0\r\n\r\n" if last else b""
        else:
            piece = b"" if self.scope["method"] == "HEAD" else body
            self.expected_content_length -= len(piece)
            if self.expected_content_length < 0 or (last and self.expected_content_length):
                raise RuntimeError("The body of an answer has another length than was said.")
        if self._head:
            piece, self._head = self._head + piece, b""
            if last:
                self.transport.write(piece)
            else:  # the first token of a stream
                self.transport.write_at_once(piece)
        elif piece:
            self.transport.write(piece)
        if last:
            self._end()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self._close()
        self.on_response()

    def _close(self) -> None:
        if not (self.lingers or self.more_body):
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write_eof()

    async def run_asgi(self, app: Any) -> None:
        """Answer. What the application leaves open is broken off, never ended as if it were whole."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            self.logger.exception("The application failed on a request.")
            if not self.response_started:
                await self.refusal(errors.internal())(self.scope, self.receive, self.send)
        finally:
            if not self.response_complete and not self.disconnected:
                self._break_off()
            self.let_go()

    def _break_off(self) -> None:
        self.keep_alive = False
        if self.flow.write_paused:
            # Nobody takes what is still to be written: it would keep the connection open for ever.
            self.transport.abort()
        else:
            self._close()
        self.on_response()

    def let_go(self) -> None:
        """Break the rings of references that lead back here, or only the garbage collector would free it."""
        self.on_response = _nothing
        self.scope["state"].pop(OUTLET, None)


class UnchunkedCycle(Cycle):
    """A request of HTTP/1.0: where the length is not known, the end of the connection ends the body."""

    def _begin(self, status: int, headers: Iterable[Header]) -> None:
        self.chunked_encoding = False
        super()._begin(status, headers)

    def _write_piece(self, body: bytes, *, last: bool) -> None:
        self.expected_content_length = 0 if self.scope["method"] == "HEAD" else len(body)
        super()._write_piece(body, last=last)


def _nothing() -> None:
    """What a cycle does that is over."""
