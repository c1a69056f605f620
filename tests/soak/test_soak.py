"""Ten thousand requests of every kind, many at once: afterwards nothing is left of them but their books."""

import asyncio
import json
import logging
import mmap
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import server
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.gateway.served import Served, asks, running, serving_gateway
from tests.gateway.test_leaving import leave, request

pytestmark = pytest.mark.soak

ROUNDS = 10
ROUND = 1000  # requests
AT_ONCE = 32
PATIENCE = 60  # seconds until a test fails that awaits what does not come
MOST_GROWTH = 16 * 2**20  # bytes, of gateway, simulator and client together, after the first round

WORDS = ("the", "river", "gate", "weather", "in", "Lisbon", "tomorrow", "1234")


@dataclass
class Client:
    """One connection at a time, kept as long as the gateway keeps it."""

    port: int
    choice: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes) -> None:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(data)
        await self.writer.drain()

    async def close(self, *, by_reset: bool = False) -> None:
        if self.writer is not None:
            writer, self.writer = self.writer, None
            await leave(writer, by_reset=by_reset)

    async def head(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        return int(status.split(" ")[1]), headers

    async def answer(self) -> tuple[int, bytes]:
        status, headers = await self.head()
        if "content-length" in headers:
            return status, await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return status, body


def _asked(client: Client, **fields: Any) -> bytes:
    text = " ".join(client.choice.choices(WORDS, k=20))
    return request(asks(text, max_tokens=client.choice.randint(1, 40), **fields))


async def whole(client: Client) -> None:
    await client.send(_asked(client, n=client.choice.choice([1, 1, 1, 2])))
    status, body = await client.answer()
    assert status == 200
    assert json.loads(body)["choices"][0]["finish_reason"] in {"stop", "length"}


async def streamed(client: Client) -> None:
    await client.send(_asked(client, stream=True, n=client.choice.choice([1, 1, 1, 2])))
    status, body = await client.answer()
    assert status == 200
    assert body.endswith(b"data: [DONE]\n\n")


async def bad(client: Client) -> None:
    good = _asked(client)
    kinds = [
        (request(["no", "object"]), {400}),
        (good.replace(b'{"model"', b'{{model"'), {400}),
        (request({**asks(), "model": "gpt-0"}), {404}),
        (request(asks(temperature="warm")), {400}),
        (good.replace(b"Bearer sk", b"Bearer ks"), {401, 429}),  # so many wrong keys come from here
        (request({}, "/v1/nowhere"), {404}),
        (request({}, "/healthz"), {405}),
        (good.replace(b"application/json", b"application/soap"), {415}),
    ]
    data, expected = client.choice.choice(kinds)
    await client.send(data)
    status, body = await client.answer()
    assert status in expected, (data, body)
    assert json.loads(body)["error"]["message"]
    await client.close()  # the gateway may not have read the body


async def in_its_body(client: Client) -> None:
    data = _asked(client)
    start = data.index(b"\r\n\r\n") + 4
    await client.send(data[: client.choice.randrange(start, len(data))])
    await client.close()


async def while_it_waits(client: Client) -> None:
    await client.send(_asked(client, stream=client.choice.random() < 0.5, n=client.choice.choice([1, 3])))
    await asyncio.sleep(client.choice.random() * 0.01)
    await client.close()


async def in_its_answer(client: Client) -> None:
    await client.send(_asked(client, stream=True))
    await client.head()
    for _ in range(client.choice.randrange(20)):
        if await client.reader.readline() in (b"", b"0\r\n"):  # the connection's end, the last chunk
            break
    await client.close(by_reset=client.choice.random() < 0.5)


KINDS: tuple[Callable[[Client], Awaitable[None]], ...] = (
    whole, whole, whole, streamed, streamed, bad, in_its_body, while_it_waits, in_its_answer, in_its_answer,
)  # fmt: skip


async def _visit(client: Client, requests: int) -> None:
    for _ in range(requests):
        kind = client.choice.choice(KINDS)
        async with asyncio.timeout(PATIENCE):
            await kind(client)
        client.seen[kind.__name__] += 1
    await client.close()


async def _round(served: Served, seed: int) -> Counter[str]:
    """Many clients at once; what they have sent, by kind."""
    clients = [Client(served.port, random.Random(seed * AT_ONCE + number)) for number in range(AT_ONCE)]
    shares = [ROUND // AT_ONCE + (number < ROUND % AT_ONCE) for number in range(AT_ONCE)]
    async with asyncio.TaskGroup() as group:
        for client, share in zip(clients, shares, strict=True):
            group.create_task(_visit(client, share))
    return sum((client.seen for client in clients), Counter())


async def _eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait for what only time brings: idle connections end."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"it never came to this: {what}")


def _memory() -> int:
    """Resident bytes of this process; Linux alone tells them without a peak."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@asynccontextmanager
async def _simulated() -> AsyncIterator[tuple[server._Server, str]]:
    listener = server.listen("127.0.0.1", 0)
    site = server.Site(Simulator(chunk_delay=0.002, split_chunks=True), listener)
    async with running(site) as simulator:
        yield simulator, f"{site.url}/client/v4"


async def test_nothing_is_left_of_ten_thousand_requests(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    async with _simulated() as (simulator, base_url):
        account = {"account_id": SIMULATED_ACCOUNT_ID, "api_token": SIMULATED_API_TOKEN}
        backend = {"kind": "workers_ai", "base_url": base_url, **account}
        settings = {"data_dir": tmp_path, "backends": {"cloudflare": backend}}
        async with serving_gateway(settings) as served:
            tasks = len(asyncio.all_tasks())
            sent: Counter[str] = Counter()
            memory: list[int] = []
            for number in range(ROUNDS):
                sent += await _round(served, number)
                await _eventually(lambda: not served.gateway.ticker._live, "no exchange lives")
                lines = capsysbinary.readouterr().out.splitlines()
                assert len(lines) == ROUND, "every request has one line"
                assert not [line for line in lines if json.loads(line)["status"] >= 500]
                memory.append(_memory())
            counted = await served.metric("penstock_requests_total")
            await served.client.aclose()
            state = simulator.server_state
            await _eventually(lambda: not state.connections, "no socket is open to the backend")
            await _eventually(lambda: len(asyncio.all_tasks()) <= tasks, "no task is left")
    with capsysbinary.disabled():
        grown = ", ".join(f"{(each - memory[0]) / 2**20:+.1f}" for each in memory)
        sys.stdout.write(f"\nsent: {dict(sent)}\nresident: {memory[0] / 2**20:.0f} MiB, then {grown}\n")
    assert counted == ROUNDS * ROUND == sent.total()
    assert memory[-1] - memory[0] < MOST_GROWTH
    assert not [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
