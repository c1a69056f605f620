"""Backends that cannot be reached, are not who they should be, or close a connection as it is used again."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chaos_server import GOOD, GOOD_WHOLE, Act, ChaosServer, Script, chaos_server, whole
from tests.faults.conftest import Between
from tests.faults.outcomes import Fails, Says, check, check_books, check_nothing_left
from tests.gateway.served import Served, backend_settings, serving_gateway

UNREACHABLE = Fails(502, "backend_unreachable", "connect")
NAMELESS = Fails(502, "upstream_dns", "dns")
INSECURE = Fails(502, "upstream_tls", "tls")
HELLO = Says()
Lines = Callable[[], list[dict[str, Any]]]
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
        check(await served.chat(stream=streamed), NAMELESS)
        await check_books(served, NAMELESS)


@streamed
async def test_a_name_that_is_looked_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    async def silent(*_arguments: Any, **_options: Any) -> None:
        await asyncio.Event().wait()

    expected = Fails(504, "deadline_connect", "timeout", "connect")
    async with before("http://canary.invalid", tmp_path, deadlines={"connect": 0.1}) as served:
        await served.client.get("/healthz")
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
        check(await served.chat(stream=streamed), expected)
        await check_books(served, expected)


@streamed
async def test_a_name_whose_address_has_changed_is_looked_up_when_the_old_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    good = GOOD if streamed else GOOD_WHOLE
    ports: list[int] = []

    async def look_up(*_arguments: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", ports[-1]))]

    async with before("http://canary.invalid", tmp_path) as served:
        await served.client.get("/healthz")
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        async with chaos_server((*good, Act.CLOSE)) as old:
            ports.append(old.port)
            check(await served.chat(stream=streamed), HELLO)
            await old.left()
        async with chaos_server(good) as new:
            ports.append(new.port)
            check(await served.chat(stream=streamed), UNREACHABLE)
            check(await served.chat(stream=streamed), HELLO)


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


AUTHORITY = """
[ca]
default_ca = x
[x]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = names
copy_extensions = copy
[names]
commonName = supplied
"""
EXPIRED = ("20200101000000Z", "20200102000000Z")
VALID = ("20200101000000Z", "21000101000000Z")
TO_COME = ("20990101000000Z", "21000101000000Z")


def made_certificate(folder: Path, when: tuple[str, str]) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")

    def run(options: str) -> None:
        subprocess.run([openssl, *options.split()], check=True, capture_output=True, cwd=folder, timeout=30)

    (folder / "authority").write_text(AUTHORITY.format(folder=folder))
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    run(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
        " -addext subjectAltName=DNS:localhost -keyout key.pem -out asked.pem"
    )
    run(
        "ca -batch -config authority -selfsign -notext -keyfile key.pem -in asked.pem -out made.pem"
        f" -startdate {when[0]} -enddate {when[1]}"
    )
    made = folder / "localhost.pem"
    made.write_bytes((folder / "made.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_certificate(tmp_path_factory.mktemp("tls"), VALID)


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
    tmp_path: Path,
    certificate: Path,
    caplog: pytest.LogCaptureFixture,
    access_lines: Lines,
    *,
    streamed: bool,
) -> None:
    async with over_tls(certificate, GOOD_WHOLE) as chaos, before(chaos.url, tmp_path) as served:
        answer = await served.chat(stream=streamed)
        check(answer, INSECURE)
        [line] = access_lines()
        assert (line["backend"], line["error"]) == ("chaos", "upstream_tls")
        assert "signed by nobody whom the gateway trusts" in answer.json()["error"]["message"]
        await check_books(served, INSECURE)
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
        answer = await served.chat(stream=streamed)
        check(answer, INSECURE)
        assert "for another host" in answer.json()["error"]["message"]
        await check_books(served, INSECURE)
        assert not chaos.requests
    caplog.clear()


@streamed
@pytest.mark.parametrize(
    ("when", "flaw"), [(EXPIRED, "has expired"), (TO_COME, "is not valid yet")], ids=["expired", "to come"]
)
async def test_tls_by_a_certificate_of_another_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    when: tuple[str, str],
    flaw: str,
    *,
    streamed: bool,
) -> None:
    certificate = made_certificate(tmp_path, when)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with over_tls(certificate, GOOD_WHOLE) as chaos, before(chaos.url, tmp_path) as served:
        answer = await served.chat(stream=streamed)
        check(answer, INSECURE)
        assert flaw in answer.json()["error"]["message"]
        await check_books(served, INSECURE)
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
        answer = await served.chat(stream=streamed)
        check(answer, INSECURE)
        assert "handshake" in answer.json()["error"]["message"]
        await check_books(served, INSECURE)


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
    at_once = b"".join(step for step in good if isinstance(step, bytes)) + canary
    twice = (*good, Act.TURN, canary) if later else (at_once,)
    served, chaos = await between(twice, good)
    check(await served.chat(stream=streamed), HELLO)
    await chaos.left()
    check(await served.chat(stream=streamed), HELLO)
    assert len(chaos.requests) == 2
