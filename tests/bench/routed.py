"""A gateway before several simulated servers that can be made sick, and a client that judges each answer.

All of them run in one event loop, each as a site of its own behind the production server: what is measured
with them is what was asked of whom and what came of it, and waits that are far longer than any of their work.
"""

import asyncio
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpx

from gateway.cli import server
from gateway.simulator import SimulatedServer, Simulator, create_server, edge
from gateway.simulator.asgi import Receive, Scope, send_json
from gateway.simulator.delivery import Send
from tests.gateway.served import MASTER, Json, Served, running, serving_gateway

MODEL = "simulated"
FAILED = frozenset({502, 503, 504})
PATIENCE = 30.0
_CONTENT = re.compile(rb'"content":"[^"]')

App = SimulatedServer | Simulator


@dataclass
class Place:
    """An address where an application answers, unless it is gone.

    Attributes:
        asked: Requests for an answer that have come.
        refused: What each is refused with, as by a service that is away; None: it is there.
    """

    app: App
    port: int = 0
    asked: int = 0
    refused: edge.Refusal | None = None
    _is_open: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def server(self) -> SimulatedServer:
        """The application, where it is a server of one's own."""
        assert isinstance(self.app, SimulatedServer)
        return self.app

    async def open(self) -> None:
        """Listen, where it did before if it did; unless it does."""
        if self._is_open:
            return
        self._is_open = True
        listener = server.listen("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        await self._stack.enter_async_context(running(server.Site(self, listener)))

    async def close(self) -> None:
        """Be gone: the port is closed, and every connection with it."""
        self._is_open = False
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            self.asked += 1
            if self.refused is not None:
                await send_json(send, self.refused.status, self.refused.body, [])
                return
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent, when its answer began and ended, and what was wrong with that."""

    sent: float
    began: float
    ended: float
    status: int
    backend: str
    flaw: str
    text: str

    @property
    def seconds(self) -> float:
        return self.ended - self.sent

    @property
    def first_token(self) -> float:
        return self.began - self.sent


@dataclass
class Routed:
    """A gateway before places."""

    served: Served
    client: httpx.AsyncClient

    async def ask(self, model: str, messages: list[Json], **fields: Any) -> Asked:
        """One chat, whole or streamed."""
        body = {"model": model, "messages": messages, **fields}
        sent, began = monotonic(), 0.0
        received = bytearray()
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for data in answer.aiter_raw():
                received += data
                if not began and _CONTENT.search(received):
                    began = monotonic()
        ended = monotonic()
        text, flaw = _judged(answer.status_code, bytes(received), is_stream=bool(fields.get("stream")))
        backend = answer.headers.get("x-penstock-backend", "")
        return Asked(sent, began or ended, ended, answer.status_code, backend, flaw, text)


def _judged(status: int, body: bytes, *, is_stream: bool) -> tuple[str, str]:
    """An answer's text, and what is wrong with it; of an error, what is wrong with that."""
    if status != 200:
        return "", "" if _is_envelope(body) and status in FAILED | {429} else f"{status} {body[:200]!r}"
    if not is_stream:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"] or ""
        return text, "" if text and choice["finish_reason"] else "no whole answer"
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    if not lines or lines.pop() != b"[DONE]":
        return "", "a stream without its end"
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return text, "" if text and choices[-1]["finish_reason"] else "no whole answer"


def _is_envelope(body: bytes) -> bool:
    """Whether it is an error as OpenAI writes one."""
    error = json.loads(body).get("error")
    return isinstance(error, dict) and error.keys() >= {"message", "type", "param", "code"}


def _nothing(_record: logging.LogRecord) -> bool:
    return False


@contextmanager
def silenced() -> Iterator[None]:
    """Leave out access lines, and what servers say of answers that they are made to break off."""
    sys.stdout.flush()
    stdout = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)
        os.dup2(stdout, 1)
        os.close(nowhere)
        os.close(stdout)


@asynccontextmanager
async def places(apps: Iterable[App]) -> AsyncIterator[list[Place]]:
    """Applications, each at a port of its own."""
    found = [Place(app) for app in apps]
    for each in found:
        await each.open()
    try:
        yield found
    finally:
        for each in found:
            await each.close()


@asynccontextmanager
async def routed(backends: Mapping[str, Json], models: Json, **settings: Any) -> AsyncIterator[Routed]:
    """A gateway with these backends and routes."""
    with tempfile.TemporaryDirectory(prefix="ps-routing-") as folder:
        every = {"data_dir": folder, "backends": backends, "models": models, **settings}
        async with (
            serving_gateway(every) as served,
            httpx.AsyncClient(
                base_url=served.url,
                headers={"authorization": f"Bearer {MASTER}"},
                trust_env=False,
                verify=False,
                timeout=PATIENCE,
                limits=httpx.Limits(max_keepalive_connections=None),
            ) as client,
        ):
            served.gateway.ticker.woke = None  # what is simulated in its loop is no overload of the gateway
            yield Routed(served, client)


def servers(count: int, product: str = "vllm", **options: Any) -> list[SimulatedServer]:
    """Servers of one product that all have the same model."""
    return [create_server(product, models=(MODEL,), seed=number, **options) for number in range(count)]


def backend(place: Place, product: str = "vllm", **more: Any) -> Json:
    """The settings of a server at a place."""
    return {"kind": "openai", "server": product, "base_url": f"{place.url}/v1", **more}


def route(count: int, balance: str, **more: Any) -> Json:
    """A route over so many servers."""
    targets = [{"backend": f"s{number}", "model": MODEL} for number in range(count)]
    return {"targets": targets, "balance": balance, **more}


async def at_once(number: int, width: int, work: Callable[[int], Awaitable[Asked]]) -> list[Asked]:
    """So much work, so many at once."""
    room = asyncio.Semaphore(width)

    async def one(each: int) -> Asked:
        async with room:
            return await work(each)

    return await asyncio.gather(*(one(each) for each in range(number)))
