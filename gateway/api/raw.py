"""The adapter under the endpoints: whatever one raises becomes an answer, and every exchange is settled.

It owns what every endpoint needs and none should think of: methods (405 with Allow), too many requests,
the key, a client that leaves, deadlines, OpenAI's error envelope, and the settling of the exchange; `wire`
has the bodies and headers. Who finds the endpoint is `app`'s affair.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from gateway import errors
from gateway.api.wire import DEPARTURE, JSON, OUTLET, Client, ClientLeftError, Departure, Request
from gateway.deadlines import Phase
from gateway.errors import LimitError, RefusedKeyError, WrongKeyError
from gateway.exchange import Exchange
from gateway.keys import Caller
from gateway.pipeline import Gateway
from translators.clients.openai_error import envelope
from translators.errors import INVALID_OUTPUT, ApiError

# A spent allocation and a refused credential of the operator's do not come right by asking again; invalid
# output was asked for again already.
_NOT_TO_RETRY: Final = frozenset({"insufficient_quota", "upstream_auth", INVALID_OUTPUT})
_TO_RETRY_LATER: Final = frozenset({429, 503})
_LAST_WORDS: Final = 1.0  # seconds
HTTP: Final = ScopeType.HTTP  # to look a member of an enumeration up is a call
_logger: Final = logging.getLogger("penstock")

Answer = Callable[[Gateway, Request, Client], Awaitable[None]]


class Endpoint:
    """One endpoint: what it does for which method.

    Args:
        gateway: What all share.
        operation: Its name in metrics and the access line.
        methods: Method -> what answers it. HEAD is answered as GET.
        keyed: Whether a key is asked for.
        spared: Whether it is answered however much is in flight.
    """

    __slots__ = ("_body_limit", "gateway", "keyed", "methods", "operation", "spared")

    def __init__(
        self,
        gateway: Gateway,
        operation: str,
        methods: Mapping[str, Answer],
        *,
        keyed: bool = True,
        spared: bool = False,
    ) -> None:
        self.gateway: Final = gateway
        self.operation: Final = operation
        self.methods: Final = methods
        self.keyed: Final = keyed
        self.spared: Final = spared
        self._body_limit = gateway.settings.server.body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens, and settle it."""
        if scope["type"] != HTTP:
            return  # a websocket: there is none here, and returning refuses it
        # The path as it was sent: Litestar's mounts cut the decoded one.
        raw_path = scope.get("raw_path") or scope["path"].encode()
        gateway = self.gateway
        path, address = raw_path.decode("latin-1"), gateway.origin.of(scope)
        exchange = Exchange(str(scope["method"]), path, self.operation, address=address)
        watch = gateway.ticker.watch()
        client = Client(exchange, watch, send, scope["state"].get(OUTLET))
        departure = scope["state"].get(DEPARTURE) or Departure()
        headers, query = dict(scope["headers"]), scope.get("query_string", b"")
        request = Request(
            exchange, departure, watch, headers, receive, self._body_limit, self._has_room, query
        )
        if not gateway.cors.is_off:
            exchange.permission = gateway.cors.permission(headers)
        gateway.metrics.began()
        try:
            await self._guard(request, client)
        finally:
            gateway.ticker.release(watch)
            self._settle(exchange)

    def _settle(self, exchange: Exchange) -> None:
        """Write what has become of the exchange; what fails here costs nothing else, least the connection."""
        try:
            self.gateway.metrics.ended(exchange)
        except Exception:
            _logger.exception("Request %s is not in the metrics.", exchange.request_id)
        try:
            self.gateway.log.note(exchange)
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
            doing = request.watch.phase
            phase = request.watch.take_expired()
            if phase is None:
                await _shut_down(exchange, client)
                raise
            self.gateway.metrics.deadline(phase)
            exchange.error, exchange.ended_by = f"deadline_{phase}", "gateway"
            if not client.started:
                await _send_error(
                    exchange, client, _lateness(exchange, doing, phase), {"connection": "close"}
                )
            elif doing != "write_stall":  # nor may it stand in the middle of an event that was being written
                await _last_words(exchange, client, _lateness(exchange, doing, phase))

    async def _serve(self, request: Request, client: Client) -> None:
        """Answer, if only with an error."""
        exchange = request.exchange
        try:
            await self._answer(request, client)
        except ApiError as error:
            if isinstance(error, RefusedKeyError):
                self.gateway.metrics.key_refused(error.flaw)
            await _send_error(exchange, client, error)
        except ClientLeftError:
            raise
        except Exception:
            _logger.exception("Request %s failed in the gateway.", exchange.request_id)
            await _send_error(exchange, client, errors.internal())

    def _answer(self, request: Request, client: Client) -> Awaitable[None]:
        """What answers the request."""
        method = "GET" if request.exchange.method == "HEAD" else request.exchange.method
        answer = self.methods.get(method)
        if method == "OPTIONS" and not self.gateway.cors.is_off:
            preflight = self.gateway.cors.preflight(request.headers)
            if preflight is not None:
                return client.send_nothing(preflight)
        if answer is None:
            allowed = ", ".join(self.methods)
            error = errors.method_not_allowed(request.exchange.method[:16], allowed)
            return _send_error(request.exchange, client, error, {"allow": allowed})
        if self.keyed:
            return self._answer_counted(answer, request, client)
        return answer(self.gateway, request, client)

    async def _answer_counted(self, answer: Answer, request: Request, client: Client) -> None:
        """Answer one of those that cost something, unless the server has let in too many at once."""
        overload = self.gateway.overload
        if overload.is_full() and not self.spared:
            self.gateway.metrics.shed("in_flight")
            raise errors.overloaded(2)
        overload.in_flight += 1
        try:
            caller = request.caller = self._known(request) or await self._looked_up(request)
            request.exchange.key = caller.id
            await answer(self.gateway, request, client)
        finally:
            overload.in_flight -= 1

    def _has_room(self, size: int) -> bool:
        """Whether there is memory for more of a body."""
        has_room = self.gateway.overload.has_room(size)
        if not has_room:
            self.gateway.metrics.shed("memory")
        return has_room

    def _known(self, request: Request) -> Caller | None:
        """Whose key it is, before a byte of the body is read; None where somebody has to be asked."""
        keys, address, is_away = self.gateway.keys, request.exchange.address, self.gateway.store.is_away
        try:
            return keys.known(request.headers, address, is_away=is_away)
        except WrongKeyError as error:
            raise self._suspected(error, address) from None

    async def _looked_up(self, request: Request) -> Caller:
        """Whose key it is, which is not known here."""
        address = request.exchange.address
        request.watch.wait_for("total")  # not for the client, who may have sent all
        try:
            async with self.gateway.suspects.line(address):
                return await self.gateway.keys.look_up(request.headers, address)
        except WrongKeyError as error:
            raise self._suspected(error, address) from None

    def _suspected(self, error: WrongKeyError, address: str) -> ApiError:
        """What is told of a wrong key, where its address is noted."""
        suspects = self.gateway.suspects
        wait = suspects.wait(address)
        suspects.failed(address)
        return errors.wrong_keys(wait) if wait else error


