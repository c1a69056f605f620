"""One HTTP/1.1 connection to a backend: a request out, its answer in, and again.

httptools parses, the event loop carries, and this is what stands between: one future where somebody waits,
the bytes that nobody has read yet, and whether the connection can be used again. General clients do far
more and cost it: aiohttp takes three times this CPU for a request, httpx thirty times.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

import httptools

from gateway.outbox import Deferred, Outbox

# How much of an answer may wait unread in memory before the backend is no longer read from.
READ_BUFFER: Final = 2**17

# How much of it is read at once, where there is more.
READ_PIECE: Final = 2**16

MOST_HEADERS: Final = 100
HEADER_BYTES: Final = 2**16

_LEAST: Final = 100
_FINAL: Final = 200  # statuses below announce another one (RFC 9110, section 15.2)


class BrokenError(Exception):
    """The backend closed the connection, or what it sends is no HTTP."""


class Sink(Protocol):
    """Takes bytes of a body while their reader waits: waking its task costs as much as reading them."""

    def is_ready(self) -> bool:
        """Whether bytes can be taken now, without waiting for anybody."""

    def take(self, data: bytes) -> bool:
        """Take the next bytes, and raise nothing; False: the reader is to wake up, and sees their end."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 to one backend, one request at a time.

    Args:
        closed: Called when the connection is lost.
        outbox: Sends the requests.
    """

    def __init__(self, closed: Callable[["Connection"], None], outbox: Outbox) -> None:
        self._closed = closed
        self._outbox = outbox
        self._transport: Deferred | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._paused = False
        self._asked = False  # whether an answer is due
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        """Make ready for the next answer."""
        self.status = 0
        self._framing = 0  # bytes that have come since the last one of the body
        self.headers: dict[str, str] = {}
        self._header_bytes = 0
        self._arrived = False  # whether the headers are here
        self.ended = False  # whether the body has come to its end
        self._cut = False  # whether the sink wants no more
        self._released: Callable[[Connection], None] | None = None  # told of the end of an unwanted rest
        self._fit = False  # whether another request may follow
        self._chunks: list[bytes] = []
        self._size = 0
        self._error: str | None = None

    @property
    def heard(self) -> bool:
        """Whether a byte of the answer is here."""
        return self._framing > 0 or self._arrived

    def is_read(self) -> bool:
        """Whether all of the answer is here and has been read."""
        return self.ended and not self._chunks

    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        transport = self._transport
        return transport is not None and self._error is None and not transport.is_closing()

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the last one went out whole, and so came its answer."""
        transport = self._transport
        return (
            self._fit
            and self._error is None
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )

    def ends_soon(self, released: Callable[["Connection"], None]) -> bool:
        """Throw away what little may still come of the answer; False where the connection is broken.

        Args:
            released: Told when the answer has ended and another request may follow.
        """
        if not self.is_open() or self.ended or self._paused:
            return False
        self._chunks.clear()
        self._size = 0
        self._released = released
        return True

    async def send(self, head: bytes, body: bytes, *, at_once: bool = False) -> None:
        """Send a request and wait for the status and the headers of its answer, or close the connection.

        Args:
            head: Its request line and headers.
            body: Its body.
            at_once: Whether not to wait for other requests of this turn of the loop.

        Raises:
            BrokenError: The backend closed the connection first, or answered with no HTTP.
        """
        if self._transport is None or self._transport.is_closing():
            raise BrokenError("The backend closed the connection.")
        self._begin()
        self._asked = True
        if at_once:
            self._transport.write_at_once(head + body)
        else:
            self._transport.write(head + body)
        try:
            while not self._arrived:
                await self._news()
        except BaseException:
            self.abort()
            raise

    async def read(self, sink: Sink | None = None) -> bytes:
        """The next bytes of the body as soon as there are any; empty at its regular end.

        Args:
            sink: Offered what comes meanwhile; what it takes is not returned.

        Raises:
            BrokenError: The body broke off.
        """
        while not self._chunks:
            if self.ended or self._cut:
                return b""
            self._sink = sink
            try:
                await self._news()
            finally:
                self._sink = None
        data = self._all() if self._size <= READ_PIECE else self._piece()
        if self._paused and self._size <= READ_BUFFER and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def _all(self) -> bytes:
        """What is here."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        return data

    def _piece(self) -> bytes:
        """Some of what is here: it is held in several forms on its way to a client that may be slow."""
        size = count = 0
        while size < READ_PIECE and count < len(self._chunks):
            size += len(self._chunks[count])
            count += 1
        data = b"".join(self._chunks[:count])
        del self._chunks[:count]
        self._size -= len(data)
        return data

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _news(self) -> Awaitable[None]:
        """What is awaited until something has come."""
        if self._error is not None:
            raise BrokenError(self._error)  # a new one: what is raised holds on to the frames that it passes
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _break(self, reason: str) -> None:
        """Nothing more can come; what has come may still be read."""
        self._error = self._error or reason
        self.abort()

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # A stream's protocol is given nothing else.
        self._transport = Deferred(cast(asyncio.Transport, transport), self._outbox)

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer."""
        if not self._asked:
            self._break("The backend speaks unasked.")
            return
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break("The backend's answer is no HTTP.")
        if self._framing > HEADER_BYTES and not self.ended:  # which the parser would keep
            self._break("The backend's answer has more headers, or trailers, than may be.")
        if self._size > READ_BUFFER and not self._paused and self._transport is not None and not self.ended:
            self._paused = True
            self._transport.pause_reading()
        if self._sink is None or not self._hand_on(self._sink):
            self._wake()

    def _hand_on(self, sink: Sink) -> bool:
        """Give what has come to the sink; whether there is nothing for the reader to do."""
        if not self._chunks or self._size > READ_PIECE or not sink.is_ready():
            return False
        self._cut = not sink.take(self._all())
        return not (self._cut or self.ended or self._error)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; an answer without a length ends by that (RFC 9112, section 6.3)."""
        if error is None and self._error is None and self._arrived and not self._has_length():
            self.ended = True
        self._transport = None
        del self._parser  # the two hold each other, and nothing more comes
        self._error = self._error or "The backend closed the connection."
        self._wake()
        self._closed(self)

    def _has_length(self) -> bool:
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    # The parser's side.

    def on_message_begin(self) -> None:
        """An answer begins; a second one to the same request is none."""
        if self.ended:
            raise ValueError("an answer too many")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes again is joined to the first (RFC 9110, section 5.3)."""
        if self._arrived:
            return  # a trailer
        self._header_bytes += len(name) + len(value)
        if len(self.headers) >= MOST_HEADERS or self._header_bytes > HEADER_BYTES:
            raise ValueError("too many headers")
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        before = self.headers.get(key)
        self.headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """The headers are here."""
        status = self._parser.get_status_code()
        if status < _LEAST:
            raise ValueError("no status")
        if status < _FINAL:
            self.headers.clear()
            return
        self.status = status
        self._arrived = True

    def on_body(self, body: bytes) -> None:
        """Hold bytes of the body, but for those that nobody wants."""
        self._size += len(body)
        self._framing = 0
        if self._released is None:
            self._chunks.append(body)
        elif self._size > READ_PIECE:
            raise ValueError("an answer without end")

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._arrived:
            self.ended, self._asked = True, False
            self._fit = self._parser.should_keep_alive()
            if self._released is not None:
                self._released(self)
