"""The load generator: sends one work over some connections and checks every answer.

It ends when each connection has its last answer, so that no request is paid for and not counted.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

from tests.bench import works
from tests.bench.works import Work

ANSWER_SECONDS = 60  # the longest that a run may outlast its seconds


@dataclass(frozen=True)
class Address:
    """Where a server takes chat completions, and as what."""

    port: int
    model: str = works.MODEL
    path: str = "/v1/chat/completions"
    key: str = "none"

    def headers(self) -> dict[str, str]:
        """The headers that each client sends, but for those of the connection."""
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    def request(self, work: Work) -> bytes:
        """The bytes of one request."""
        body = work.body(self.model)
        headers = {"Host": f"127.0.0.1:{self.port}", **self.headers(), "Content-Length": str(len(body))}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Amount:
    """How much to send: until the seconds are over, or so many requests on each connection."""

    connections: int
    seconds: float = 0.0
    each: int = 0


@dataclass
class Tally:
    """What came back."""

    requests: int = 0
    seconds: float = 0.0
    fault: str | None = None
    first_bytes: list[float] = field(default_factory=list)  # seconds from a request to its first body byte

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def send(address: Address, work: Work, amount: Amount) -> Tally:
    """Send a work and wait for all answers; the first fault ends it."""
    return uvloop.run(deliver(address, work, amount))


async def deliver(address: Address, work: Work, amount: Amount) -> Tally:
    """As `send`, within a running loop."""
    load = _Load(address, work, amount)
    start = time.perf_counter()
    try:
        async with asyncio.timeout(amount.seconds + ANSWER_SECONDS):
            await load.run()
    except TimeoutError:
        load.tally.fault = f"no end of the answers within {ANSWER_SECONDS} s"
    load.tally.seconds = time.perf_counter() - start
    return load.tally


class _Load:
    def __init__(self, address: Address, work: Work, amount: Amount) -> None:
        self.request = address.request(work)
        self.tally = Tally()
        self._port = address.port
        self._work = work
        self._amount = amount
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._running = amount.connections
        self._opening: set[asyncio.Task[None]] = set()
        self.connections: set[_Connection] = set()  # those that are open
        self._deadline = 0.0

    async def run(self) -> None:
        self._deadline = time.perf_counter() + self._amount.seconds
        for number in range(self._amount.connections):
            # Spread over one gap, so that paced streams do not tick together.
            delay = works.GAP_SECONDS * number / self._amount.connections if self._work.paced else 0.0
            self.open(_Connection(self), delay)
        try:
            await self._ended
        finally:
            for task in self._opening:
                task.cancel()
            for connection in self.connections:
                connection.close()
            await asyncio.sleep(0)  # they close in the loop's next turn

    def open(self, connection: "_Connection", delay: float = 0.0) -> None:
        task = self._loop.create_task(self._connect(connection, delay))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, connection: "_Connection", delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await self._loop.create_connection(lambda: connection, "127.0.0.1", self._port)
        except OSError as error:
            self.fail(f"cannot connect to port {self._port}: {error}")

    def answered(self, connection: "_Connection", status: int, body: bytes, first_byte: float) -> None:
        fault = works.fault(self._work, status, body)
        if fault is None and not connection.answers:
            fault = works.deep_fault(self._work, body)
        if fault is not None:
            self.fail(fault)
            return
        connection.answers += 1
        self.tally.requests += 1
        self.tally.first_bytes.append(first_byte)
        if not self._wants_more(connection):
            self._running -= 1
            if not self._running and not self._ended.done():
                self._ended.set_result(None)
        elif connection.is_reusable():
            connection.ask()
        else:
            connection.close()
            self.open(connection)

    def _wants_more(self, connection: "_Connection") -> bool:
        if self._ended.done():
            return False
        if self._amount.each:
            return connection.answers < self._amount.each
        return time.perf_counter() < self._deadline

    def fail(self, fault: str) -> None:
        if not self._ended.done():
            self.tally.fault = fault
            self._ended.set_result(None)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time; opened again where the server closes it."""

    def __init__(self, load: _Load) -> None:
        self.answers = 0
        self._load = load
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of asyncio.Transport, and do not inherit from it.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._load.connections.add(self)
        self.ask()

    def ask(self) -> None:
        self._parts: list[bytes] = []
        self._first_byte = 0.0
        self._waiting = True
        self._asked = time.perf_counter()
        self._transport.write(self._load.request)

    def is_reusable(self) -> bool:
        return bool(self._parser.should_keep_alive()) and not self._transport.is_closing()

    def close(self) -> None:
        self._waiting = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._waiting:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._load.fail(f"the answer is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.connections.discard(self)
        if self._waiting:
            self._load.fail(f"the connection closed before the end of an answer ({exc or 'without error'})")

    def on_body(self, body: bytes) -> None:
        if not self._parts:
            self._first_byte = time.perf_counter() - self._asked
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._waiting = False
        self._load.answered(self, self._parser.get_status_code(), b"".join(self._parts), self._first_byte)
