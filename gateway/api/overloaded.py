"""Refuses requests while there are too many, in the few bytes and microseconds that a refusal may cost.

An endpoint's way, with its task and its routing, costs half of what a whole chat does: three times the
capacity could not even be refused. So the server asks here as soon as it has read a request's head, and
writes the answer itself. Every refusal is in the metrics and has its access line, as any request.
"""

import secrets
from typing import Final

from gateway import errors, logs
from gateway.exchange import Exchange
from gateway.overload import Reason
from gateway.pipeline import Gateway
from translators.clients.openai_error import envelope
from translators.errors import ApiError

# What operators ask is answered always.
_ALWAYS: Final = frozenset({b"/healthz", b"/readyz", b"/metrics"})
_ERROR: Final = errors.overloaded(1)
_BODY: Final = envelope(_ERROR)
_HEADERS: Final = (
    b"content-type: application/json\r\ncache-control: no-store\r\nvary: authorization\r\n"
    b"x-content-type-options: nosniff\r\nretry-after: 2\r\ncontent-length: %d\r\n" % len(_BODY)
)


class Refuser:
    """What the server asks about each request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def refuses(self, path: bytes) -> Reason | None:
        """Why a request for this path is refused, or None."""
        return None if path in _ALWAYS else self._gateway.overload.refuses()

    def headers_and_body(self, method: str, path: bytes, reason: Reason) -> bytes:
        """The refusal's headers but for the connection's own, and its body; it is settled with this."""
        exchange = Exchange(method, path.decode("latin-1"), "refused", status=_ERROR.status)
        exchange.error, exchange.ended_by = _ERROR.code or "", "gateway"
        self._gateway.metrics.shed(reason)
        self._gateway.metrics.began()
        self._gateway.metrics.ended(exchange)
        logs.write(logs.access_line(exchange))
        more = b"x-request-id: %s\r\nretry-after-ms: %d\r\n\r\n" % (
            exchange.request_id.encode(),
            spread() * 1000,
        )
        return _HEADERS + more + _BODY

    def error(self, reason: Reason) -> ApiError:
        """The refusal, for a request that is answered in the ordinary way."""
        self._gateway.metrics.shed(reason)
        return errors.overloaded(spread())


def spread() -> float:
    """From one second to two, so that those that were refused together do not come back together."""
    return 1 + (1 + secrets.randbelow(1000)) / 1000
