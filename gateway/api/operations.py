"""What operators' tools ask: is the process alive, can it serve, and its figures."""

import asyncio
from typing import Final

from gateway.api.wire import JSON, Client, Request
from gateway.metrics import CONTENT_TYPE
from gateway.pipeline import Gateway

_OK: Final = b'{"status":"ok"}'


async def health(_gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /healthz`: the process answers."""
    await client.send_whole(200, JSON, _OK)


async def ready(_gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /readyz`: the process takes requests; whether backends are up is not asked.

    One that is ending says so by refusing connections: the server closes its socket before anything else.
    """
    await client.send_whole(200, JSON, _OK)


async def metrics(gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /metrics`, rendered beside the event loop."""
    text = await asyncio.to_thread(gateway.metrics.render)
    await client.send_whole(200, CONTENT_TYPE.encode(), text)
