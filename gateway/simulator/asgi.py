"""What the simulator's applications share of ASGI: reads bodies, sends JSON, notices who leaves."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from gateway.simulator.delivery import Message, Send

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Answer = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


async def serve(scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
    """Serve one connection of any kind that ASGI knows: each request gets its answer."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)
    else:
        await send({"type": "websocket.close"})


async def lifespan(receive: Receive, send: Send) -> None:
    """Agree to start and to stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def read_body(receive: Receive, largest: int) -> bytes | None:
    """Read the body, never more than a little over the largest; None when the client has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= largest:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def disconnected(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_json(send: Send, status: int, body: Any, headers: Headers) -> None:
    """Send a whole answer."""
    encoded = msgspec.json.encode(body)
    length = str(len(encoded)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})
