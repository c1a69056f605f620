"""An open-loop load: requests go out at a rate, however many of the earlier ones are answered.

A closed loop, which waits for an answer before it asks again, never offers more than a server can do. This
one looks at the bytes of an answer as little as its checks need, to be able to offer three times as much.
A request that finds all connections waiting is sent on the next one that is free, and its wait counts.
"""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast

import uvloop

from tests.bench import works
from tests.bench.load import Address
from tests.bench.works import Work

HEAD_END = b"\r\n\r\n"
REFUSED = b"HTTP/1.1 503 "
TURN_SECONDS = 0.0004  # of the thread that paces: the timers of event loops know milliseconds only
MOST_CONNECTIONS = 2000
GOLDEN = 0.6180339887498949
PATIENCE_SECONDS = 15  # for the last answers


@dataclass(frozen=True)
class Offer:
    """What is offered: so many requests a second, counted only after a warm-up."""

    rate: float
    seconds: float
    warm_seconds: float = 0.0


@dataclass
class Answers:
    """What became of the requests that count."""

    offered: int = 0
    good: int = 0
    refused: int = 0
    unanswered: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    first_bytes: list[float] = field(default_factory=list)  # of good answers, seconds
    refusals: list[float] = field(default_factory=list)  # seconds until a refusal was there
    goodput: float = 0.0  # good answers that ended within the counted seconds, a second
    latest_send: float = 0.0  # how late the generator itself was at worst


def offer(address: Address, work: Work, offer: Offer) -> Answers:
    """Offer a work and wait for its last answers."""
    return uvloop.run(_Load(address, work, offer).run())


def uneven(number: int) -> float:
    """When a request is due, counted in gaps: one in each, at a place of its own by the golden section.

    Clients know nothing of each other. At even distances their streams, whose events come at even distances
    as well, would fall into step, and all of them would want the gateway in the same moment.
    """
    return number + number * GOLDEN % 1


class _Load:
    def __init__(self, address: Address, work: Work, offer: Offer) -> None:
        self.request = address.request(work)
        self.work = work
        self.answers = Answers()
        self.open: set[_Connection] = set()
        self.idle: deque[_Connection] = deque()
        self._port = address.port
        self._offer = offer
        self._opening: set[asyncio.Task[None]] = set()
        self._counts_from = 0.0
        self._counts_until = 0.0
        self._ended = 0
        self._start = 0.0
        self._sent = 0
        self._waiting: deque[float] = deque()  # when they were due

    async def run(self) -> Answers:
        loop = asyncio.get_running_loop()
        self._start = time.perf_counter()
        self._counts_from = self._start + self._offer.warm_seconds
        self._counts_until = self._counts_from + self._offer.seconds
        pacer = threading.Thread(target=self._pace, args=(loop,), daemon=True)
        pacer.start()
        await loop.run_in_executor(None, pacer.join)
        end = time.perf_counter() + PATIENCE_SECONDS
        while self._is_waiting() and time.perf_counter() < end:  # noqa: ASYNC110 - nobody is there to tell
            await asyncio.sleep(0.05)
        self.answers.unanswered = sum(self.counts(each.asked) for each in self.open if each.asked)
        self.answers.goodput = self._ended / self._offer.seconds
        for connection in self.open:
            connection.asked = 0.0
            connection.transport.abort()
        await asyncio.sleep(0)
        return self.answers

    def _is_waiting(self) -> bool:
        return bool(self._opening or self._waiting) or any(each.asked for each in self.open)

    def _pace(self, loop: asyncio.AbstractEventLoop) -> None:
        while time.perf_counter() < self._counts_until:
            loop.call_soon_threadsafe(self._send_due)
            time.sleep(max(TURN_SECONDS, self._due() - time.perf_counter()))

    def _due(self) -> float:
        """When the next request is to go out."""
        return self._start + uneven(self._sent) / self._offer.rate

    def _send_due(self) -> None:
        now = time.perf_counter()
        while (due := self._due()) <= min(now, self._counts_until):
            self._sent += 1
            self.answers.latest_send = max(self.answers.latest_send, now - due)
            self.answers.offered += due >= self._counts_from
            if self.idle:
                self.idle.pop().ask(due)
            elif len(self.open) + len(self._opening) < MOST_CONNECTIONS:
                task = asyncio.get_running_loop().create_task(self._connect(due))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            else:
                self._waiting.append(due)

    def counts(self, due: float) -> bool:
        return due >= self._counts_from

    def free(self, connection: "_Connection") -> None:
        if self._waiting:
            connection.ask(self._waiting.popleft())
        else:
            self.idle.append(connection)

    async def _connect(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        except OSError as error:
            self.fail(f"cannot connect: {error.strerror}", due)
        else:
            connection.ask(due)

    def fail(self, fault: str, due: float) -> None:
        if self.counts(due):
            self.answers.faults[fault] = self.answers.faults.get(fault, 0) + 1

    def answered(self, data: bytes, first_byte: float, elapsed: float, due: float) -> None:
        now = time.perf_counter()
        if data.startswith(REFUSED):
            if self.counts(due):
                self.answers.refused += 1
                self.answers.refusals.append(elapsed)
            return
        fault = _fault(self.work, data)
        if fault:
            self.fail(fault, due)
            return
        self._ended += self._counts_from <= now < self._counts_until
        if self.counts(due):
            self.answers.good += 1
            self.answers.first_bytes.append(first_byte)


def _fault(work: Work, data: bytes) -> str | None:
    if not data.startswith(b"HTTP/1.1 200 "):
        return data[:12].decode("latin-1")
    if not work.stream:
        return None if works.TEXT.encode() in data else "another text"
    events = data.count(b"data: ")
    whole = events >= works.EVENTS and data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    return None if whole else f"an incomplete stream of {events} events"


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self._load = load
        self.asked = 0.0  # when it was due; 0: nothing is waited for
        self._first_byte = 0.0
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of asyncio.Transport, and do not inherit from it.
        self.transport = cast("asyncio.Transport", transport)
        self._load.open.add(self)

    def ask(self, due: float) -> None:
        self.asked, self._first_byte = due, 0.0
        self._received.clear()
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(HEAD_END) + len(HEAD_END)
        if head_end < len(HEAD_END) or len(self._received) == head_end:
            return
        now = time.perf_counter()
        self._first_byte = self._first_byte or now - self.asked
        if _is_whole(self._received, head_end):
            asked, self.asked = self.asked, 0.0
            self._load.answered(bytes(self._received), self._first_byte, now - asked, asked)
            self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        self._load.open.discard(self)
        if self in self._load.idle:
            self._load.idle.remove(self)
        if self.asked:
            self._load.fail("the connection closed before the answer's end", self.asked)


def _is_whole(received: bytearray, head_end: int) -> bool:
    at = received.find(b"content-length: ", 0, head_end)
    if at < 0:
        return received.endswith(b"0\r\n\r\n")
    return len(received) >= head_end + int(received[at + 16 : received.find(b"\r", at)])
