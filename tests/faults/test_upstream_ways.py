"""Backends that want a certificate of the gateway's own, and such as are reached through a proxy."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.chaos_server import GOOD_WHOLE, ChaosServer, Script, chaos_server
from tests.faults.outcomes import Fails, Says, check
from tests.faults.test_upstream_connections import VALID, made_certificate
from tests.gateway.served import Served, backend_settings, serving_gateway

HELLO = Says()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_certificate(tmp_path_factory.mktemp("tls"), VALID)


@asynccontextmanager
async def over_tls(
    certificate: Path, script: Script, *, asks_who: bool = False
) -> AsyncIterator[ChaosServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if asks_who:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    async with chaos_server(script, context=context) as chaos:
        yield chaos


@asynccontextmanager
async def reached(chaos: ChaosServer, data_dir: Path, **more: object) -> AsyncIterator[Served]:
    backends = {"chaos": backend_settings(chaos.url, **more)}
    async with serving_gateway({"data_dir": data_dir, "backends": backends}) as served:
        yield served


async def test_who_asks_for_it_is_shown_the_gateways_own_certificate(
    tmp_path: Path, certificate: Path
) -> None:
    tls = {"ca": str(certificate), "cert": str(certificate), "key": str(certificate)}
    async with (
        over_tls(certificate, GOOD_WHOLE, asks_who=True) as chaos,
        reached(chaos, tmp_path, tls=tls) as served,
    ):
        check(await served.chat(), HELLO)


async def test_without_one_nothing_is_answered(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        over_tls(certificate, GOOD_WHOLE, asks_who=True) as chaos,
        reached(chaos, tmp_path, tls={"ca": str(certificate)}) as served,
    ):
        answer = await served.chat()
        assert answer.status_code == 502
        assert not chaos.requests
    caplog.clear()  # asyncio's server logs that the handshake failed


@dataclass
class Proxy:
    """A proxy that opens tunnels and passes plain requests on, or refuses both."""

    refuses: bool = False
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            request = head.split(b"\r\n")[0].decode()
            self.asked.append(request)
            method, where, _version = request.split(" ")
            if self.refuses:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
            else:
                place = where if method == "CONNECT" else where.split("/")[2]
                host, _, port = place.rpartition(":")
                there, back = await asyncio.open_connection(host, int(port))
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    back.write(head)
                await asyncio.wait(
                    [
                        asyncio.ensure_future(_pipe(reader, back)),
                        asyncio.ensure_future(_pipe(there, writer)),
                    ]
                )
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxying(*, refuses: bool = False) -> AsyncIterator[Proxy]:
    proxy = Proxy(refuses)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


async def test_a_plain_backend_behind_a_proxy_is_asked_for_by_its_whole_address(tmp_path: Path) -> None:
    async with proxying() as proxy, chaos_server(GOOD_WHOLE) as chaos:
        async with reached(chaos, tmp_path, proxy=proxy.url) as served:
            check(await served.chat(), HELLO)
        assert proxy.asked[0].startswith(f"POST {chaos.url}/accounts/")


async def test_a_secure_backend_behind_a_proxy_is_reached_through_a_tunnel(
    tmp_path: Path, certificate: Path
) -> None:
    async with proxying() as proxy, over_tls(certificate, GOOD_WHOLE) as chaos:
        async with reached(chaos, tmp_path, proxy=proxy.url, tls={"ca": str(certificate)}) as served:
            check(await served.chat(), HELLO)
        assert proxy.asked == [f"CONNECT localhost:{chaos.port} HTTP/1.1"]


async def test_a_proxy_that_opens_no_tunnel_is_a_backend_that_cannot_be_reached(
    tmp_path: Path, certificate: Path
) -> None:
    """Nothing is wrong with anybody's certificates then."""
    async with proxying(refuses=True) as proxy, over_tls(certificate, GOOD_WHOLE) as chaos:
        async with reached(chaos, tmp_path, proxy=proxy.url, tls={"ca": str(certificate)}) as served:
            check(await served.chat(), Fails(502, "backend_unreachable", "connect"))
        assert not chaos.requests
