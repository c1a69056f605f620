"""A client that does what no good client does: bytes written by hand, and answers read without mercy."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.faults.chaos_server import PATIENCE
from tests.gateway.served import MASTER, asks

PATH = "/v1/chat/completions"


def head(
    method: str = "POST", path: str = PATH, *more: str, version: str = "HTTP/1.1", key: str = MASTER
) -> bytes:
    """A request's line and headers, with its blank line."""
    lines = [f"{method} {path} {version}", "host: x", f"authorization: Bearer {key}", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def request(*more: str, path: str = PATH, version: str = "HTTP/1.1", **fields: Any) -> bytes:
    """A good request for a chat."""
    body = json.dumps(asks(**fields)).encode()
    fields_of_it = ("content-type: application/json", f"content-length: {len(body)}", *more)
    return head("POST", path, *fields_of_it, version=version) + body


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)["error"]


@dataclass
class ChaosClient:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def transport(self) -> asyncio.Transport:
        return self.writer.transport  # type: ignore[return-value]  # a stream's is one

    async def send(self, *pieces: bytes) -> None:
        """Write pieces that are read one by one."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.001)
            self.writer.write(piece)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        fields = [line.partition(":") for line in lines[1:]]
        assert len({name.lower() for name, _, _ in fields}) == len(fields), lines
        return int(lines[0].split(" ")[1]), {name.lower(): text.strip() for name, _, text in fields}

    async def answer(self) -> Answer:
        """The next answer, read as its headers say."""
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE):
            if "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            elif "transfer-encoding" in headers:
                body = await self._chunks()
            elif status < 200:
                body = b""
            else:
                body = await self.reader.read()
        return Answer(status, headers, body)

    async def rest(self) -> bytes:
        """All that comes until the gateway closes the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.writer.write_eof()

    def stop_reading(self) -> None:
        """Let everything that comes lie in a small buffer of the kernel's."""
        self.transport.pause_reading()

    def leave(self, *, by_reset: bool = False) -> None:
        if by_reset:
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body


@asynccontextmanager
async def chaos_client(port: int, *, buffer: int = 0) -> AsyncIterator[ChaosClient]:
    """Connect; with `buffer`, the kernel takes only about so many bytes for a client that does not read."""
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    reader, writer = await asyncio.open_connection(sock=sock, limit=2**26)
    try:
        yield ChaosClient(reader, writer)
    finally:
        writer.transport.abort()
