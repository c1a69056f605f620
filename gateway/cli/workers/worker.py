"""What each worker runs: the gateway, on sockets and with settings that its parent has given it.

It ends as its parent says, and drains by itself where that is gone. A signal of its own it obeys as well, so
that one worker can be had replaced.
"""

import asyncio
import pickle
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gateway import app, errors
from gateway.cli import server
from gateway.cli.workers.channel import (
    Begin,
    Channel,
    ChannelError,
    Drain,
    Failed,
    Gather,
    Gathered,
    Hurry,
    Message,
    Ready,
    Tell,
    Told,
)
from gateway.pipeline import Gateway
from gateway.tallies import encode

_PATIENCE: Final = (
    2.0  # seconds that a scrape waits for the parent, which takes half a second at most to gather
)


class Siblings:
    """The other workers, by way of the parent."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = 0
        self._asked: dict[int, asyncio.Future[bytes]] = {}

    async def gather(self, counts: bytes) -> bytes:
        """The metrics of all workers, as text.

        Raises:
            ApiError: The parent does not answer. With this one's counts alone a counter would seem to fall.
        """
        self._number += 1
        number = self._number
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._channel.send(Gather(number, counts))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await answer
        except TimeoutError:
            raise errors.no_counts() from None
        finally:
            del self._asked[number]

    def hear(self, message: Gathered) -> None:
        """The parent has answered."""
        answer = self._asked.get(message.number)
        if answer is not None and not answer.done():
            answer.set_result(message.text)


async def work(listeners: Sequence[socket.socket], end: socket.socket) -> None:
    """Serve until the parent, or a signal, says to end."""
    channel = await Channel.over(end)
    begin = await channel.receive()
    if not isinstance(begin, Begin):
        return
    siblings = Siblings(channel)
    settings = pickle.loads(begin.settings)  # noqa: S301 - it comes from our parent, over a socket of ours
    state = app.State(begin.store_url, begin.pepper)
    gateway = app.build(settings, begin.master_key, state, siblings.gather)
    stop = server.Stop()
    hearing = asyncio.create_task(_obey(channel, gateway, siblings, stop))
    try:
        async with server.running(*server.gateway_sites(gateway, *listeners), stop=stop):
            channel.send(Ready())
            await stop.wait()
    except server.StartError as error:
        channel.send(Failed(str(error)))
    finally:
        hearing.cancel()
        channel.send(_told(gateway, 0))  # what was counted since the parent has asked is not to be lost
        await channel.close()


async def _obey(channel: Channel, gateway: Gateway, siblings: Siblings, stop: server.Stop) -> None:
    """Do what the parent says; without one, drain."""
    with suppress(ChannelError):
        while (message := await channel.receive()) is not None:
            _do(message, channel, gateway, siblings, stop)
    stop.set()


def _do(message: Message, channel: Channel, gateway: Gateway, siblings: Siblings, stop: server.Stop) -> None:
    match message:
        case Tell(number):
            channel.send(_told(gateway, number))
        case Gathered():
            siblings.hear(message)
        case Drain():
            stop.set()
        case Hurry():
            stop.at_once()
        case _:
            raise ChannelError(type(message).__name__)


def _told(gateway: Gateway, number: int) -> Told:
    return Told(number, encode(gateway.counts()))


def main() -> None:
    """Run on the file descriptors that are given as arguments: of the listening sockets, of the channel."""
    *listeners, end = (socket.socket(fileno=int(fd)) for fd in sys.argv[1:])
    for each in (*listeners, end):
        each.set_inheritable(False)  # a command that prints a credential has no business with them
    for each in listeners:
        each.setblocking(False)
    server.run(work(listeners, end))
