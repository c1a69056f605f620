"""The way to a backend: open a call, read its answer's bytes, close.

Nothing of the request's text chooses the host: the path is built from quoted segments below the base URL
of the settings. Proxy variables, cookies, redirects and compression do not exist here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Final, Literal, Protocol, Self
from urllib.parse import quote, urlsplit

from gateway import errors
from gateway.connection import BrokenError, Connection, Sink
from gateway.credentials import Credentials
from gateway.pool import EXHAUSTED, KEEP_ALIVE, Pool, TlsError, TlsFlaw, UnknownHostError
from gateway.settings import Tls
from translators.call import BackendCall
from translators.errors import ApiError

_PATHS: Final = 1024  # heads held ready; clients may ask for any model of an open catalogue


# Why there is no answer: the name means nothing, no connection, no trust, not in time, a connection that
# broke, or no credential to send.
Reason = Literal["dns", "connect", "tls", "timeout", "reset", "credential", "exhausted"]


class UpstreamError(Exception):
    """The transport failed; `flaw` is what is wrong with a backend's TLS."""

    def __init__(self, reason: Reason, flaw: TlsFlaw = "handshake") -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.flaw: Final = flaw

    def told(self) -> ApiError:
        """What a client is told of it, which names neither host nor address."""
        match self.reason:
            case "dns":
                return errors.unknown_host()
            case "connect":
                return errors.unreachable()
            case "tls":
                return errors.no_tls(self.flaw)
            case "timeout":
                return errors.too_late("connect")
            case "reset":
                return errors.broken_off()
            case "credential":
                return errors.no_credential()
            case "exhausted":
                return errors.overloaded(1)


class UpstreamAnswer(Protocol):
    """An answer whose headers are here and whose body is coming."""

    status: int
    headers: dict[str, str]

    def is_read(self) -> bool:
        """Whether all of the body has been read."""

    async def read(self, sink: Sink | None = None) -> bytes:
        """The next bytes of the body, as soon as there are any; empty at its regular end.

        Args:
            sink: Offered what comes meanwhile; what it takes is not returned.

        Raises:
            BrokenError: The body broke off; the context that gave this answer makes an UpstreamError of it.
        """


_NO_FILES: Final = Tls()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend is, and how it is spoken to.

    Attributes:
        base_url: Its root.
        prefix: Segments that all paths below it begin with.
        headers: What is sent with every request, beside what the gateway itself says.
        tls: Files of certificates, for https.
        proxy: An HTTP proxy on the way.
        keep_alive: Seconds for which an idle connection is used again.
    """

    base_url: str
    prefix: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: Tls = _NO_FILES
    proxy: str | None = None
    keep_alive: float = KEEP_ALIVE


class Upstream:
    """One backend's connections."""

    def __init__(self, address: Address, credentials: Credentials, connect_seconds: float) -> None:
        url = urlsplit(address.base_url)
        if url.hostname is None:
            raise ValueError("The base URL of a backend has no host.")
        tls = address.tls.context() if url.scheme == "https" else None
        self._pool = Pool(
            url.hostname,
            url.port or (443 if tls else 80),
            tls,
            connect_seconds,
            keep_alive=address.keep_alive,
            proxy=address.proxy,
        )
        base = "/".join([url.path.rstrip("/"), *map(_path, filter(None, [address.prefix]))])
        if address.proxy is not None and tls is None:  # a proxy is asked for the whole address
            base = f"http://{url.netloc}{base}"
        fixed = {
            "host": url.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": "penstock",
            **address.headers,
        }

        def head(segments: tuple[str, ...], credential: str | None) -> bytes:
            authorization = "" if credential is None else f"authorization: Bearer {credential}\r\n"
            return _encoded(f"POST {base}/{_path(segments)} HTTP/1.1\r\n{_lines(fixed)}{authorization}")

        self._head = lru_cache(_PATHS)(head)
        self.credentials: Final = credentials

    async def stop(self) -> None:
        """Close all connections."""
        await self._pool.close()

    def send(self, call: BackendCall) -> "Sending":
        """Send a call, once it is entered; leaving it before the body's end closes the connection.

        Raises:
            UpstreamError: There is no credential; on leaving: the body broke off.
        """
        credential = self.credentials.take()
        if credential is None and self.credentials.are_expected:
            raise UpstreamError("credential")
        head = self._head(call.segments, credential)
        if call.headers:
            head += _encoded(_lines(call.headers))
        head = b"%bcontent-length: %d\r\n\r\n" % (head, len(call.body))
        return Sending(self._pool, head, call.body, credential, at_once=not call.whole)


class Sending:
    """A call on its way, as a context; a class, for it is entered with every request.

    Attributes:
        is_done: Whether the answer's text has ended, and its body is just about to.
    """

    __slots__ = ("_at_once", "_body", "_connection", "_head", "_pool", "credential", "is_done")

    def __init__(
        self, pool: Pool, head: bytes, body: bytes, credential: str | None, *, at_once: bool = False
    ) -> None:
        self.credential: Final = credential or ""
        self._at_once = at_once
        self._pool = pool
        self._head = head
        self._body = body
        self._connection: Connection | None = None
        self.is_done = False

    def __enter__(self) -> Self:
        return self

    async def answer(self) -> UpstreamAnswer:
        """Wait for the beginning of the answer, on a connection that is made where none is idle.

        Raises:
            UpstreamError: The backend was not reached, or broke the connection.
        """
        connection = self._pool.take_idle()
        if connection is None:
            connection = await self._ask_anew()
        else:
            try:
                await connection.send(self._head, self._body, at_once=self._at_once)
            except BrokenError as error:
                if connection.heard:
                    raise UpstreamError("reset") from error
                # A backend may close an idle connection just as the request comes: it has not read it then.
                connection = await self._ask_anew()
        self._connection = connection
        return connection

    async def _ask_anew(self) -> Connection:
        """Ask on a new connection."""
        connection = await self._connect()
        try:
            await connection.send(self._head, self._body, at_once=self._at_once)
        except BrokenError as error:
            raise UpstreamError("reset") from error
        return connection

    async def _connect(self) -> Connection:
        try:
            return await self._pool.connect()
        except TimeoutError as error:
            raise UpstreamError("timeout") from error
        except UnknownHostError as error:
            raise UpstreamError("dns") from error
        except TlsError as error:
            raise UpstreamError("tls", error.flaw) from error
        except OSError as error:
            raise UpstreamError("exhausted" if error.errno in EXHAUSTED else "connect") from error

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._pool.give(self._connection, is_done=self.is_done)
        if isinstance(error, BrokenError):
            raise UpstreamError("reset") from error


def _path(segments: tuple[str, ...]) -> str:
    """A path of quoted segments. Workers AI wants `@` as it is."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError("A path segment of a backend call must not be empty or dots.")
    return "/".join(quote(segment, safe="@") for segment in segments)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _encoded(head: str) -> bytes:
    return head.encode("latin-1")
