"""One request of a connection, and its answer."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway import errors
from gateway.api.wire import Departure
from translators.errors import ApiError


class Cycle(RequestResponseCycle):
    """One request and its answer, ended in ways that uvicorn's does not know."""

    error: ApiError | None = None
    refusal: Callable[[ApiError], Any]

    def __init__(self, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.departure = Departure()

    def leave(self) -> None:
        """The client has left."""
        if not self.response_complete:
            self.disconnected = True
            self.departure.happen()
        self.message_event.set()

    def refuse(self, error: ApiError) -> None:
        """The rest of the request is no HTTP: whoever reads its body is told."""
        self.error, self.keep_alive = error, False
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
                # Nobody takes what is still to be written: it would keep the connection open for ever.
                (self.transport.abort if self.flow.write_paused else self.transport.close)()
            self.on_response = _nothing


class UnchunkedCycle(Cycle):
    """A request of HTTP/1.0: where the length is not known, the end of the connection ends the body."""

    def __init__(self, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.chunked_encoding = False

    async def send(self, message: Any) -> None:
        """Send a piece of the answer."""
        if self.chunked_encoding is False:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


class LastAnswer:
    """The transport of a connection's last answer: only its writing side is closed at first."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.write = transport.write
        self.abort = transport.abort
        self.is_closing = transport.is_closing

    def close(self) -> None:
        """Say that nothing more comes."""
        if not self._transport.is_closing():
            self._transport.write_eof()


def _nothing() -> None:
    """Break the ring of references between a cycle and its connection."""
