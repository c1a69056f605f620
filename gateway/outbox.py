"""Sends what is written in one turn of the event loop when the turn ends, for all connections together.

A write wakes whoever waits for it at the other end, and where that is on this machine (a proxy, a backend,
a load test) waking it costs more than the write. What is written at once wakes it once: with 32 requests
under way that is a quarter of what each of them costs.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

# What one connection may have written before it is sent at once: then its client may be a slow one, and the
# transport has to tell (asyncio's own mark above which a connection counts as full).
_MOST: Final = 2**16
_FORGETTING: Final = 0.95  # how much of a longest turn counts one turn later


class Outbox:
    """What is to be sent when the turn ends."""

    def __init__(self) -> None:
        self._waiting: list[Deferred] = []

    def add(self, transport: "Deferred") -> None:
        """Send what a transport holds when the turn ends."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._waiting.append(transport)

    def _end_turn(self) -> None:
        self._send()

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.flush()


class LateOutbox(Outbox):
    """What may wait a little longer, because whoever gets it would only come back with the same.

    Args:
        hold: Seconds that it waits where turns are short. It goes with this turn's end where the next one,
            if it is as long as any of late, would end too late.
        clock: In seconds; tests move it.
        began: When the turn began, by the same clock; uvloop's own time stands still within one.
    """

    def __init__(
        self,
        hold: float,
        clock: Callable[[], float] = monotonic,
        began: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        super().__init__()
        self._hold = hold
        self._clock = clock
        self._began = began
        self._since = 0.0  # when the turn began in which the first came of those that wait
        self._longest = 0.0  # turn of late

    def add(self, transport: "Deferred") -> None:
        """Send what a transport holds when the hold is over."""
        if not self._waiting:
            self._since = self._began()
        super().add(transport)

    def _end_turn(self) -> None:
        turn = self._clock() - self._since
        self._longest = max(turn, _FORGETTING * self._longest)
        left = self._hold - turn - self._longest
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._send)
        else:
            self._send()


class Deferred(asyncio.Transport):
    """A transport that holds what is written until the turn ends, and is otherwise the one within.

    Args:
        transport: What it writes to.
        outbox: Says when.
    """

    __slots__ = (
        "_held", "_is_late", "_outbox", "_transport", "is_closing", "pause_reading", "resume_reading",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        super().__init__()
        self._transport = transport
        self._outbox = outbox
        self._held = b""
        self._is_late = False  # whether what is held may wait longer than the turn
        self.is_closing = transport.is_closing  # type: ignore[method-assign]  # one call less
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data when the turn ends, or at once where that is much."""
        held = self._held
        if held:
            data = held + data
        if self._is_late or not held:
            self._is_late = False
            self._outbox.add(self)
        self._held = bytes(data)
        if len(data) > _MOST:
            self.flush()

    def write_with(self, data: bytes, outbox: Outbox) -> None:
        """Send data when another outbox does, or sooner with what else is written."""
        if not self._held:
            self._held, self._is_late = data, True
            outbox.add(self)
        elif self._is_late and len(self._held) < _MOST:
            self._held += data
        else:
            self.write(data)

    def write_at_once(self, data: bytes) -> None:
        """Send data, and what is held before it, without waiting for the turn's end.

        The turn may take in what has come on many other connections before it ends, and somebody waits for
        this: the first token of a stream, say.
        """
        if self._held:
            self._held += data
            self.flush()
        elif not self._transport.is_closing():
            self._transport.write(data)

    def flush(self) -> None:
        """Send what is held."""
        held = self._held
        if held:
            self._held, self._is_late = b"", False
            if not self._transport.is_closing():
                self._transport.write(held)

    def get_write_buffer_size(self) -> int:
        """How much has not been taken by the system, but for what waits by our own will."""
        held = 0 if self._is_late else len(self._held)
        return held + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Send what is held, and say that nothing follows."""
        self.flush()
        self._transport.write_eof()

    def abort(self) -> None:
        """Close at once; what is held is lost."""
        self._held = b""
        self._transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)