async def while_connected(answer: Awaitable[None], request: Request, client: Client) -> None:
    """Answer a request whose body has been read; stop at once where the client leaves.

    Raises:
        ClientLeftError: The client left first.
    """
    left = False

    def leave() -> None:
        nonlocal left
        if not client.ended:
            left = True
            request.watch.give_up()

    request.departure.tell(leave)
    if request.departure.happened:
        leave()
    try:
        await answer
    except asyncio.CancelledError:
        if not left:
            raise
    finally:
        request.departure.tell(None)
    if left:
        request.watch.task.uncancel()
        raise ClientLeftError


def _lateness(exchange: Exchange, doing: Phase, phase: Phase) -> ApiError:
    """What is told of a deadline that has passed outside of every attempt."""
    if doing == "body_idle":
        return errors.slow_body()
    return errors.too_late(phase) if exchange.attempts else errors.none_available(1)


async def _shut_down(exchange: Exchange, client: Client) -> None:
    """The server ends, and has no time left for this answer."""
    exchange.ended_by = "gateway"
    await _last_words(exchange, client, errors.shutting_down())


async def _last_words(exchange: Exchange, client: Client, error: ApiError) -> None:
    """Say why the answer ends, to those who take it at once."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await _send_error(exchange, client, error, {"connection": "close"})


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
    is_hopeless = error.code in _NOT_TO_RETRY or (isinstance(error, LimitError) and error.is_hopeless)
    wait = error.retry_after
    if wait is None and error.status in _TO_RETRY_LATER and not is_hopeless:
        wait = 1.0  # a backend need not say how long
    if wait is not None:
        headers["retry-after"] = str(max(1, math.ceil(wait)))
        headers["retry-after-ms"] = str(math.ceil(wait * 1000))
    if is_hopeless:
        headers["x-should-retry"] = "false"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers
