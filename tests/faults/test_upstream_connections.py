"""Backends that cannot be reached, are not who they should be, or close a connection as it is used again."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chaos_server import GOOD, GOOD_WHOLE, Act, ChaosServer, Script, chaos_server, whole
from tests.faults.conftest import Between
from tests.faults.outcomes import Fails, Says, check, check_books, check_nothing_left
from tests.gateway.served import Served, backend_settings, serving_gateway

UNREACHABLE = Fails(502, "backend_unreachable", "connect")
HELLO = Says()
streamed = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@asynccontextmanager
async def before(url: str, data_dir: Path, **settings: Any) -> AsyncIterator[Served]:
    backends = {"chaos": backend_settings(url)}
    async with serving_gateway({"data_dir": data_dir, "backends": backends, **settings}) as served:
        yield served


@streamed
async def test_connection_refused(tmp_path: Path, *, streamed: bool) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        async with before(f"http://127.0.0.1:{bound.getsockname()[1]}", tmp_path) as served:
            check(await served.chat(stream=streamed), UNREACHABLE)
            await check_books(served, UNREACHABLE)


@streamed
async def test_a_name_that_does_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    async def nobody(*_arguments: Any, **_options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known: canary")

    async with before("http://canary.invalid", tmp_path) as served:
        await served.client.get("/healthz")  # the client's own connection is open now
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
        check(await served.chat(stream=streamed), UNREACHABLE)
        await check_books(served, UNREACHABLE)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: Linux answers no further one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield port
        for each in waiting:
            each.close()


@streamed
async def test_an_address_that_swallows_everything(
    tmp_path: Path, black_hole: int, *, streamed: bool
) -> None:
    expected = Fails(504, "deadline_connect", "timeout", "connect")
    async with before(f"http://127.0.0.1:{black_hole}", tmp_path, deadlines={"connect": 0.1}) as served:
        check(await served.chat(stream=streamed), expected)
        await check_books(served, expected)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "localhost.pem", folder / "key.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    alternative = ("-addext", "subjectAltName=DNS:localhost")
    command = [openssl, *options.split(), *alternative, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return made


@asynccontextmanager
async def over_tls(certificate: Path, *scripts: Script) -> AsyncIterator[ChaosServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with chaos_server(*scripts, context=context) as chaos:
        yield chaos


@streamed
async def test_tls_by_a_certificate_that_is_trusted(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        over_tls(certificate, GOOD if streamed else GOOD_WHOLE) as chaos,
        before(chaos.url, tmp_path) as served,
    ):
        check(await served.chat(stream=streamed), HELLO)


@streamed
async def test_tls_by_a_certificate_that_nobody_vouches_for(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture, *, streamed: bool
) -> None:
    async with over_tls(certificate, GOOD_WHOLE) as chaos, before(chaos.url, tmp_path) as served:
        check(await served.chat(stream=streamed), UNREACHABLE)
        await check_books(served, UNREACHABLE)
        assert not chaos.requests, "the credential has not been sent"
    caplog.clear()  # asyncio's server logs that the handshake failed


@streamed
async def test_tls_by_a_certificate_of_another_host(
    tmp_path: Path,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    streamed: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        over_tls(certificate, GOOD_WHOLE) as chaos,
        before(chaos.url.replace("localhost", "127.0.0.1"), tmp_path) as served,
    ):
        check(await served.chat(stream=streamed), UNREACHABLE)
        await check_books(served, UNREACHABLE)
        assert not chaos.requests
    caplog.clear()


@streamed
@pytest.mark.parametrize(
    "greeting",
    [(b"HTTP/1.1 400 Canary\r\n\r\n",), (Act.CLOSE,), (Act.RESET,)],
    ids=["answers in plain", "closes", "resets"],
)
async def test_tls_that_the_other_side_does_not_speak(
    tmp_path: Path, greeting: Script, *, streamed: bool
) -> None:
    async with (
        chaos_server(greeting=(*greeting, Act.CLOSE)) as chaos,
        before(chaos.url.replace("http:", "https:"), tmp_path) as served,
    ):
        check(await served.chat(stream=streamed), UNREACHABLE)
        await check_books(served, UNREACHABLE)


@streamed
async def test_a_tls_handshake_that_hangs(tmp_path: Path, *, streamed: bool) -> None:
    expected = Fails(504, "deadline_connect", "timeout", "connect")
    async with chaos_server(greeting=(Act.HANG,)) as chaos:
        url = chaos.url.replace("http:", "https:")
        async with before(url, tmp_path, deadlines={"connect": 0.1}) as served:
            check(await served.chat(stream=streamed), expected)
            await check_books(served, expected)
            await chaos.left()


# Connections that are used again


@streamed
@pytest.mark.parametrize("end", [Act.CLOSE, Act.RESET], ids=["closed", "reset"])
async def test_an_idle_connection_that_is_ended_as_the_next_request_comes(
    between: Between, end: Act, *, streamed: bool
) -> None:
    """Nothing of an answer has come, so that the request is sent once more, on a new connection."""
    good = GOOD if streamed else GOOD_WHOLE
    served, chaos = await between(good, (end,), good)
    check(await served.chat(stream=streamed), HELLO)
    check(await served.chat(stream=streamed), HELLO)
    assert len(chaos.requests) == 3
    assert await served.metric("penstock_upstream_attempts_total", outcome="ok") == 2
    await check_nothing_left(served, chaos)


@streamed
async def test_a_connection_that_ends_again_is_not_tried_for_ever(
    between: Between, *, streamed: bool
) -> None:
    served, chaos = await between(GOOD if streamed else GOOD_WHOLE, (Act.CLOSE,), (Act.CLOSE,))
    check(await served.chat(stream=streamed), HELLO)
    check(await served.chat(stream=streamed), Fails(502, "backend_broken", "reset"))
    assert len(chaos.requests) == 3


@streamed
async def test_an_answer_that_has_begun_is_not_asked_for_again(between: Between, *, streamed: bool) -> None:
    served, chaos = await between(GOOD if streamed else GOOD_WHOLE, (b"HTTP/1.1 2", Act.TURN, Act.CLOSE))
    check(await served.chat(stream=streamed), HELLO)
    check(await served.chat(stream=streamed), Fails(502, "backend_broken", "reset"))
    assert len(chaos.requests) == 2


@streamed
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_an_answer_nobody_asked_for_is_no_answer_to_the_next_request(
    between: Between, *, streamed: bool, later: bool
) -> None:
    """What follows an answer on its connection would else be taken for that of somebody else."""
    good = GOOD if streamed else GOOD_WHOLE
    canary = whole(b'{"result":{"response":"canary"},"success":true}')
    twice = (*good, Act.TURN, canary) if later else (b"".join(good) + canary,)
    served, chaos = await between(twice, good)
    check(await served.chat(stream=streamed), HELLO)
    await chaos.left()
    check(await served.chat(stream=streamed), HELLO)
    assert len(chaos.requests) == 2
