"""The simulator as an ASGI application: reads requests, sends answers, stops when the client leaves."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.simulator import account, edge, faults, listing, pieces
from gateway.simulator.asgi import Headers, Receive, Scope, disconnected, read_body, send_json, serve
from gateway.simulator.delivery import Pace, Send, deliver

SIMULATED_ACCOUNT_ID = "5151a7ed5151a7ed5151a7ed5151a7ed"
# Well formed (an older token: 40 characters, no prefix) and plainly no secret.
SIMULATED_API_TOKEN = "simulated-api-token-that-is-not-a-secret"  # noqa: S105 - opens nothing but a simulation

_FAULT = "x-simulator-fault"
_LARGEST_BODY = 64 * 1024 * 1024  # error 3006 is documented, its limit is not


class Simulator:
    """A Cloudflare account with Workers AI, served under `/client/v4`.

    `chunk_delay` paces streams (seconds between events), `split_chunks` cuts them at odd places,
    `final_newline=False` leaves out the blank line after the last event, `numeric_responses` sends tokens
    that are numbers as numbers, `gpt_oss_streams=False` lets gpt-oss answer streams with empty JSON,
    `requests_per_minute` limits each model, in minutes of `clock`. Single requests choose from the menu of
    `faults`.
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
        gpt_oss_streams: bool = True,
        requests_per_minute: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._account_id = account_id
        self._api_token = api_token
        self._account = account.Account(
            clock,
            seed=seed,
            numeric_responses=numeric_responses,
            gpt_oss_streams=gpt_oss_streams,
            requests_per_minute=requests_per_minute,
        )
        self._chunk_delay = chunk_delay
        self._split_chunks = split_chunks
        self._final_newline = final_newline
        self.open_streams = 0
        self.abandoned_streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind that ASGI knows."""
        await serve(scope, receive, send, self._serve)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, _LARGEST_BODY)
        if body is None:
            return
        ray = self._account.fingerprint(scope["path"].encode(), body).hex()[:16]
        headers: Headers = [(b"cf-ray", f"{ray}-SIM".encode())]
        asked = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        call = self._admit(scope, asked)
        if isinstance(call, edge.Refusal):
            await send_json(send, call.status, call.body, headers)
        elif call.endpoint == "run":
            await self._run(call, body, _Client(asked, receive, send), headers)
        else:
            found = self._list(call, dict(parse_qsl(scope["query_string"].decode("latin-1"))), ray)
            status, found = (found.status, found.body) if isinstance(found, edge.Refusal) else (200, found)
            await send_json(send, status, found, headers)

    def _admit(self, scope: Scope, headers: dict[str, str]) -> edge.Call | edge.Refusal:
        """Find the endpoint, then check the credential and the account."""
        call = edge.route(scope["method"], scope["path"])
        if isinstance(call, edge.Refusal):
            return call
        return edge.authenticate(headers, self._api_token) or edge.authorize(call, self._account_id) or call

    def _list(self, call: edge.Call, asked: dict[str, str], ray: str) -> dict[str, Any] | edge.Refusal:
        if call.endpoint == "models/search":
            return listing.search(asked)
        return listing.schema(asked.get("model", ""), ray)

    async def _run(self, call: edge.Call, body: bytes, client: "_Client", headers: Headers) -> None:
        try:
            chosen = faults.of_header(name) if (name := client.headers.get(_FAULT)) else None
        except faults.UnknownFaultError as error:
            await send_json(client.send, 400, edge.edge_refusal(400, (7000, str(error))).body, headers)
            return
        if len(body) > _LARGEST_BODY:
            refused = edge.model_refusal(413, 3006, "Request is too large")
            await send_json(client.send, refused.status, refused.body, headers)
            return
        reply = self._account.run(call.model, body, chosen)
        headers = [*headers, (b"cf-ai-req-id", reply.request_id.encode())]
        await self._answer(reply, client, headers)

    async def _answer(self, reply: account.Reply, client: "_Client", headers: Headers) -> None:
        answer, pace = reply.answer, Pace.of(reply.fault, self._chunk_delay)
        if isinstance(answer, edge.Refusal):
            await send_json(client.send, answer.status, answer.body, headers)
            return
        if not isinstance(answer, dict):
            stream = [(b"content-type", b"text/event-stream"), *headers]
            await self._deliver(self._shaped(answer, reply), client, stream, pace)
            return
        if usage := answer.get("usage"):
            # A stream's cost is not known when its headers go out; its last event states it.
            headers.append((b"cf-ai-neurons", str(usage["neurons"]).encode()))
        envelope = {"result": answer, "success": True, "errors": [], "messages": []}
        if pace.is_plain:
            await send_json(client.send, 200, envelope, headers)
        else:
            whole = [(b"content-type", b"application/json"), *headers]
            await self._deliver(iter([msgspec.json.encode(envelope)]), client, whole, pace)

    def _shaped(self, events: Iterator[bytes], reply: account.Reply) -> Iterator[bytes]:
        """Give the stream the odd shapes that were asked for."""
        name = reply.fault.name if reply.fault else ""
        if name == "split-surrogates":
            events = pieces.with_halves(events)
        if name == "streamed-data":
            events = pieces.in_lists(events)
        if name == "error-event":
            events = pieces.ended_by_error(events)
        if name == "no-final-newline" or not self._final_newline:
            events = pieces.without_final_newline(events)
        return pieces.cut(events, reply.request_id.encode()) if self._split_chunks else events

    async def _deliver(
        self, chunks: Iterator[bytes], client: "_Client", headers: Headers, pace: Pace
    ) -> None:
        """Send until done or the client has left, and keep count of both."""
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        left = asyncio.ensure_future(disconnected(client.receive))
        self.open_streams += 1
        try:
            if not await deliver(start, chunks, client.send, left, pace):
                self.abandoned_streams += 1
        finally:
            self.open_streams -= 1
            left.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await left


@dataclass(frozen=True, slots=True)
class _Client:
    """The other end of one request."""

    headers: dict[str, str]
    receive: Receive
    send: Send
