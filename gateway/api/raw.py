"""The adapter under the endpoints: from ASGI messages to an answer.

It owns what every endpoint needs and none should think of: methods (405 with Allow), the key, the content
type, the body's limit, the request id, a client that leaves, deadlines, OpenAI's error envelope, and the
settling of the exchange. Litestar only finds the endpoint; its own request and response objects would
cost more than an answer does.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from litestar.enums import ScopeType
from litestar.types import HTTPResponseBodyEvent, Receive, Scope, Send

from gateway import errors, logs
from gateway.deadlines import Watch
from gateway.exchange import Exchange
from gateway.pipeline import Gateway
from translators.clients.openai_error import envelope, event
from translators.errors import ApiError

Headers = Mapping[bytes, bytes]

JSON: Final = b"application/json"
_EVENTS: Final = b"text/event-stream; charset=utf-8"
_PIECE: Final = 2**16  # asyncio's own mark above which a connection counts as full
_KEEP_ALIVE: Final = b": keep-alive\n\n"
# A spent allocation and a refused credential of the operator's do not come right by asking again.
_NOT_TO_RETRY: Final = frozenset({"insufficient_quota", "upstream_auth"})
_logger: Final = logging.getLogger("penstock")


@dataclass(slots=True)
class Request:
    """One request as endpoints see it."""

    exchange: Exchange
    watch: Watch
    headers: Headers
    receive: Receive
    body_limit: int

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            ApiError: 415 for what is not plain JSON, 413 for too much of it.
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
            chunks.append(chunk)
            if not message["more_body"]:
                return b"".join(chunks)

    def _check_headers(self) -> None:
        kind = self.headers.get(b"content-type", JSON)
        media_type = kind.partition(b";")[0].strip().lower()
        if media_type != JSON and not media_type.endswith(b"+json"):
            raise errors.not_json(kind.decode("latin-1"))
        encoding = self.headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            raise errors.compressed(encoding.decode("latin-1"))
        length = self.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.body_limit:
            raise errors.body_too_large(self.body_limit)


class ClientLeftError(Exception):
    """The client closed the connection before its answer."""


class Client:
    """Sends an answer; a `relay.Client`."""

    def __init__(self, exchange: Exchange, watch: Watch, send: Send) -> None:
        self.watch = watch
        self._exchange = exchange
        self._send = send
        self.started = False
        self.streams = False
        self.ended = False

    async def send_json(self, status: int, body: bytes) -> None:
        """Send a whole JSON answer."""
        await self.send_whole(status, JSON, body)

    async def send_whole(
        self, status: int, content_type: bytes, body: bytes, more: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer."""
        length = (b"content-length", str(len(body)).encode())
        self.watch.wait_for("write_stall")
        await self._start(status, content_type, [length, *_encoded(more or {})])
        rest = memoryview(body)
        while len(rest) > _PIECE:  # so that a client that does not read is noticed, and holds a piece only
            await self._write(bytes(rest[:_PIECE]), last=False)
            rest = rest[_PIECE:]
        await self._write(bytes(rest), last=True)

    async def send_events(self, data: bytes) -> None:
        """Send events of a stream; the first call sends status 200 and the headers."""
        self.watch.wait_for("write_stall")
        await self._start_events()
        if data:
            await self._write(data, last=False)
        self.watch.wait_for("gap")

    async def keep_alive(self) -> None:
        """Show a waiting client that the stream lives: a comment, which clients pass over.

        It leaves the deadlines alone: they are those of the backend, which has not said a word.
        """
        await self._start_events()
        await self._send(_body(_KEEP_ALIVE, last=False))

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
            await self._start(200, _EVENTS, [(b"x-accel-buffering", b"no")])

    async def _start(self, status: int, content_type: bytes, more: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        self._exchange.status = status
        elapsed = int((monotonic() - self._exchange.started) * 1000)
        headers = [
            (b"content-type", content_type),
            (b"x-request-id", self._exchange.request_id.encode()),
            (b"openai-processing-ms", str(elapsed).encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"authorization"),
            (b"x-content-type-options", b"nosniff"),
            *more,
        ]
        if self._exchange.translation:
            headers.append((b"x-penstock-translation", self._exchange.translation.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _write(self, data: bytes, *, last: bool) -> None:
        self.ended = self.ended or last
        self.watch.wait_for("write_stall")
        await self._send(_body(data, last=last))


def _body(data: bytes, *, last: bool) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": data, "more_body": not last}


Answer = Callable[[Gateway, Request, Client], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: what it does for which method.

    Attributes:
        operation: Its name in metrics and the access line.
        methods: Method -> what answers it. HEAD is answered as GET.
        keyed: Whether a key is asked for.
    """

    gateway: Gateway
    operation: str
    methods: Mapping[str, Answer]
    keyed: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens, and settle it."""
        if scope["type"] != ScopeType.HTTP:
            return  # a websocket: there is none here, and returning refuses it
        # The path as it was sent: Litestar's mounts cut the decoded one.
        raw_path = scope.get("raw_path") or scope["path"].encode()
        exchange = Exchange(str(scope["method"]), raw_path.decode("latin-1"), self.operation)
        watch = self.gateway.ticker.watch()
        client = Client(exchange, watch, send)
        limit = self.gateway.settings.server.body_limit
        request = Request(exchange, watch, _headers(scope), receive, limit)
        self.gateway.metrics.began()
        try:
            await self._guard(request, client)
        finally:
            self.gateway.ticker.release(watch)
            self._settle(exchange)

    def _settle(self, exchange: Exchange) -> None:
        """Write what has become of the exchange; what fails here costs nothing else, least the connection."""
        try:
            self.gateway.metrics.ended(exchange)
        except Exception:
            _logger.exception("Request %s is not in the metrics.", exchange.request_id)
        try:
            logs.write(logs.access_line(exchange))
        except Exception:
            _logger.exception("Request %s has no access line.", exchange.request_id)

    async def _guard(self, request: Request, client: Client) -> None:
        """Turn whatever is raised into an answer, or into silence where there is nobody to answer."""
        exchange = request.exchange
        try:
            await self._serve(request, client)
        except ClientLeftError:
            _note_left(exchange)
        except asyncio.CancelledError:
            phase = request.watch.take_expired()
            if phase is None:  # the server ends, and has no time left for this answer
                exchange.error, exchange.ended_by = "shutdown", "gateway"
                exchange.status = exchange.status or errors.SHUT_DOWN
                raise
            self.gateway.metrics.deadline(phase)
            exchange.error, exchange.ended_by = f"deadline_{phase}", "gateway"
            if not client.started:
                error = errors.too_late(phase) if exchange.attempts else errors.slow_body()
                await _send_error(exchange, client, error, {"connection": "close"})

    async def _serve(self, request: Request, client: Client) -> None:
        """Answer, if only with an error."""
        exchange = request.exchange
        try:
            await self._answer(request, client)
        except ApiError as error:
            await _send_error(exchange, client, error)
        except ClientLeftError:
            raise
        except Exception:
            _logger.exception("Request %s failed in the gateway.", exchange.request_id)
            await _send_error(exchange, client, errors.internal())

    async def _answer(self, request: Request, client: Client) -> None:
        method = "GET" if request.exchange.method == "HEAD" else request.exchange.method
        answer = self.methods.get(method)
        if answer is None:
            allowed = ", ".join(self.methods)
            error = errors.method_not_allowed(request.exchange.method[:16], allowed)
            await _send_error(request.exchange, client, error, {"allow": allowed})
            return
        if self.keyed:
            self.gateway.keys.authenticate(request.headers)
        await answer(self.gateway, request, client)


async def while_connected(answer: Awaitable[None], request: Request, client: Client) -> None:
    """Answer a request whose body has been read; stop at once where the client leaves.

    Raises:
        ClientLeftError: The client left first.
    """
    left = False

    async def watch_client() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        if not client.ended:
            left = True
            request.watch.task.cancel()

    watcher = asyncio.create_task(watch_client())
    try:
        await answer
    except asyncio.CancelledError:
        if not left:
            raise
        request.watch.task.uncancel()
        raise ClientLeftError from None
    finally:
        watcher.cancel()


def _note_left(exchange: Exchange) -> None:
    exchange.ended_by, exchange.error = "client", "client_left"
    exchange.status = exchange.status or errors.CLIENT_LEFT


async def _send_error(
    exchange: Exchange, client: Client, error: ApiError, more: Mapping[str, str] | None = None
) -> None:
    exchange.error = error.code or error.type
    exchange.ended_by = exchange.ended_by or "gateway"
    if client.started:
        await client.fail(error)
        return
    await client.send_whole(error.status, JSON, envelope(error), {**_error_headers(error), **(more or {})})


def _error_headers(error: ApiError) -> dict[str, str]:
    """What tells clients whether and when to ask again; the OpenAI SDKs obey these."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
    if error.code in _NOT_TO_RETRY:
        headers["x-should-retry"] = "false"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers


def _headers(scope: Scope) -> Headers:
    return dict(scope["headers"])


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
