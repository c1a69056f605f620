"""A gateway with several workers before a simulated account, and a client that notes what it is told."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN

PENSTOCK = (sys.executable, "-c", "from gateway.cli import main; main(prog_name='penstock')")
MASTER = "sk-master-0123456789abcdef"
MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
WORKERS = 4
PATIENCE = 30.0
LEASE = 2.0
CONNECTIONS = 40


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent and answered, and what came of it."""

    sent: float
    received: float
    status: int
    tokens: int = 0


@dataclass
class Fleet:
    """A gateway with its workers."""

    process: asyncio.subprocess.Process
    url: str
    client: httpx.AsyncClient
    data_dir: Path

    async def issue(self, **fields: Any) -> tuple[str, str]:
        """A key: its id and its secret."""
        answer = await self.client.post(
            "/admin/v1/keys", json={"name": "bench", **fields}, headers=key_of(MASTER)
        )
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return made["id"], made["key"]

    async def ask(self, key: str, **fields: Any) -> Asked:
        """One chat."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello there"}], **fields}
        sent = monotonic()
        answer = await self.client.post("/v1/chat/completions", json=body, headers=key_of(key))
        usage = answer.json().get("usage") or {}
        return Asked(sent, monotonic(), answer.status_code, usage.get("total_tokens", 0))

    def workers(self) -> list[int]:
        """The workers' process ids."""
        return self._children(b"workers.worker")

    def store(self) -> int:
        """The process id of the store's server."""
        return self._children(b"-server")[0]

    def _children(self, mark: bytes) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(each) for each in children if mark in Path(f"/proc/{each}/cmdline").read_bytes()]


def key_of(key: str) -> dict[str, str]:
    """The header of who holds a key."""
    return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def fleet() -> AsyncIterator[Fleet]:
    """A gateway with four workers before a simulated account, and a store of its own."""
    with tempfile.TemporaryDirectory(prefix="ps-limits-") as place:
        folder = Path(place)
        async with _started(folder, "simulate", "--port", "0") as (_account, said):
            url = re.search(r"CLOUDFLARE_BASE_URL=(\S+)", await said(rb"CLOUDFLARE_BASE_URL=\S+"))
            assert url
            backend = {
                "kind": "workers_ai",
                "account_id": SIMULATED_ACCOUNT_ID,
                "api_token": SIMULATED_API_TOKEN,
                "base_url": url[1].strip("'\""),
            }
            settings = {
                "server": {"port": 0, "workers": WORKERS},
                "keys": {"master": MASTER},
                "store": {"lease": LEASE, "appendfsync": "always"},
                "backends": {"account": backend},
            }
            (folder / "penstock.yaml").write_text(json.dumps(settings))
            async with _started(folder, "serve") as (process, greeting):
                base = re.search(r"base_url +(\S+)/v1", await greeting(rb"models +\S+"))
                assert base
                limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
                async with httpx.AsyncClient(
                    base_url=base[1], trust_env=False, timeout=PATIENCE, limits=limits
                ) as client:
                    yield Fleet(process, base[1], client, folder / "data")


Said = Callable[[bytes], Awaitable[str]]


@asynccontextmanager
async def _started(folder: Path, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Said]]:
    environ = {**os.environ, "PENSTOCK_DATA_DIR": str(folder / "data")}
    process = await asyncio.create_subprocess_exec(
        *PENSTOCK, *arguments, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    heard = bytearray()
    more = asyncio.Event()

    async def listen(stream: asyncio.StreamReader) -> None:
        while data := await stream.read(65536):
            if len(heard) < 1 << 20:
                heard.extend(data)
            more.set()

    async def said(pattern: bytes) -> str:
        async with asyncio.timeout(PATIENCE):
            while not re.search(pattern, bytes(heard)):
                await more.wait()
                more.clear()
        return bytes(heard).decode()

    tasks = [asyncio.create_task(listen(stream)) for stream in (process.stdout, process.stderr)]
    try:
        yield process, said
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        if process.returncode is None:
            process.kill()
        await asyncio.gather(*tasks)
