"""A connection: what it waits for, in which order requests are answered, and how it ends.

A refusal comes in OpenAI's error envelope, in its turn, and the connection ends.

A connection has no timers: a `sweep` four times a second looks at what each of them is waiting for. Reading
is never paused while an answer is being made, for a client that leaves is noticed by reading alone; what
it sends meanwhile waits unparsed, up to a bound.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway import errors
from gateway.api.overloaded import Refuser
from gateway.api.wire import DEPARTURE, OUTLET
from gateway.cli.protocol import upgrade
from gateway.cli.protocol.bounds import Bounds
from gateway.cli.protocol.cycle import Cycle, UnchunkedCycle
from gateway.cli.protocol.familiar import FamiliarHead, Scope, of_connection
from gateway.cli.protocol.head import RefusedError, check_head, path_of, reason_of
from gateway.outbox import Deferred
from gateway.overload import Reason
from translators.errors import ApiError

SWEEP: Final = 0.25  # seconds

_PIECE: Final = 8 * 1024  # bytes parsed at once, which bounds how many pipelined requests wait parsed
_AHEAD: Final = 1024 * 1024  # bytes of pipelined requests that wait unparsed
# How long a client may take to notice that its connection ends while it still sends.
_LINGER: Final = 1.0
# Whose heads differ each time is not asked more often: a look costs a hundredth of a chat.
_LESSONS: Final = 3


def sweep(connections: Iterable[object]) -> None:
    """End what has waited for too long."""
    for connection in tuple(connections):
        if isinstance(connection, Protocol):
            connection.check()


class Protocol(HttpToolsProtocol):
    """One connection."""

    # Beside uvicorn's own attributes these would be more than the 30 that Python keeps in an object itself:
    # each connection would have a hash table, and each look at it a line of memory that is not in the cache.
    __slots__ = (
        "_ahead", "_body", "_bounds", "_deaf", "_due", "_familiar", "_head", "_lags", "_late", "_lessons",
        "_most_bytes", "_most_headers", "_own", "_read", "_rests", "_running", "_size",
    )  # fmt: skip

    cycle: Cycle  # type: ignore[assignment]  # of what uvicorn's own does, none is asked for
    pipeline: deque[tuple[Cycle, Any]]  # type: ignore[assignment]
    scope: Scope  # type: ignore[assignment]  # which is one of TypedDict's

    def __init__(self, bounds: Bounds, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._bounds = bounds
        self._most_bytes = bounds.server.header_limit
        self._most_headers = bounds.server.header_count
        self._due = inf
        self._late = self._abort
        self._rests = False  # whether all was answered and nothing has come
        self._lags = False  # whether the client has been given time to take its last answer
        self._running: Cycle | None = None
        self._ahead = bytearray()
        self._deaf = False  # whether all that still comes is thrown away
        self._head = False  # whether a request's head has begun and not ended
        self._body = False  # whether a request's body has begun and not ended
        self._size = 0  # of the headers, as they would be written
        self._read = 0  # bytes read since the head began or the body went on, but for the first piece
        self._familiar: FamiliarHead | None = None  # that of the client's requests, if it is always the same
        self._own: Scope = {}  # what a scope tells of the connection
        self._lessons = _LESSONS  # how many more heads are looked at before it is known again

    def check(self) -> None:
        """End the connection, or what it waits for, where that is overdue."""
        if self.transport.is_closing() and self._late != self._abort:
            self._wait(self._bounds.deadlines.write_stall, self._abort)
        elif self._rests and not self._lags and self.transport.get_write_buffer_size():
            self._wait(self._bounds.deadlines.write_stall, self._answer_is_stuck)
            self._rests = self._lags = True
        elif self._bounds.clock() >= self._due:
            self._due = inf
            self._late()

    def give_up(self) -> None:
        """Begin no other answer behind the one that is about to be cut off."""
        if self._running is not None:
            self._running.keep_alive = False

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a first request, but not for long."""
        super().connection_made(Deferred(cast(asyncio.Transport, transport), self._bounds.outbox))
        self._wait(self._bounds.deadlines.header, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, which need not be the last one that was read."""
        self._due = inf
        self.pipeline.clear()
        self._ahead.clear()
        if self._running is not None:
            self._running.leave()
        super().connection_lost(exc)
        del self._late  # of this connection: only the garbage collector would free it

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or keep it until the answers before it are given."""
        if self._rests and self._lessons and not self.flow.write_paused:
            self._take_another(data)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        if len(data) <= _PIECE and self._running is None:
            self._parse(data)
        else:
            self._take_pieces(data)
        # Those that uvicorn queues pause the reading, which would hide that the client leaves.
        if self.pipeline:
            self.flow.resume_reading()

    def _take_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            if self._is_busy():
                self._keep(data[start:])
                break
            self._parse(data[start : start + _PIECE])

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
            raise RefusedError(errors.url_too_long(self._bounds.server.url_limit))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what follows a chunked body is left out (RFC 9110 section 6.5.1 allows that)."""
        size = self._size = self._size + len(name) + len(value) + 4  # the colon, a space, CRLF
        if size > self._most_bytes or len(self.headers) >= self._most_headers:
            raise RefusedError(errors.headers_too_large(self._most_bytes, self._most_headers))
        if self._head:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Start to answer, or wait in line."""
        version, scope = self.parser.get_http_version(), self.scope
        if not self.url.startswith(b"/"):
            self.url = path_of(self.url, self.headers)
        self.expect_100_continue = check_head(version, self.url, self.headers)
        self._head, self._body, self._read = False, True, 0
        self._due = inf  # from here on the exchange has its own deadlines
        scope["http_version"] = version
        self._take_target()
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        cycle = self._cycle(keep_alive=keep_alive, expects=self.expect_100_continue)
        refuser = self._bounds.refuser
        reason = refuser.refuses(scope["raw_path"]) if refuser else None
        if refuser is None or reason is None:
            self._begin(cycle, self.app)
        elif self._running is None and self._is_plain(cycle) and not refuser.is_for_a_page(self.headers):
            self.cycle = cycle
            cycle.response_started = cycle.response_complete = True
            cycle.let_go()
            self._shed(refuser, scope["method"], scope["raw_path"], reason)
            self._wait(self._bounds.deadlines.body_idle, self.transport.close)
        else:
            self._begin(cycle, self._bounds.refusal(refuser.error(reason)))

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body."""
        self._read = 0
        if not self.cycle.response_complete:
            self.cycle.take(body)

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
        is_last = self._running is not None and not self._running.keep_alive
        self._running = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if is_last:
            self._linger()
        elif self.pipeline:
            self._start(*self.pipeline.pop())
        elif self._body:
            self._wait(self._bounds.deadlines.body_idle, self.transport.close)
        elif self._head:  # of the next request, whose rest was not read meanwhile
            self._wait(self._bounds.deadlines.header, self._head_is_late)
        else:
            self._rest()
        self._read_ahead()

    def _start(self, cycle: Cycle, app: Any) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    # The parts of it

    def _is_busy(self) -> bool:
        """Whether a request that is here in full is waiting for its answer."""
        return self._running is not None and (bool(self.pipeline) or not self._running.more_body)

    def _parse(self, piece: bytes) -> None:
        if self._deaf:
            return
        was_in_head, was_in_body = self._head, self._body
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as asked:
            self._ignore_upgrade(piece[asked.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(reason_of(error))
        else:
            if (was_in_head and self._head) or (was_in_body and self._body):
                self._count(len(piece))

    def _count(self, read: int) -> None:
        """A header, trailer or chunk extension that never ends is not told by the parser."""
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
                cycle.keep_alive, cycle.lingers = False, True

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on as if nothing had been said of another protocol; the connection ends with the answer."""
        self.parser = upgrade.parser_of_body(self)
        cycle = self.cycle
        cycle.keep_alive, cycle.lingers = False, True
        self._parse(upgrade.head_of_body(self.headers))
        self._parse(rest)

    def _cycle(self, *, keep_alive: bool, expects: bool = False) -> Cycle:
        # HTTP/1.0 knows no chunks.
        kind = Cycle if self.scope["http_version"] != "1.0" else UnchunkedCycle
        cycle = kind(self, self._bounds.refusal, keep_alive=keep_alive, expects=expects)
        self.scope["state"][DEPARTURE] = cycle.departure
        self.scope["state"][OUTLET] = cycle
        return cycle

    def _take_target(self) -> None:
        scope = self.scope
        path, _, query = self.url.partition(b"?")
        if not path.startswith(b"/"):  # refused, but logged: a URL may hold a password
            path = path.rpartition(b"@")[2]
        scope["method"] = self.parser.get_method().decode("ascii") if path else ""
        text = path.decode("latin-1")
        scope["path"] = unquote(text) if "%" in text else text
        scope["raw_path"] = path
        scope["query_string"] = query.partition(b"#")[0]

    def _begin(self, cycle: Cycle, app: Any) -> None:
        self.cycle = cycle
        if self._running is None:
            self._start(cycle, app)
        else:
            self.pipeline.appendleft((cycle, app))

    def _is_plain(self, cycle: Cycle) -> bool:
        """Whether an answer can be written at once, and another request may follow."""
        special = cycle.waiting_for_100_continue or self.scope["method"] == "HEAD" or self.flow.write_paused
        return cycle.keep_alive and not special and not self.parser.should_upgrade()

    def _shed(self, refuser: Refuser, method: str, path: bytes, reason: Reason) -> None:
        """Answer without a task; the body that may still come is thrown away."""
        answer = refuser.answer(method, path, reason, self.server_state.default_headers)
        cast(Deferred, self.transport).write_with(answer, self._bounds.refusals)

    def _take_another(self, data: bytes) -> None:
        """Take what comes after an answer: most clients ask again in the same words."""
        head = self._familiar
        length = head.length_in(data) if head is not None else b""
        if head is not None and length:
            self._lessons = _LESSONS
            self._take_familiar(head, length, data)
        else:
            self._take(data)
            self._learn(data)

    def _take_familiar(self, head: FamiliarHead, length: bytes, data: bytes) -> None:
        """Take a whole request without asking the parser."""
        refuser = self._bounds.refuser
        reason = refuser.refuses(head.path) if refuser else None
        if refuser is not None and reason is not None:
            self._shed(refuser, head.method, head.path, reason)
            self._rest()
            return
        self._due, self._rests = inf, False
        self.scope = head.scope(length, self.app_state, self._own)
        cycle = self._cycle(keep_alive=True)
        cycle.take(head.body(length, data))
        cycle.more_body = False
        self._begin(cycle, self.app)

    def _learn(self, data: bytes) -> None:
        """Know the head again that has just been read, if all of its request is here and nothing else."""
        self._lessons -= 1
        refuser = self._bounds.refuser
        is_whole = not (self._head or self._body or self._ahead or self._deaf or self.pipeline)
        if is_whole and self._is_plain(self.cycle) and not (refuser and refuser.is_for_a_page(self.headers)):
            self._familiar, self._own = self._bounds.heads.learn(self.scope, data), of_connection(self.scope)

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
        cycle.more_body, cycle.lingers = False, True
        self._begin(cycle, self._bounds.refusal(error))

    def _break_off(self, error: ApiError) -> None:
        """Refuse a request whose answer may have begun, for something in its body."""
        cycle = self.cycle
        self._body = False
        if cycle.response_complete:
            self.transport.close()
        else:
            cycle.refuse(error)

    def _rest(self) -> None:
        """Wait for the next request; `check` sees to it that the last answer is taken sooner."""
        self._wait(self._bounds.deadlines.keep_alive, self.transport.close)
        self._rests = True

    def _linger(self) -> None:
        """Throw away what the client still sends, until it closes its side or has had the time to."""
        self._deaf = True
        self._wait(self._bounds.deadlines.body_idle if self._body else _LINGER, self._end_lingering)

    def _end_lingering(self) -> None:
        if self.transport.get_write_buffer_size():  # the client takes the answer slowly
            self._wait(self._bounds.deadlines.write_stall, self._abort)
        else:
            self._abort()

    def _answer_is_stuck(self) -> None:
        if self.transport.get_write_buffer_size():
            self._abort()
        else:
            self._rest()

    def _head_is_late(self) -> None:
        if not self._is_busy():  # else its rest may be here, unread until the answer before it is given
            self._refuse(errors.slow_head())

    def _abort(self) -> None:
        self.transport.abort()

    def _wait(self, seconds: float, late: Callable[[], None]) -> None:
        self._due, self._late = self._bounds.clock() + seconds, late
        self._rests = self._lags = False
