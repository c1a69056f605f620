"""Messages between the parent and a worker, over a socket that nobody else has: a length, and MessagePack.

Secrets travel here and nowhere else: the arguments and the environment of a process can be read by others.
So do the orders to end: a service manager and a terminal send their signals to every process that they know,
and a worker that got each signal twice would take the second one for an order to hurry.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final

import msgspec

_LENGTH: Final = struct.Struct("<I")
_LARGEST: Final = 256 * 1024 * 1024  # bytes; counts of thousands of models and keys are a hundredth of it


class Begin(msgspec.Struct, tag=True, frozen=True):
    """To a worker: what to serve with. `settings` is pickled; the rest is as `app.build` takes it."""

    settings: bytes
    master_key: str | None
    store_url: str
    pepper: bytes


class Ready(msgspec.Struct, tag=True, frozen=True):
    """From a worker: it answers."""


class Failed(msgspec.Struct, tag=True, frozen=True):
    """From a worker: it cannot start, and why."""

    words: str


class Gather(msgspec.Struct, tag=True, frozen=True):
    """From a worker: somebody asks it for the metrics of all. It tells its own counts, encoded."""

    number: int
    counts: bytes


class Gathered(msgspec.Struct, tag=True, frozen=True):
    """To a worker: the metrics of all, as text."""

    number: int
    text: bytes


class Tell(msgspec.Struct, tag=True, frozen=True):
    """To a worker: what has it counted? Also a sign of life that is asked for."""

    number: int


class Told(msgspec.Struct, tag=True, frozen=True):
    """From a worker: its counts, encoded, in answer to the question of this number; unasked with number 0."""

    number: int
    counts: bytes


class Drain(msgspec.Struct, tag=True, frozen=True):
    """To a worker: take nothing new, let running answers end, and then end."""


class Hurry(msgspec.Struct, tag=True, frozen=True):
    """To a worker: end without waiting for running answers."""


Message = Begin | Ready | Failed | Gather | Gathered | Tell | Told | Drain | Hurry

_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final[msgspec.msgpack.Decoder[Message]] = msgspec.msgpack.Decoder(Message)


class ChannelError(Exception):
    """What came is no message: the other side may be of another version."""


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """The channel over a connected socket."""
        end.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=end)
        return cls(reader, writer)

    def send(self, message: Message) -> None:
        """Send a message; where the other side is gone that shows when it is read from."""
        body = _encode(message)
        with suppress(OSError):
            self._writer.write(_LENGTH.pack(len(body)) + body)

    async def receive(self) -> Message | None:
        """The next message; None where the other side is gone.

        Raises:
            ChannelError: It is none.
        """
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > _LARGEST:
                raise ChannelError(f"a message of {length} bytes")
            return _decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            return None
        except msgspec.DecodeError as error:
            raise ChannelError(str(error)) from None

    async def close(self) -> None:
        """Send what is still to be sent, and close this end."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
