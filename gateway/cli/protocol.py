"""The server's side of a connection: uvicorn's httptools protocol, with the bounds that it lacks.

What is no unambiguous HTTP/1.1 is refused in OpenAI's error envelope, in its turn, and the connection
ends; nothing of it is passed on. The parser refuses most of what request smuggling lives on (two lengths,
folded headers, bare line feeds, odd chunk sizes); `_check_head` refuses what the parser lets through.

A connection has no timers: a `sweep` four times a second looks at what each of them is waiting for. Reading
is never paused while an answer is being made, for a client that leaves is noticed by reading alone; what
it sends meanwhile waits unparsed, up to a bound.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway import errors
from gateway.api.overloaded import Refuser
from gateway.api.wire import DEPARTURE, Departure
from gateway.settings import Deadlines, Server
from translators.errors import ApiError

SWEEP: Final = 0.25  # seconds

# RFC 3986, section 3.2.2: what goes beyond that would be a path or a user in a URL that is made of it.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.]*\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")

_PIECE: Final = 8 * 1024  # bytes parsed at once, which bounds how many pipelined requests wait parsed
_AHEAD: Final = 1024 * 1024  # bytes of pipelined requests that wait unparsed
# How long a refused client may take to notice; closing over its unread bytes at once would reset the
# connection and destroy the answer on its way (RFC 9112 section 9.6).
_LINGER: Final = 1.0
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client may do to a connection.

    Attributes:
        refusal: Gives the ASGI application that answers a request with an error, and settles it.
        clock: In seconds; tests move it.
        refuser: Asked about each request whether there are too many already.
    """

    server: Server
    deadlines: Deadlines
    refusal: Callable[[ApiError], Any]
    clock: Callable[[], float] = monotonic
    refuser: Refuser | None = None


def sweep(connections: Iterable[object]) -> None:
    """End what has waited for too long."""
    for connection in tuple(connections):
        if isinstance(connection, Protocol):
            connection.check()


