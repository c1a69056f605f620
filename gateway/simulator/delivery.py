"""Sends an answer's pieces: paced, stalled, cut or broken off where asked, until the client leaves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.simulator.faults import Fault

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """When the pieces of an answer go out, in seconds, and after how many bytes what happens."""

    before: float = 0.0
    between: float = 0.0
    limit: int | None = None  # bytes
    at_limit: Literal["cut", "stall", "reset"] = "cut"

    @classmethod
    def of(cls, fault: Fault | None, between: float) -> "Pace":
        """Read the pace from a fault."""
        name, argument = fault or ("", 0)
        match name:
            case "slow-first-byte" | "busy":
                return cls(argument / 1000, between)
            case "slow-chunks":
                return cls(between=argument / 1000)
            case "cut" | "stall" | "reset":
                return cls(between=between, limit=argument, at_limit=name)
            case _:
                return cls(between=between)

    @property
    def is_plain(self) -> bool:
        """Whether an answer in one piece arrives as usual."""
        return not self.before and self.limit is None


async def deliver(
    start: Message, chunks: Iterable[bytes], send: Send, left: asyncio.Future[None], pace: Pace
) -> bool:
    """Send chunk by chunk, one loop turn each; whether the client was there to the end."""
    if pace.before:
        await asyncio.wait([left], timeout=pace.before)
    if left.done():
        return False
    await send(start)
    room = pace.limit
    for chunk in chunks:
        if left.done():
            return False
        piece = chunk if room is None else chunk[:room]
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if room is not None:
            room -= len(piece)
            if room == 0:
                return await _end_early(send, left, pace)
        await _pause(left, pace.between)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True


async def _pause(left: asyncio.Future[None], seconds: float) -> None:
    if seconds:
        await asyncio.wait([left], timeout=seconds)
    else:
        await asyncio.sleep(0)


async def _end_early(send: Send, left: asyncio.Future[None], pace: Pace) -> bool:
    if pace.at_limit == "stall":
        await left
        return False
    if pace.at_limit == "cut":
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    # A response that is left unfinished makes the server close the connection.
    return True
