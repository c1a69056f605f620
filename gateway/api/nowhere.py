"""The answer of every path that is no endpoint, where Litestar would give its own."""

from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse

from gateway.api.raw import Client, Endpoint, Request
from gateway.errors import unknown_url
from gateway.pipeline import Gateway

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


async def _nowhere(_gateway: Gateway, request: Request, _client: Client) -> None:
    raise unknown_url(request.exchange.method, request.exchange.path)


class Nowhere(Response[None]):
    """What Litestar's exception handler returns; it is answered by the adapter, like every endpoint."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(None)
        self._endpoint = Endpoint(gateway, "unknown", dict.fromkeys(_METHODS, _nowhere))

    def to_asgi_response(self, *_arguments: Any, **_options: Any) -> ASGIResponse:
        """The endpoint itself, which is an ASGI application as the response would be."""
        return self._endpoint  # type: ignore[return-value]  # Litestar only calls it
