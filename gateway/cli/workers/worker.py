"""What each worker runs: the gateway, on a socket and with settings that its parent has given it.

It ends as its parent says, and drains by itself where that is gone.
"""

import asyncio
import pickle
import socket
import sys
from collections.abc import Sequence

from gateway import app, errors
from gateway.cli import server
from gateway.cli.workers.channel import Begin, Channel, Failed, Gather, Gathered, Ready, Tell, Told
from gateway.pipeline import Gateway
from gateway.tallies import encode

_PATIENCE = 1.0  # seconds that a scrape waits for the counts of all


class Siblings:
    """The other workers, by way of the parent."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = 0
        self._asked: dict[int, asyncio.Future[Sequence[bytes]]] = {}

    async def gather(self, counts: bytes) -> Sequence[bytes]:
        """The counts of all workers.

        Raises:
            ApiError: The parent does not answer. With this one's counts alone a counter would seem to fall.
        """
        self._number += 1
        number = self._number
        answer: asyncio.Future[Sequence[bytes]] = asyncio.get_running_loop().create_future()
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
            answer.set_result(message.counts)


async def work(listener: socket.socket, end: socket.socket) -> None:
    """Serve until the parent, or a signal, says to end."""
    channel = await Channel.over(end)
    begin = await channel.receive()
    if not isinstance(begin, Begin):
        return
    siblings = Siblings(channel)
    settings = pickle.loads(begin.settings)  # noqa: S301 - it comes from our parent, over a socket of ours
    state = app.State(begin.store_url, begin.pepper)
    gateway = app.build(settings, begin.master_key, state, siblings.gather)
    try:
        async with server.running(server.gateway_site(gateway, listener)) as stop:
            channel.send(Ready())
            listening = asyncio.create_task(_listen(channel, gateway, siblings, stop))
            await stop.wait()
        listening.cancel()
    except server.StartError as error:
        channel.send(Failed(str(error)))
    finally:
        await channel.close()


async def _listen(channel: Channel, gateway: Gateway, siblings: Siblings, stop: asyncio.Event) -> None:
    while (message := await channel.receive()) is not None:
        match message:
            case Tell():
                channel.send(Told(encode(gateway.metrics.counts())))
            case Gathered():
                siblings.hear(message)
            case _:
                pass
    stop.set()


def main() -> None:
    """Run on the file descriptors that are given as arguments: of the listening socket, of the channel."""
    listener, end = (socket.socket(fileno=int(fd)) for fd in sys.argv[1:3])
    listener.setblocking(False)
    server.run(work(listener, end))
