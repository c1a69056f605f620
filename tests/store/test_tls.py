"""A store behind TLS is used where its certificate is trusted, and named where it is not."""

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store import Script, Store
from tests.store.proxies import delayed
from tests.store.servers import Server

KEY = "{ps}:probe"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {path}.key -out {path}"
    )
    subprocess.run([openssl, *options.split()], check=True, capture_output=True, timeout=30)
    with path.open("a") as both:
        both.write(Path(f"{path}.key").read_text())
    return path


@pytest.fixture
async def tls_port(certificate: Path, valkey_server: Server) -> AsyncIterator[int]:
    """Where the shared Valkey is to be had behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with delayed(valkey_server, 0, context) as behind_tls:
        yield behind_tls.port


async def test_a_store_whose_certificate_is_trusted_is_used(tls_port: int, certificate: Path) -> None:
    store = Store(f"rediss://localhost:{tls_port}?ssl_ca_certs={certificate}", 5.0)
    await store.start()
    assert len(await store.run(Script("probe"), [KEY])) == 1
    await store.stop()


async def test_a_store_whose_certificate_nobody_vouches_for_is_named(
    tls_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(f"rediss://localhost:{tls_port}", 5.0)
    await store.start()
    assert store.is_away
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
    await store.stop()