class _RefusedError(Exception):
    """Raised in the parser's callbacks; the parser stops there."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, bounds: Bounds, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._bounds = bounds
        self._due = inf
        self._late = self._abort
        self._running: _Cycle | None = None
        self._ahead = bytearray()
        self._deaf = False  # whether all that still comes is thrown away
        self._head = False  # whether a request's head has begun and not ended
        self._body = False  # whether a request's body has begun and not ended
        self._size = 0  # of the headers, as they would be written
        self._read = 0  # bytes read of the head, but for its first piece

    def check(self) -> None:
        """End the connection, or what it waits for, where that is overdue."""
        if self.transport.is_closing() and self._late != self._abort:
            self._wait(self._bounds.deadlines.write_stall, self._abort)
        elif self._bounds.clock() >= self._due:
            self._due = inf
            self._late()

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a first request, but not for long."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._wait(self._bounds.deadlines.header, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, which need not be the last one that was read."""
        self._due = inf
        self.pipeline.clear()
        self._ahead.clear()
        if self._running is not None:
            self._running.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or keep it until the answers before it are given."""
        for start in range(0, len(data), _PIECE):
            if self._is_busy():
                self._keep(data[start:])
                break
            self._parse(data if len(data) <= _PIECE else data[start : start + _PIECE])
        # Those that uvicorn queues pause the reading, which would hide that the client leaves.
        if self.pipeline:
            self.flow.resume_reading()

    # What the parser tells

    def on_message_begin(self) -> None:
        """A request's first byte is here."""
        super().on_message_begin()
        self._head, self._size, self._read = True, 0, 0
        self._wait(self._bounds.deadlines.header, self._head_is_late)

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self.url += url
        if len(self.url) > self._bounds.server.url_limit:
            raise _RefusedError(errors.url_too_long(self._bounds.server.url_limit))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what follows a chunked body is left out (RFC 9110 section 6.5.1 allows that)."""
        self._size += len(name) + len(value) + 4  # the colon, a space, CRLF
        limits = self._bounds.server
        if self._size > limits.header_limit or len(self.headers) >= limits.header_count:
            raise _RefusedError(errors.headers_too_large(limits.header_limit, limits.header_count))
        if self._head:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Start to answer, or wait in line."""
        version = self.parser.get_http_version()
        self.expect_100_continue = _check_head(version, self.url, self.headers)
        self._head, self._body = False, True
        self._due = inf  # from here on the exchange has its own deadlines
        self.scope["http_version"] = version
        self._take_target()
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        cycle = self._cycle(keep_alive=keep_alive, expects=self.expect_100_continue)
        refuser = self._bounds.refuser
        reason = refuser.refuses(self.scope["raw_path"]) if refuser else None
        if refuser is None or reason is None:
            self._begin(cycle, self.app)
        elif self._is_plain(cycle):
            self._shed(cycle, refuser.headers_and_body(self.scope["method"], self.scope["raw_path"], reason))
        else:
            self._begin(cycle, self._bounds.refusal(refuser.error(reason)))

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body."""
        if not self.cycle.response_complete:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here in full."""
        if self.parser.should_upgrade():
            return
        self._body = False
        if self.cycle.response_complete:  # it was answered before all of it was read
            self._rest()
        else:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def end_body(self) -> None:
        """The request is here in full, and no other one follows."""
        self.on_message_complete()
        self._deaf = True

    # What the answers tell

    def on_response_complete(self) -> None:
        """Go on with what the client has sent meanwhile."""
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._deaf:
            self._wait(_LINGER, self._abort)
        elif self._body:
            self._wait(self._bounds.deadlines.body_idle, self.transport.close)
        else:
            self._rest()
        self._read_ahead()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cast(_Cycle, cycle)
        super()._start_asgi_task(cycle, app)

    # The parts of it

    def _is_busy(self) -> bool:
        """Whether a request that is here in full is waiting for its answer."""
        return self._running is not None and (bool(self.pipeline) or not self._running.more_body)

    def _parse(self, piece: bytes) -> None:
        if self._deaf:
            return
        was_in_head = self._head
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(piece[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(_reason(error))
        else:
            if was_in_head and self._head:
                self._count(len(piece))

    def _count(self, read: int) -> None:
        """A header that never ends is not told by the parser."""
        self._read += read
        limits = self._bounds.server
        if self._read > limits.header_limit + limits.url_limit:
            self._refuse(errors.headers_too_large(limits.header_limit, limits.header_count))

    def _keep(self, data: bytes) -> None:
        if self._deaf:
            return
        self._ahead += data
        if len(self._ahead) > _AHEAD:
            self._stop_reading()  # the client asks again for what was not answered (RFC 9112 section 9.3.2)

    def _read_ahead(self) -> None:
        while self._ahead and not self._is_busy() and not self._deaf:
            piece = bytes(self._ahead[:_PIECE])
            del self._ahead[:_PIECE]
            self._parse(piece)

    def _stop_reading(self) -> None:
        """Answer what has been read; the connection ends with that."""
        self._deaf = True
        self._ahead.clear()
        for cycle in (self._running, self.cycle):
            if cycle is not None:
                cycle.keep_alive = False

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on as if nothing had been said of another protocol (RFC 9110 section 7.8).

        The parser takes a body for the other protocol's, so that another one has to read it. Java's client
        asks for HTTP/2 in this way with every first request. The connection ends with the answer.
        """
        framing = [b"%s: %s" % each for each in self.headers if each[0] in _FRAMING]
        self.parser = httptools.HttpRequestParser(_BodyAlone(self))
        self.cycle.keep_alive = False
        self._parse(b"\r\n".join((b"POST / HTTP/1.1", *framing, b"", b"")))
        self._parse(rest)

    def _cycle(self, *, keep_alive: bool, expects: bool = False) -> "_Cycle":
        # HTTP/1.0 knows no chunks.
        cycle = (_Cycle if self.scope["http_version"] != "1.0" else _UnchunkedCycle)(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.refusal = self._bounds.refusal
        self.scope["state"][DEPARTURE] = cycle.departure
        return cycle

    def _take_target(self) -> None:
        path, _, query = self.url.partition(b"?")
        self.scope["method"] = self.parser.get_method().decode("ascii") if path else ""
        self.scope["path"] = unquote(path.decode("latin-1"))
        self.scope["raw_path"] = path
        self.scope["query_string"] = query.partition(b"#")[0]

    def _begin(self, cycle: "_Cycle", app: Any) -> None:
        self.cycle = cycle
        if self._running is None:
            self._start_asgi_task(cycle, app)
        else:
            self.pipeline.appendleft((cycle, app))

    def _is_plain(self, cycle: "_Cycle") -> bool:
        """Whether an answer can be written at once, and another request may follow."""
        special = cycle.waiting_for_100_continue or self.scope["method"] == "HEAD"
        return self._running is None and cycle.keep_alive and not special and not self.parser.should_upgrade()

    def _shed(self, cycle: "_Cycle", answer: bytes) -> None:
        """Answer without a task; the body that may still come is thrown away."""
        defaults = b"".join(b"%s: %s\r\n" % each for each in self.server_state.default_headers)
        self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\n" + defaults + answer)
        cycle.response_started = cycle.response_complete = True
        self.cycle = cycle
        self._wait(self._bounds.deadlines.body_idle, self.transport.close)

    def _refuse(self, error: ApiError) -> None:
        """Answer with an error when the turn has come, and end."""
        self._deaf = True
        self._ahead.clear()
        if self._body:
            self._break_off(error)
            return
        was_in_head = self._head
        if not was_in_head:  # nothing of a request is here
            self.on_message_begin()
        self._head, self._due = False, inf
        self._take_target()
        cycle = self._cycle(keep_alive=False)
        cycle.more_body = False
        cycle.transport = cast(asyncio.Transport, _LastAnswer(self.transport))
        self._begin(cycle, self._bounds.refusal(error))

    def _break_off(self, error: ApiError) -> None:
        """Refuse a request whose answer may have begun, for something in its body."""
        cycle = cast(_Cycle, self.cycle)
        if cycle.response_complete:
            self.transport.close()
        else:
            cycle.transport = cast(asyncio.Transport, _LastAnswer(self.transport))
            cycle.refuse(error)

    def _rest(self) -> None:
        """Wait for the next request; what waits to be written is to be taken sooner."""
        if self.transport.get_write_buffer_size():
            self._wait(self._bounds.deadlines.write_stall, self._answer_is_stuck)
        else:
            self._wait(self._bounds.deadlines.keep_alive, self.transport.close)

    def _answer_is_stuck(self) -> None:
        if self.transport.get_write_buffer_size():
            self._abort()
        else:
            self._rest()

    def _head_is_late(self) -> None:
        self._refuse(errors.slow_head())

    def _abort(self) -> None:
        self.transport.abort()

    def _wait(self, seconds: float, late: Callable[[], None]) -> None:
        self._due, self._late = self._bounds.clock() + seconds, late


class _Cycle(RequestResponseCycle):
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


class _BodyAlone:
    """What a parser tells of one request's body, the last one of its connection."""

    def __init__(self, protocol: Protocol) -> None:
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.end_body


class _UnchunkedCycle(_Cycle):
    """A request of HTTP/1.0: where the length is not known, the end of the connection ends the body."""

    def __init__(self, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.chunked_encoding = False

    async def send(self, message: Any) -> None:
        """Send a piece of the answer."""
        if self.chunked_encoding is False:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


class _LastAnswer:
    """The transport of a connection's last answer: only its writing side is closed at first."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.write = transport.write
        self.abort = transport.abort
        self.is_closing = transport.is_closing

    def close(self) -> None:
        if not self._transport.is_closing():
            self._transport.write_eof()


def _nothing() -> None:
    """Break the ring of references between a cycle and its connection."""


def _reason(error: httptools.HttpParserError) -> ApiError:
    """What to tell a client; the parser's own sentences are fixed ones, but for those about URLs."""
    if isinstance(error, httptools.HttpParserCallbackError):
        if isinstance(error.__context__, _RefusedError):
            return error.__context__.error
        raise error
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return errors.bad_http("the target has a character that must be percent-encoded")
    return errors.bad_http(str(error))


def _check_head(version: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Refuse what two readers might read in two ways; whether the client waits for a 100 is the answer.

    RFC 9112, sections 3.2 (one Host), 3.2.2 (the absolute form is for proxies) and 6.1 (chunked alone, and
    not with HTTP/1.0).
    """
    if version not in {"1.0", "1.1"}:
        raise _RefusedError(errors.bad_http("the version must be HTTP/1.1 or HTTP/1.0"))
    if not target.startswith(b"/") and target != b"*":
        raise _RefusedError(errors.bad_http("the target must be a path, for this is not a proxy"))
    hosts = 0
    expects = False
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value):
                raise _RefusedError(errors.bad_http("the Host header must be a host and perhaps a port"))
        elif name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
            raise _RefusedError(errors.bad_http("the only Transfer-Encoding is chunked, with HTTP/1.1"))
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise _RefusedError(errors.unknown_expectation())
            expects = version == "1.1"
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise _RefusedError(errors.bad_http("there must be exactly one Host header"))
    return expects
