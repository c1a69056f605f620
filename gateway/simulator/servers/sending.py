"""One answer on its way to a client: it starts, is cut or stalls where asked, and shows signs of life."""

import asyncio
from typing import Final

from gateway.simulator.asgi import Headers, send_json
from gateway.simulator.delivery import Send
from gateway.simulator.servers.faults import Fault
from gateway.simulator.servers.refusals import Refusal

STREAM: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]
JSON: Final[Headers] = [(b"content-type", b"application/json")]
_LIMITS: Final = ("cut", "stall", "reset")


async def pause(left: asyncio.Future[None], seconds: float) -> bool:
    """Wait; whether the client is still there."""
    if seconds > 0:
        await asyncio.wait([left], timeout=seconds)
    else:
        await asyncio.sleep(0)
    return not left.done()


async def send_refusal(send: Send, refused: Refusal) -> None:
    """Send a status with JSON, with plain text, or with nothing."""
    if refused.body is not None and not isinstance(refused.body, str):
        await send_json(send, refused.status, refused.body, [])
        return
    body = (refused.body or "").encode()
    headers = [(b"content-length", str(len(body)).encode())]
    headers += [(b"content-type", b"text/plain; charset=utf-8")] if body else []
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Sending:
    """One answer on its way."""

    def __init__(self, send: Send, left: asyncio.Future[None], fault: Fault | None, headers: Headers) -> None:
        self._send = send
        self._left = left
        self._headers = headers
        limited = fault is not None and fault.name in _LIMITS
        self._at_limit = fault.name if fault and limited else ""
        self._room = fault.argument if fault and limited else None
        self._is_started = False
        self._last = 0.0
        self._beating: asyncio.Task[None] | None = None

    async def start(self, heartbeat: tuple[bytes, float] | None = None) -> None:
        """Send the headers, once; from then on a comment whenever nothing was sent for so many seconds."""
        if self._is_started:
            return
        self._is_started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
        self._last = asyncio.get_running_loop().time()
        if heartbeat and heartbeat[1] > 0:
            self._beating = asyncio.ensure_future(self._beat(*heartbeat))

    async def write(self, piece: bytes) -> bool:
        """Send a piece; False where nothing more is to come."""
        await self.start()
        if self._left.done():
            return False
        if self._room is not None:
            piece = piece[: self._room]
            self._room -= len(piece)
        if piece:
            self._last = asyncio.get_running_loop().time()
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        if self._room == 0:
            await self._end_early()
            return False
        return True

    async def end(self) -> None:
        """End as one should."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self) -> None:
        """Show no more signs of life."""
        if self._beating:
            self._beating.cancel()

    async def _end_early(self) -> None:
        if self._at_limit == "stall":
            await self._left
        elif self._at_limit == "cut":
            await self.end()
        # A response that is left unfinished makes the web server close the connection.

    async def _beat(self, comment: bytes, seconds: float) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(max(0.0, self._last + seconds - now()))
            if now() - self._last >= seconds:
                self._last = now()
                await self._send({"type": "http.response.body", "body": comment, "more_body": True})
