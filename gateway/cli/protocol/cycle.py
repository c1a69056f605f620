"""One request of a connection, and its answer.

The answer's head waits for the first piece of its body, and both leave in one write; uvicorn's own cycle
writes twice, and searches each name and value for what may not be in one.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway import errors
from gateway.api.wire import OUTLET, Departure
from translators.errors import ApiError

Header = tuple[bytes, bytes]

_BODILESS: Final = frozenset({204, 304})
_CLOSE: Final = b"connection: close\r\n"


class Cycle(RequestResponseCycle):
    """One request and its answer, ended in ways that uvicorn's does not know.

    Attributes:
        lingers: Whether the client may go on sending behind it. Closing over what it sends would reset the
            connection and destroy the answer on its way (RFC 9112 section 9.6), so that only the writing side
            is closed at first.
    """

    error: ApiError | None = None
    lingers = False
    refusal: Callable[[ApiError], Any]

    def __init__(self, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.departure = Departure()
        self._head = b""  # written with the first piece of the body

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

    async def receive(self) -> Any:
        """The next piece of the request.

        Raises:
            ApiError: What came next was no HTTP.
        """
        message = await super().receive()
        if self.error is not None and not self.disconnected:
            raise self.error
        return message

    def is_open(self) -> bool:
        """Whether a piece of the body can be written without waiting; a `wire.Outlet`."""
        return not (self.flow.write_paused or self.disconnected or self.response_complete)

    def write(self, body: bytes) -> None:
        """Write a piece of the body, which is not the last one."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body) if self.chunked_encoding else body)

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
            if self.waiting_for_100_continue and self.more_body:
                self.keep_alive = False  # the client alone knows whether the body comes now, or a request
            self.response_started, self.waiting_for_100_continue = True, False
            self._head = self._begin(message["status"], message["headers"])
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._write_piece(message.get("body", b""), last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"'{message['type']}' comes too early or too late in an answer.")

    def _begin(self, status: int, headers: Iterable[Header]) -> bytes:
        lines = [STATUS_LINE[status]]
        for name, value in (*self.default_headers, *headers):
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length":
                self.chunked_encoding, self.expected_content_length = False, int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive = False
        if self.scope["method"] == "HEAD" or status in _BODILESS:
            self.chunked_encoding, self.expected_content_length = False, 0
        elif self.chunked_encoding is None:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive and _CLOSE not in lines:
            lines.append(_CLOSE)
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            raise RuntimeError("A header of an answer holds a line end.")
        return head + b"\r\n"

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
        if piece:
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

    def _begin(self, status: int, headers: Iterable[Header]) -> bytes:
        self.chunked_encoding = False
        return super()._begin(status, headers)

    def _write_piece(self, body: bytes, *, last: bool) -> None:
        self.expected_content_length = 0 if self.scope["method"] == "HEAD" else len(body)
        super()._write_piece(body, last=last)


def _nothing() -> None:
    """What a cycle does that is over."""
