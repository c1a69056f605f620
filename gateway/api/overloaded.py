"""Refuses requests while there are too many, in the few bytes and microseconds that a refusal may cost.

An endpoint's way, with its task and its routing, costs half of what a whole chat does: three times the
capacity could not even be refused. So the server asks here as soon as it has read a request's head, and
writes the answer itself. Every refusal is in the metrics and has its access line, as any request; those of
one turn of the event loop are noted together, at its end, for they differ in nothing but the request's id.
"""

import asyncio
import os
from itertools import count
from typing import Final

from gateway import errors
from gateway.exchange import Exchange
from gateway.overload import Reason
from gateway.pipeline import Gateway
from translators.clients.openai_error import envelope
from translators.errors import ApiError

# What operators ask is answered always.
_ALWAYS: Final = frozenset({b"/healthz", b"/readyz", b"/metrics"})
_ERROR: Final = errors.overloaded(1)
_BODY: Final = envelope(_ERROR)
_ANSWER: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\n%%b"
    b"content-type: application/json\r\ncache-control: no-store\r\nvary: authorization\r\n"
    b"x-content-type-options: nosniff\r\nretry-after: 2\r\ncontent-length: %d\r\n"
    b"x-request-id: %%b\r\nretry-after-ms: %%d\r\n\r\n" % len(_BODY) + _BODY.replace(b"%", b"%%")
)
# Milliseconds; by the golden section of a second, those that follow each other lie far apart.
_STRIDE: Final = 381

Alike = tuple[str, bytes, Reason]  # the method, the path and why: what refusals that are noted together share
Headers = list[tuple[bytes, bytes]]


class Refuser:
    """What the server asks about each request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._unnoted: dict[Alike, list[bytes]] = {}  # request ids
        # Asking the system for each id would be a tenth of a refusal: here only the process is random.
        self._id = b"req_%b%%010x" % os.urandom(11).hex().encode()
        self._number = count()
        self._defaults: Headers = []
        self._default_lines = b""

    def refuses(self, path: bytes) -> Reason | None:
        """Why a request for this path is refused, or None."""
        return None if path in _ALWAYS else self._gateway.overload.refuses()

    def is_for_a_page(self, headers: Headers) -> bool:
        """Whether a browser asks, which shows its page only the answers whose headers allow it."""
        return not self._gateway.cors.is_off and any(name == b"origin" for name, _value in headers)

    def answer(self, method: str, path: bytes, reason: Reason, defaults: Headers) -> bytes:
        """The refusal, after which the connection goes on; it is settled with this.

        Args:
            method: The request's method.
            path: Its path.
            reason: Why it is refused.
            defaults: Headers that the server gives all answers; it makes a new list of them each second.
        """
        number = next(self._number)
        request_id = self._id % number
        if defaults is not self._defaults:
            self._defaults = defaults
            self._default_lines = b"".join(b"%b: %b\r\n" % each for each in defaults)
        if not self._unnoted:
            asyncio.get_running_loop().call_soon(self._note)
        alike = (method, path, reason)
        if alike in self._unnoted:
            self._unnoted[alike].append(request_id)
        else:
            self._unnoted[alike] = [request_id]
        return _ANSWER % (self._default_lines, request_id, spread(number))

    def error(self, reason: Reason) -> ApiError:
        """The refusal, for a request that is answered in the ordinary way."""
        self._gateway.metrics.shed(reason)
        return errors.overloaded(spread(next(self._number)) / 1000)

    def _note(self) -> None:
        unnoted, self._unnoted = self._unnoted, {}
        for (method, path, reason), request_ids in unnoted.items():
            exchange = Exchange(method, path.decode("latin-1"), "refused", status=_ERROR.status)
            exchange.error, exchange.ended_by = _ERROR.code or "", "gateway"
            self._gateway.metrics.turned_away(exchange, reason, len(request_ids))
            self._gateway.log.note_alike(exchange, request_ids)


def spread(number: int) -> int:
    """From one second to two, in ms: those who were refused together shall not come back together."""
    return 1001 + number * _STRIDE % 1000
