"""The gateway, served on loopback by the production server, in the event loop of the test."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway import app
from gateway.cli import server
from gateway.health.breaker import Breaker
from gateway.pipeline import Gateway
from gateway.settings import Settings
from tests.gateway.scripted import PATIENCE

MASTER = "sk-ps-canary-master-key-0123456789"
TOKEN = "canary-api-token-0123456789abcdef0123456"
ACCOUNT = "0123456789abcdef0123456789abcdef"
MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"

Json = dict[str, Any]


def backend_settings(url: str, **more: Any) -> Json:
    return {"kind": "workers_ai", "account_id": ACCOUNT, "api_token": TOKEN, "base_url": url, **more}


def route(*backends: str, **more: Any) -> Json:
    """A model's targets, one a backend."""
    return {"targets": [{"backend": name, "model": MODEL} for name in backends], **more}


def asks(text: str = "Hello", /, **fields: Any) -> Json:
    """A chat request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


@dataclass
class Served:
    """A gateway that answers on a port of this machine."""

    gateway: Gateway
    port: int
    client: httpx.AsyncClient
    process: server._Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def chat(self, text: str = "Hello", /, **fields: Any) -> httpx.Response:
        """Ask and read the whole answer, streamed or not."""
        return await self.client.post("/v1/chat/completions", json=asks(text, **fields))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def settled(self) -> None:
        """Wait until every request has been answered or given up, and its books are closed."""
        tasks = {watch.task for watch in self.gateway.ticker._live}
        if tasks:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(tasks)

    async def waits_for(self, phase: str) -> None:
        """Let the loop turn until an exchange waits for this; the gateway runs in the same one."""
        async with asyncio.timeout(PATIENCE):
            while all(watch.phase != phase for watch in self.gateway.ticker._live):  # noqa: ASYNC110 - turns, not time
                await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        """Let the ticker's clock jump, and tick."""
        clock = self.gateway.ticker.clock
        self.gateway.ticker.clock = lambda: clock() + seconds
        self.gateway.ticker.tick()

    def all_well(self) -> None:
        """Have the gateway forget what it knows of its backends' troubles."""
        health = self.gateway.dispatch.balancer.health
        health._models.clear()
        for name, condition in health.backends.items():
            condition.breaker = Breaker(self.gateway.settings.backends[name].breaker)
            condition.aside_until = 0.0

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        ticker = self.gateway.ticker
        passed, ticker.clock = ticker.clock, time.monotonic  # or a tick would end this request as well
        try:
            text = (await self.client.get("/metrics")).text
        finally:
            ticker.clock = passed
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.split("{")[0].split(" ")[0] == name
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        )


@asynccontextmanager
async def serving_gateway(
    settings: Mapping[str, Any], state: app.State | None = None
) -> AsyncIterator[Served]:
    gateway = app.build(Settings.model_validate(settings), MASTER, state)
    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    headers = {"authorization": f"Bearer {MASTER}"}
    async with (
        running(server.gateway_site(gateway, listener)) as process,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers=headers,
            trust_env=False,
            verify=False,
            timeout=2 * PATIENCE,
        ) as client,
    ):
        yield Served(gateway, port, client, process)


class _PromptServer(server._Server):
    """The production server, but told when to end, where it would look every 100 ms."""

    def __init__(self, site: server.Site) -> None:
        super().__init__(site)
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        await self.stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End at once: uvicorn's own waits 100 ms at least."""
        del sockets
        for each in self.servers:
            each.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            _ended, stuck = await asyncio.wait(self.server_state.tasks, timeout=PATIENCE)
            assert not stuck, "an exchange goes on although its client has left"
        await self.lifespan.shutdown()


@asynccontextmanager
async def running(site: server.Site) -> AsyncIterator[server._Server]:
    prompt = _PromptServer(site)
    serving = asyncio.create_task(prompt.serve(sockets=[site.socket]))
    ready = asyncio.create_task(prompt.ready.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        yield prompt
    finally:
        prompt.stop.set()
        await serving
        site.socket.close()


def events(body: str) -> list[Any]:
    """The data of all events: decoded, but for the last one's `[DONE]`."""
    data = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def text_of(body: str) -> str:
    """The text that a stream has carried."""
    chunks = [each for each in events(body) if each != "[DONE]"]
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ())
    )


def private(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0
