"""The simulator as an ASGI application: reads requests, sends answers, stops when the client leaves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from gateway.simulator import account, edge, pieces

SIMULATED_ACCOUNT_ID = "5151a7ed5151a7ed5151a7ed5151a7ed"
# Well formed (an older token: 40 characters, no prefix) and plainly no secret.
SIMULATED_API_TOKEN = "simulated-api-token-that-is-not-a-secret"  # noqa: S105 - opens nothing but a simulation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_LARGEST_BODY = 64 * 1024 * 1024  # error 3006 is documented, its limit is not


class Simulator:
    """A Cloudflare account with Workers AI, served under `/client/v4`.

    `chunk_delay` paces streams (seconds between events), `split_chunks` cuts them at odd places,
    `final_newline=False` leaves out the blank line after the last event, `numeric_responses` sends tokens
    that are numbers as numbers.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        account_id: str = SIMULATED_ACCOUNT_ID,
        api_token: str = SIMULATED_API_TOKEN,
        seed: int = 0,
        *,
        chunk_delay: float = 0.0,
        split_chunks: bool = False,
        final_newline: bool = True,
        numeric_responses: bool = False,
    ) -> None:
        self._account_id = account_id
        self._api_token = api_token
        self._account = account.Account(seed=seed, numeric_responses=numeric_responses)
        self._chunk_delay = chunk_delay
        self._split_chunks = split_chunks
        self._final_newline = final_newline
        self.open_streams = 0
        self.abandoned_streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind that ASGI knows."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        ray = self._account.fingerprint(scope["path"].encode(), body).hex()[:16]
        headers: Headers = [(b"cf-ray", f"{ray}-SIM".encode())]
        call = self._admit(scope)
        if isinstance(call, edge.Refusal):
            await _send_json(send, call.status, call.body, headers)
        elif call.endpoint == "models/search":
            wanted = parse_qs(scope["query_string"].decode("latin-1")).get("search", [""])[0]
            await _send_json(send, 200, account.search(wanted), headers)
        else:
            await self._run(call, body, receive, send, headers)

    def _admit(self, scope: Scope) -> edge.Call | edge.Refusal:
        """Find the endpoint, then check the credential and the account."""
        call = edge.route(scope["method"], scope["path"])
        if isinstance(call, edge.Refusal):
            return call
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        return edge.authenticate(headers, self._api_token) or edge.authorize(call, self._account_id) or call

    async def _run(
        self, call: edge.Call, body: bytes, receive: Receive, send: Send, headers: Headers
    ) -> None:
        if len(body) > _LARGEST_BODY:
            refused = edge.model_refusal(413, 3006, "Request is too large")
            await _send_json(send, refused.status, refused.body, headers)
            return
        reply = self._account.run(call.model, body)
        headers = [*headers, (b"cf-ai-req-id", reply.request_id.encode())]
        answer = reply.answer
        if isinstance(answer, edge.Refusal):
            await _send_json(send, answer.status, answer.body, headers)
        elif isinstance(answer, dict):
            # A stream's cost is not known when its headers go out; its last event states it.
            headers.append((b"cf-ai-neurons", str(answer["usage"]["neurons"]).encode()))
            envelope = {"result": answer, "success": True, "errors": [], "messages": []}
            await _send_json(send, 200, envelope, headers)
        else:
            await self._stream(self._shaped(answer, reply.request_id.encode()), receive, send, headers)

    def _shaped(self, events: Iterator[bytes], fingerprint: bytes) -> Iterator[bytes]:
        """Give the stream the odd shapes that were asked for."""
        shaped = events if self._final_newline else _without_final_newline(events)
        return pieces.cut(shaped, fingerprint) if self._split_chunks else shaped

    async def _stream(self, chunks: Iterator[bytes], receive: Receive, send: Send, headers: Headers) -> None:
        """Send chunk by chunk, one loop turn each, until done or the client has left."""
        headers = [(b"content-type", b"text/event-stream"), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = asyncio.ensure_future(_disconnected(receive))
        self.open_streams += 1
        try:
            for chunk in chunks:
                if left.done():
                    self.abandoned_streams += 1
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._chunk_delay:
                    await asyncio.wait([left], timeout=self._chunk_delay)
                else:
                    await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.open_streams -= 1
            left.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await left


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read_body(receive: Receive) -> bytes | None:
    """Read the body, never more than a little over the limit of it; None when the client has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= _LARGEST_BODY:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_json(send: Send, status: int, body: Any, headers: Headers) -> None:
    encoded = msgspec.json.encode(body)
    length = str(len(encoded)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})


def _without_final_newline(events: Iterator[bytes]) -> Iterator[bytes]:
    last: bytes | None = None
    for event in events:
        if last is not None:
            yield last
        last = event
    yield (last or b"").rstrip(b"\n")
