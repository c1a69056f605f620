"""The answers of requests that reach no endpoint: Litestar finds none, or the server refuses to read them."""

from typing import Any, cast

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from gateway.api.raw import Endpoint
from gateway.api.wire import Client, Request
from gateway.errors import unknown_url
from gateway.pipeline import Gateway
from translators.errors import ApiError


async def _nowhere(_gateway: Gateway, request: Request, _client: Client) -> None:
    raise unknown_url(request.exchange.method, request.exchange.path)


class Nowhere(Response[None]):
    """What Litestar's exception handler returns; it is answered by the adapter, like every endpoint."""

    def __init__(self, gateway: Gateway, method: str) -> None:
        super().__init__(None)
        self._endpoint = Endpoint(gateway, "unknown", dict.fromkeys((method, "GET"), _nowhere))

    def to_asgi_response(self, *_arguments: Any, **_options: Any) -> ASGIResponse:
        """The endpoint itself, which is an ASGI application as the response would be."""
        return self._endpoint  # type: ignore[return-value]  # Litestar only calls it


def refusal(gateway: Gateway, error: ApiError) -> ASGIApp:
    """Answer what the server refuses to read, with its metric and its access line."""

    async def refuse(_gateway: Gateway, _request: Request, _client: Client) -> None:
        if error.status == 408:
            gateway.metrics.deadline("header")
        else:
            gateway.metrics.refused(error.code or "")
        raise error

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        method: str = cast(HTTPScope, scope)["method"]
        methods = dict.fromkeys((method, "GET"), refuse)
        await Endpoint(gateway, "unread", methods, keyed=False)(scope, receive, send)

    return answer
