"""Carries an answer to the client: whole as one body, streamed as it comes.

The status of a stream is held back until the first delta, so that a failure before it is an ordinary
error; after it nothing is raised, and an answer that breaks ends with an event that says so.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from gateway.deadlines import Watch
from gateway.errors import is_deadline
from gateway.exchange import Batch, Exchange, Recipient
from translators.clients import Writer
from translators.deltas import Delta, Failed, fold
from translators.errors import ApiError


class Client(Protocol):
    """Where an answer goes."""

    @property
    def watch(self) -> Watch:
        """The deadlines of the exchange."""

    @property
    def started(self) -> bool:
        """Whether the status has gone out."""

    def takes_at_once(self) -> bool:
        """Whether events of a stream that has begun can be sent without waiting."""

    def send_at_once(self, data: bytes) -> None:
        """Send events; only where that needs no waiting."""

    def send_json(self, status: int, body: bytes) -> Awaitable[None]:
        """Send a whole JSON answer."""

    async def send_events(self, data: bytes) -> None:
        """Send events of a stream; the first call sends status 200 and the headers."""

    async def keep_alive(self) -> None:
        """Show a waiting client that the stream lives: a comment, which clients pass over."""

    async def end(self) -> None:
        """End the stream's body."""


class Relay(Recipient, Protocol):
    """Takes an answer to the client."""

    def end(self) -> Awaitable[None]:
        """Nothing more comes.

        Raises:
            ApiError: The answer failed, and nothing has been sent.
        """


def relay(exchange: Exchange, writer: Callable[[], Writer], client: Client) -> Relay:
    """What carries the answer of an exchange, in the form that was asked for.

    Args:
        exchange: The exchange.
        writer: Makes what writes one answer; another one is asked for where that comes to nothing.
        client: Where the answer goes.
    """
    return (_Streamed if exchange.stream else _Whole)(exchange, writer, client)


class _Whole(msgspec.Struct, eq=False):
    """Sends the answer as one body."""

    _exchange: Exchange
    _new_writer: Callable[[], Writer]
    _client: Client
    _deltas: list[Delta] = []

    async def take(self, batch: Batch) -> None:
        self.take_at_once(batch)

    def has_begun(self) -> bool:
        return False

    def forget(self) -> None:
        self._deltas.clear()

    def takes_at_once(self) -> bool:
        return True

    def take_at_once(self, batch: Batch) -> None:
        self._deltas += batch
        if isinstance(batch[-1], Failed):
            _note_failure(self._exchange, batch[-1].error)

    def end(self) -> Awaitable[None]:
        completion = fold(self._deltas)
        self._exchange.ended_by = "backend"
        return self._client.send_json(200, self._new_writer().whole(completion))


class _Streamed:
    """Sends the answer as server-sent events."""

    def __init__(self, exchange: Exchange, writer: Callable[[], Writer], client: Client) -> None:
        self._exchange = exchange
        self._new_writer = writer
        self._writer = writer()
        self._client = client
        self._begun = False  # whether the client has something of the answer
        client.watch.hold_headers(client.keep_alive)

    async def take(self, batch: Batch) -> None:
        data = self._written(batch)
        if data:  # a completion, say, has no room for what the model thinks first
            self._client.watch.release_headers()
            self._begun = True
            await self._client.send_events(data)

    def has_begun(self) -> bool:
        return self._begun

    def forget(self) -> None:
        self._writer = self._new_writer()

    def takes_at_once(self) -> bool:
        return self._begun and self._client.takes_at_once()

    def take_at_once(self, batch: Batch) -> None:
        data = self._written(batch)
        if data:
            self._client.send_at_once(data)

    async def end(self) -> None:
        self._exchange.ended_by = self._exchange.ended_by or "backend"
        await self._client.send_events(self._writer.end())
        await self._client.end()

    def _written(self, batch: Batch) -> bytes:
        last = batch[-1]
        if isinstance(last, Failed):
            _note_failure(self._exchange, last.error)
            if not self._client.started:
                raise last.error
        else:
            self._exchange.saw_token()
        return self._writer.stream(batch)


def _note_failure(exchange: Exchange, error: ApiError) -> None:
    exchange.error = error.code or error.type
    exchange.ended_by = "gateway" if is_deadline(error) else "backend"
