"""Carries an answer to the client: whole as one body, streamed as it comes.

The status of a stream is held back until the first delta, so that a failure before it is an ordinary
error; after it nothing is raised, and an answer that breaks ends with an event that says so.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from gateway.deadlines import Watch
from gateway.errors import is_deadline
from gateway.exchange import Batch, Exchange
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

    async def send_json(self, status: int, body: bytes) -> None:
        """Send a whole JSON answer."""

    async def send_events(self, data: bytes) -> None:
        """Send events of a stream; the first call sends status 200 and the headers."""

    async def keep_alive(self) -> None:
        """Show a waiting client that the stream lives: a comment, which clients pass over."""

    async def end(self) -> None:
        """End the stream's body."""


async def send_whole(
    exchange: Exchange, batches: AsyncIterator[Batch], writer: Writer, client: Client
) -> None:
    """Send the answer as one body.

    Raises:
        ApiError: The answer failed.
    """
    deltas: list[Delta] = []
    async for batch in batches:
        deltas += batch
        if isinstance(batch[-1], Failed):
            _note_failure(exchange, batch[-1].error)
    completion = fold(deltas)
    exchange.ended_by = "backend"
    await client.send_json(200, writer.whole(completion))


async def send_stream(
    exchange: Exchange, batches: AsyncIterator[Batch], writer: Writer, client: Client
) -> None:
    """Send the answer as server-sent events.

    Raises:
        ApiError: The answer failed before its first delta.
    """
    client.watch.hold_headers(client.keep_alive)
    async for batch in batches:
        client.watch.release_headers()
        data = _written(exchange, batch, writer, client)
        if data:
            await client.send_events(data)
    exchange.ended_by = exchange.ended_by or "backend"
    await client.send_events(writer.end())
    await client.end()


def _written(exchange: Exchange, batch: Batch, writer: Writer, client: Client) -> bytes:
    last = batch[-1]
    if isinstance(last, Failed):
        _note_failure(exchange, last.error)
        if not client.started:
            raise last.error
    else:
        exchange.saw_token()
    return writer.stream(batch)


def _note_failure(exchange: Exchange, error: ApiError) -> None:
    exchange.error = error.code or error.type
    exchange.ended_by = "gateway" if is_deadline(error) else "backend"
