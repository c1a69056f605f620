"""What operators' tools ask: is the process alive, can it serve, and its figures."""

import asyncio
from typing import Final

import msgspec

from gateway.api.wire import JSON, Client, Request
from gateway.metrics import CONTENT_TYPE
from gateway.pipeline import Gateway
from gateway.store import Store

_OK: Final = b'{"status":"ok"}'


async def health(_gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /healthz`: the process answers."""
    await client.send_whole(200, JSON, _OK)


async def ready(gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /readyz`: the process takes requests; whether backends are up is not asked.

    A store that is away keeps nobody out, for each limit says what holds then; one that would forget what it
    is told does. A process that ends says so by refusing connections: the server closes its socket first.
    """
    store = gateway.store
    if not isinstance(store, Store):
        await client.send_whole(200, JSON, _OK)
        return
    if store.is_away:
        await client.send_whole(200, JSON, b'{"status":"ok","store":"away"}')
        return
    flaws = await store.flaws()
    body = {"status": "not ready", "store": flaws} if flaws else {"status": "ok", "store": "up"}
    await client.send_whole(503 if flaws else 200, JSON, msgspec.json.encode(body))


async def metrics(gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /metrics`, rendered beside the event loop."""
    text = await asyncio.to_thread(gateway.metrics.render)
    await client.send_whole(200, CONTENT_TYPE.encode(), text)
