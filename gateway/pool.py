"""The connections to one backend: made when needed, kept a while, closed when idle for long.

As many are open as requests are running; limits are the business of others. The one that was used last is
used next, so that those that are not needed grow old.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final, Literal, cast

from aiohappyeyeballs import start_connection

from gateway.connection import Connection
from gateway.outbox import Outbox

# Below the 20 to 75 seconds after which servers commonly close an idle connection.
KEEP_ALIVE: Final = 15.0

_ADDRESSES_LAST: Final = 10.0  # seconds; what a name means may change, but not with every request
_NEXT_ADDRESS: Final = 0.25  # seconds until the next address is tried as well (RFC 8305, section 5)

# What getaddrinfo gives: family, kind, protocol, canonical name, socket address.
_Address = tuple[int, int, int, str, tuple[Any, ...]]


# What may be wrong with a backend's TLS, by OpenSSL's number (X509_V_ERR_..., openssl/x509_vfy.h).
TlsFlaw = Literal["handshake", "certificate", "not_yet_valid", "expired", "untrusted", "other_host"]
_FLAWS: Final[Mapping[int, TlsFlaw]] = {
    9: "not_yet_valid",
    10: "expired",
    18: "untrusted",  # signed by itself
    19: "untrusted",  # signed by one that signed itself
    20: "untrusted",  # signed by one that is not known here
    21: "untrusted",
    62: "other_host",
    64: "other_host",  # by its address
}


class UnknownHostError(OSError):
    """The host's name has no address, or is no name."""


class TlsError(OSError):
    """The host was reached, and no TLS came about with it."""

    def __init__(self, cause: OSError) -> None:
        super().__init__("no TLS connection")
        self.flaw: Final[TlsFlaw] = (
            _FLAWS.get(cause.verify_code, "certificate")
            if isinstance(cause, ssl.SSLCertVerificationError)
            else "handshake"
        )


class Pool:
    """Connections to one host and port.

    Args:
        host: A name or an address.
        port: The TCP port.
        tls: How to speak TLS, or None for plain HTTP.
        connect_seconds: How long name, connection and TLS may take together.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, connect_seconds: float) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._outbox = Outbox()
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._addresses: asyncio.Future[list[_Address]] | None = None
        self._addresses_until = 0.0
        self._sweep: asyncio.TimerHandle | None = None

    async def take(self, *, fresh: bool = False) -> Connection:
        """A connection to send one request on; a fresh one cannot have been closed while it was idle.

        Raises:
            TimeoutError: None could be made in time.
            UnknownHostError: The host has no address.
            TlsError: The host speaks no TLS that can be trusted.
            OSError: None could be made.
        """
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.reusable and monotonic() - connection.idle_since < KEEP_ALIVE:
                return connection
            connection.abort()
        async with asyncio.timeout(self._connect_seconds):
            return await self._connect()

    def give(self, connection: Connection) -> None:
        """Take a connection back after its answer, or close it where nothing can follow."""
        if not connection.reusable:
            connection.abort()
            return
        connection.idle_since = monotonic()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE, self._close_old)

    async def close(self) -> None:
        """Close all connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._open:
            connection.abort()
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    async def _connect(self) -> Connection:
        addresses = await self._resolve()
        try:
            stream = await start_connection(cast(list[Any], addresses), happy_eyeballs_delay=_NEXT_ADDRESS)
        except OSError:
            self._addresses_until = 0.0  # the host may have moved
            raise
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._forget, self._outbox),
                sock=stream,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        except BaseException as error:
            stream.close()
            if isinstance(error, OSError) and self._tls is not None and not isinstance(error, TimeoutError):
                raise TlsError(error) from error
            raise
        self._open.add(connection)
        return connection

    async def _resolve(self) -> list[_Address]:
        """The addresses of the host; asked for once by all who want to know at the same time."""
        now = monotonic()
        if self._addresses is None or (self._addresses.done() and now >= self._addresses_until):
            loop = asyncio.get_running_loop()
            self._addresses = loop.create_task(self._look_up(loop))
            self._addresses_until = now + _ADDRESSES_LAST
        try:
            return await asyncio.shield(self._addresses)
        except (OSError, UnicodeError) as error:  # the latter for what can be no name
            self._addresses = None
            raise UnknownHostError("no address") from error

    async def _look_up(self, loop: asyncio.AbstractEventLoop) -> list[_Address]:
        return list(await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))

    def _close_old(self) -> None:
        """Close what has been idle for long, the oldest first; look again when the next one has."""
        now = monotonic()
        while self._idle and now - self._idle[0].idle_since >= KEEP_ALIVE:
            self._idle.popleft().abort()
        self._sweep = None
        if self._idle:
            wait = KEEP_ALIVE - (now - self._idle[0].idle_since)
            self._sweep = asyncio.get_running_loop().call_later(wait, self._close_old)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:  # closed by the backend
            self._idle.remove(connection)
