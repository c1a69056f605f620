"""How the tests ask a simulated server, in their own process or over a socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from gateway.simulator import SimulatedServer, create_server

PATIENCE = 20.0
Json = dict[str, Any]
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def body(text: str = "Say hello there", /, **fields: Any) -> Json:
    return {"model": "simulated", "messages": [{"role": "user", "content": text}], **fields}


def client(server: SimulatedServer | str, **settings: Any) -> httpx.AsyncClient:
    """A client of a server in this process, or of a product's with these settings."""
    app = create_server(server, **settings) if isinstance(server, str) else server
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


async def chat(
    server: SimulatedServer | str, text: str = "Say hello there", /, **fields: Any
) -> httpx.Response:
    async with client(server) as asking:
        return await asking.post("/v1/chat/completions", json=body(text, **fields))


async def streamed(
    server: SimulatedServer | str, text: str = "Say hello there", /, **fields: Any
) -> list[Json]:
    """The chunks of a stream that ended as one should."""
    answer = await chat(server, text, stream=True, **fields)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    *chunks, done = events(answer.text)
    assert done == "[DONE]"
    return chunks


def events(text: str) -> list[Any]:
    data = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def deltas(chunks: list[Json]) -> list[Json]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def text_of(chunks: list[Json]) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(chunks))


def fragments(chunks: list[Json]) -> list[Json]:
    return [each for delta in deltas(chunks) for each in delta.get("tool_calls") or []]


def finishes(chunks: list[Json]) -> list[str]:
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    return [reason for reason in reasons if reason]


async def until(is_so: Any) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - turns, not time
            await asyncio.sleep(0)


class _Web(uvicorn.Server):
    def __init__(self, app: SimulatedServer) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serving(app: SimulatedServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server on a port of this machine."""
    web = _Web(app)
    task = asyncio.create_task(web.serve())
    await web.ready.wait()
    port = web.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE
        ) as asking:
            yield asking
    finally:
        web.should_exit = True
        await task
