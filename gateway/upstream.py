"""The way to a backend: open a call, read its answer's bytes, close. The one home of aiohttp.

aiohttp and not httpx, for it costs a tenth of the CPU per request and closes what is cancelled at once.
Nothing of the request's text chooses the host: the path is built from quoted segments below the base URL
of the settings. Proxy variables, cookies, redirects and compression are off.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from gateway.settings import Deadlines
from translators.call import BackendCall

# Below the 20 to 75 seconds after which servers commonly close an idle connection.
_KEEP_ALIVE: Final = 15.0

# How much of an answer may wait unread in memory; twice that, and aiohttp stops reading from the backend.
_READ_BUFFER: Final = 2**16

# Larger bodies (images, long histories) go out piece by piece, so that the event loop is not held up.
_WHOLE: Final = 2**20


class UpstreamError(Exception):
    """The transport failed. `connected` says whether the backend had been reached."""

    def __init__(self, *, connected: bool, timed_out: bool = False) -> None:
        super().__init__("connected" if connected else "not connected")
        self.connected = connected
        self.timed_out = timed_out


class UpstreamAnswer:
    """An answer whose headers are here and whose body is coming."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        """The next bytes of the body, as soon as there are any; empty at its regular end.

        Raises:
            UpstreamError: The body broke off.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(connected=True) from error


class Upstream:
    """One backend's connections."""

    def __init__(
        self, base_url: str, prefix: tuple[str, ...], headers: Mapping[str, str], deadlines: Deadlines
    ) -> None:
        self._base = f"{base_url.rstrip('/')}/{_path(prefix)}"
        self._headers = {
            **headers,
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "penstock",
        }
        self._connect = deadlines.connect
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the connection pool; it belongs to the running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect, sock_read=None),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
        )

    async def stop(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def send(self, call: BackendCall) -> AsyncIterator[UpstreamAnswer]:
        """Send a call; leaving the context before the body's end closes the connection.

        Raises:
            UpstreamError: The backend was not reached, or broke the connection.
        """
        if self._session is None:
            raise RuntimeError("The upstream is not started.")
        url = URL(f"{self._base}/{_path(call.segments)}", encoded=True)
        try:
            response = await self._session.post(
                url, data=_data(call.body), headers={**self._headers, **call.headers}, allow_redirects=False
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise UpstreamError(connected=False, timed_out=True) from error
        except aiohttp.ClientConnectorError as error:
            raise UpstreamError(connected=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(connected=True) from error
        try:
            yield UpstreamAnswer(response)
        finally:
            # Releases a connection whose body was read to its end, and closes any other.
            if not response.content.at_eof():
                response.close()
            response.release()


def _data(body: bytes) -> bytes | BytesIO:
    return body if len(body) <= _WHOLE else BytesIO(body)


def _path(segments: tuple[str, ...]) -> str:
    """A path of quoted segments. Workers AI wants `@` as it is."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError("A path segment of a backend call must not be empty or dots.")
    return "/".join(quote(segment, safe="@") for segment in segments)
