"""What operators' tools ask: is the process alive, can it serve, and its figures."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.api.wire import JSON, Client, Request
from gateway.metrics import CONTENT_TYPE, render
from gateway.pipeline import Gateway
from gateway.store import Store
from gateway.tallies import decode, encode, together

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
    if store.is_away:  # it may have gone while it was asked
        await client.send_whole(200, JSON, b'{"status":"ok","store":"away"}')
        return
    body = {"status": "not ready", "store": flaws} if flaws else {"status": "ok", "store": "up"}
    await client.send_whole(503 if flaws else 200, JSON, msgspec.json.encode(body))


def _text(counts: Sequence[bytes]) -> bytes:
    return render(together(map(decode, counts)))


async def metrics(gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /metrics`: of all workers together, added up and written beside the event loop."""
    counts = encode(gateway.metrics.counts())
    text = await asyncio.to_thread(_text, await gateway.siblings(counts))
    await client.send_whole(200, CONTENT_TYPE.encode(), text)
