"""The connections to one backend: made when needed, kept a while, closed when idle for long.

As many are open as requests are running; limits are the business of others. The one that was used last is
used next, so that those that are not needed grow old.
"""

import asyncio
import errno
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from gateway.connection import Connection
from gateway.outbox import Outbox

# Below the 20 to 75 seconds after which servers commonly close an idle connection.
KEEP_ALIVE: Final = 15.0

# Errors that tell of this process or machine, which has no room for another connection, and not of the host.
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_PROXY_PORT: Final = 80  # where an http address names none
_LONGEST_HEAD: Final = 8192  # bytes of a proxy's answer

_ADDRESSES_LAST: Final = 10.0  # seconds; what a name means may change, but not with every request
_END_IS_DUE: Final = 1.0  # seconds after an answer's text; servers write the end of a body by itself
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
        keep_alive: For how many seconds an idle connection is used again: less than the host keeps it.
        proxy: The address of an HTTP proxy on the way.
    """

    def __init__(  # noqa: PLR0913 - all that a connection depends on
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        connect_seconds: float,
        *,
        keep_alive: float = KEEP_ALIVE,
        proxy: str | None = None,
    ) -> None:
        self._host = host
        self._tls = tls
        self._tunnel = proxy is not None and tls is not None
        self._target = f"{f'[{host}]' if ':' in host else host}:{port}"
        self._reached = _host_of(proxy) if proxy is not None else (host, port)
        self._keep_alive = keep_alive
        self._connect_seconds = connect_seconds
        self._outbox = Outbox()
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._addresses: asyncio.Future[list[_Address]] | None = None
        self._addresses_until = 0.0
        self._sweep: asyncio.TimerHandle | None = None
        self._ending: dict[Connection, float] = {}  # and since when
        self._cut: asyncio.TimerHandle | None = None

    def take_idle(self) -> Connection | None:
        """A connection that has had an answer, to send one request on; the host may be closing it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open() and monotonic() - connection.idle_since < self._keep_alive:
                return connection
            connection.abort()
        return None

    async def connect(self) -> Connection:
        """A new connection to send one request on.

        Raises:
            TimeoutError: None could be made in time.
            UnknownHostError: The host has no address.
            TlsError: The host speaks no TLS that can be trusted.
            OSError: None could be made.
        """
        async with asyncio.timeout(self._connect_seconds):
            return await self._connect()

    def give(self, connection: Connection, *, is_done: bool = False) -> None:
        """Take a connection back after its answer, or close it where nothing can follow.

        Args:
            connection: One of this pool.
            is_done: Whether nothing more is wanted of the answer, whose end may be a packet away.
        """
        if not connection.reusable:
            if is_done and connection.ends_soon(self.give):
                self._await_end(connection)
            else:
                connection.abort()
            return
        self._ending.pop(connection, None)
        connection.idle_since = monotonic()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._keep_alive, self._close_old)

    async def close(self) -> None:
        """Close all connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._cut is not None:
            self._cut.cancel()
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
        is_tls = False
        try:
            if self._tunnel:
                await _open_tunnel(stream, self._target)
            is_tls = self._tls is not None
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._forget, self._outbox),
                sock=stream,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        except BaseException as error:
            stream.close()
            if is_tls and isinstance(error, OSError) and not isinstance(error, TimeoutError):
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
            socket.socket().close()  # raises where no file can be opened: no name is known then either
            raise UnknownHostError("no address") from error

    async def _look_up(self, loop: asyncio.AbstractEventLoop) -> list[_Address]:
        return list(await loop.getaddrinfo(*self._reached, type=socket.SOCK_STREAM))

    def _await_end(self, connection: Connection) -> None:
        self._ending[connection] = monotonic()
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(_END_IS_DUE, self._close_endless)

    def _close_endless(self) -> None:
        """Close those whose answer does not end, which is told the oldest first; look again at the others."""
        now = monotonic()
        self._cut = None
        for connection, since in tuple(self._ending.items()):
            if now - since < _END_IS_DUE:
                wait = _END_IS_DUE - (now - since)
                self._cut = asyncio.get_running_loop().call_later(wait, self._close_endless)
                return
            del self._ending[connection]
            connection.abort()

    def _close_old(self) -> None:
        """Close what has been idle for long, the oldest first; look again when the next one has."""
        now = monotonic()
        while self._idle and now - self._idle[0].idle_since >= self._keep_alive:
            self._idle.popleft().abort()
        self._sweep = None
        if self._idle:
            wait = self._keep_alive - (now - self._idle[0].idle_since)
            self._sweep = asyncio.get_running_loop().call_later(wait, self._close_old)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._ending.pop(connection, None)
        if connection in self._idle:  # closed by the backend
            self._idle.remove(connection)


async def _open_tunnel(stream: socket.socket, target: str) -> None:
    """Have a proxy connect to the host (RFC 9110, section 9.3.6).

    Raises:
        OSError: It does not.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(stream, f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode("ascii"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One by one: what follows the head belongs to TLS.
        piece = await loop.sock_recv(stream, 1)
        head += piece
        if not piece or len(head) > _LONGEST_HEAD:
            raise OSError("The proxy has opened no tunnel.")
    if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
        raise OSError("The proxy has refused to open a tunnel.")


def _host_of(proxy: str) -> tuple[str, int]:
    url = urlsplit(proxy)
    return url.hostname or "", url.port or _PROXY_PORT
