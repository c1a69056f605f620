"""The upstream of every measured gateway: it answers in OpenAI's and in Workers AI's legacy form.

Run as `python -m tests.bench.upstream PORT`. Its answers are prepared beforehand and its parsing is the
least that a well-formed request needs, so that it is not what limits a measurement.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

from tests.bench import works

HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _chunks(events: list[bytes]) -> list[bytes]:
    """The writes of a streamed answer: one per event, the head with the first, the end with the last."""
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return [STREAM_HEAD + chunks[0], *chunks[1:-1], chunks[-1] + LAST_CHUNK]


LEGACY = (_whole(works.legacy_answer()), _chunks(works.legacy_events()))
LEGACY_END = b"".join(LEGACY[1][-2:])
OPENAI = (_whole(works.openai_answer()), _chunks(works.openai_events()))
MODELS = _whole(b'{"object":"list","data":[{"id":"%s","object":"model"}]}' % works.MODEL.encode())
HEALTHY = _whole(b"{}")
NOT_FOUND = _whole(b'{"error":{"message":"no such path"}}', b"404 Not Found")

BURST_MARK = works.BURST.mark.encode()
PACED_MARK = works.PACED.mark.encode()
TIMED_MARK = works.TIMED.mark.encode()
THOUGHT_MARK = works.THOUGHT.mark.encode()


class Connection(asyncio.Protocol):
    """One connection of a gateway: requests come one after another, never two at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = b""
        self._transport: asyncio.Transport
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of asyncio.Transport, and do not inherit from it.
        self._transport = cast("asyncio.Transport", transport)
        self._open = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        self._open = False

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head_end = received.find(HEAD_END)
        if head_end < 0 or not _is_complete(received, head_end):
            self._received = received
            return
        self._received = b""
        self._answer(received)

    def _answer(self, request: bytes) -> None:
        path = request[: request.find(b"\r\n")].split(b" ")[1]
        if path.startswith(b"/client/v4/accounts/"):
            self._complete(request, *LEGACY)
        elif path == b"/v1/chat/completions":
            self._complete(request, *OPENAI)
        elif path == b"/v1/models":
            self._transport.write(MODELS)
        else:
            self._transport.write(HEALTHY if path == b"/health" else NOT_FOUND)

    def _complete(self, request: bytes, whole: bytes, chunks: list[bytes]) -> None:
        if BURST_MARK in request:
            self._burst(chunks, 0)
        elif PACED_MARK in request:
            self._pace(chunks, 0, self._loop.time())
        elif TIMED_MARK in request:
            self._transport.write(STREAM_HEAD)
            self._say_time(0, self._loop.time())
        elif THOUGHT_MARK in request:
            self._loop.call_later(works.THOUGHT.seconds, self._say, whole)
        else:
            self._transport.write(whole)

    def _say(self, whole: bytes) -> None:
        if self._open:
            self._transport.write(whole)

    def _burst(self, chunks: list[bytes], number: int) -> None:
        """Write one event in each turn of the loop."""
        if not self._open:
            return
        self._transport.write(chunks[number])
        if number + 1 < len(chunks):
            self._loop.call_soon(self._burst, chunks, number + 1)

    def _pace(self, chunks: list[bytes], number: int, start: float) -> None:
        """Write one event per gap, counted from the start so that lateness does not add up."""
        if not self._open:
            return
        self._transport.write(chunks[number])
        if number + 1 < len(chunks):
            due = start + (number + 1) * works.GAP_SECONDS
            self._loop.call_at(due, self._pace, chunks, number + 1, start)

    def _say_time(self, number: int, start: float) -> None:
        """Write a delta with the time, one per gap, and the end of a legacy stream after the last one."""
        if not self._open:
            return
        if number == works.TIMED_EVENTS:
            self._transport.write(LEGACY_END)
            return
        event = works.timed_event(time.monotonic())
        self._transport.write(b"%x\r\n%s\r\n" % (len(event), event))
        due = start + (number + 1) * works.TIMED_GAP_SECONDS
        self._loop.call_at(due, self._say_time, number + 1, start)


def _is_complete(received: bytes, head_end: int) -> bool:
    head = received[:head_end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        value = head[at + 17 :].split(b"\r\n", 1)[0]
        return len(received) >= head_end + len(HEAD_END) + int(value)
    if b"\r\ntransfer-encoding: chunked" in head:
        return received.endswith(LAST_CHUNK)
    return True


async def listen(port: int) -> asyncio.Server:
    """Serve on a loopback port; 0 takes a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(loop), "127.0.0.1", port, backlog=1024)


async def _serve(port: int) -> None:
    server = await listen(port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
