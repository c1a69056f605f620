"""What stands between a client and a server, and makes trouble: delay, silence, a queue that is full."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from tests.store.servers import Server

_QUEUED = 8


@dataclass
class Delay:
    """Lets everything through, late."""

    port: int
    seconds: float

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"


@asynccontextmanager
async def delayed(
    server: Server, seconds: float, context: ssl.SSLContext | None = None
) -> AsyncIterator[Delay]:
    """A server on a socket, as if it were far away, and behind TLS where there is a context for that."""
    tasks: set[asyncio.Task[None]] = set()
    delay = Delay(0, seconds)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while piece := await reader.read(65536):
                    await asyncio.sleep(delay.seconds)
                    writer.write(piece)
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_unix_connection(str(server.socket))
        for source, target in ((reader, there), (there_reader, writer)):
            task = asyncio.create_task(pump(source, target))
            tasks.add(task)

    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context) as listening:
        delay.port = listening.sockets[0].getsockname()[1]
        yield delay
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Silence:
    """Takes everything and says nothing; counts what it was told."""

    port: int = 0
    commands: int = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"


@asynccontextmanager
async def silent() -> AsyncIterator[Silence]:
    """A server that answers nothing."""
    silence = Silence()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            silence.commands += 1
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as listening:
        silence.port = listening.sockets[0].getsockname()[1]
        yield silence


@contextmanager
def unconnectable() -> Iterator[str]:
    """An address where connecting takes for ever: the queue of those that want to is full."""
    waiting = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(_QUEUED):
            each = socket.socket()
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(listening.getsockname())
            waiting.append(each)
        try:
            yield f"redis://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for each in waiting:
                each.close()
