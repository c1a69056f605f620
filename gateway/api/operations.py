"""What operators' tools ask: is the process alive, can it serve, and its figures."""

from typing import Final

import msgspec

from gateway.api.wire import JSON, Client, Request
from gateway.metrics import CONTENT_TYPE
from gateway.pipeline import Gateway
from gateway.store import Store
from gateway.tallies import encode

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
    flaws = [] if store.is_away else await store.flaws()
    if gateway.keys.flaw:
        flaws.append(gateway.keys.flaw)
    if store.is_away:  # it may have gone while it was asked
        await client.send_whole(200, JSON, b'{"status":"ok","store":"away"}')
        return
    body = {"status": "not ready", "store": flaws} if flaws else {"status": "ok", "store": "up"}
    await client.send_whole(503 if flaws else 200, JSON, msgspec.json.encode(body))


async def metrics(gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /metrics`: of all workers together, added up and written where nobody waits for it."""
    text = await gateway.siblings(encode(gateway.counts()))
    await client.send_whole(200, CONTENT_TYPE.encode(), text)
