"""Takes all connections that have come at once, where the event loop would take one.

uvloop accepts one connection of a listening socket in a turn of the loop (libuv 1.52, `uv__server_io`). Of a
thousand clients that come together, and whose requests make the turns long, some would wait for seconds. So
with each connection that the loop accepts, those that wait behind it are taken as well.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

# Of one turn: more would make it long for those that are connected.
MOST: Final = 64


class Arrivals:
    """The connections that wait at a listening socket.

    Args:
        listener: The socket, which does not block.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._arriving: set[asyncio.Task[None]] = set()

    def take(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Take those that are there, each with a protocol of its own."""
        loop = asyncio.get_running_loop()
        for _ in range(MOST):
            try:
                client, _address = self._listener.accept()
            except OSError:  # none is left, or no file descriptor, which the loop's own accepting handles
                return
            client.setblocking(False)
            arriving = loop.create_task(_connect(client, protocol))
            self._arriving.add(arriving)
            arriving.add_done_callback(partial(self._arrived, client))

    async def all_taken(self) -> None:
        """Wait until what was taken is connected."""
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _arrived(self, client: socket.socket, arriving: asyncio.Task[None]) -> None:
        self._arriving.discard(arriving)
        if arriving.cancelled():  # perhaps before it began
            client.close()


async def _connect(client: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(protocol, client)
    except OSError:  # it has left again
        client.close()
