"""`penstock check`: what serve would refuse; with --live each backend, on the way that the gateway takes."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.conftest import ACCOUNT, Command
from tests.faults.test_upstream_connections import VALID, made_certificate

MODELS = {"object": "list", "data": [{"id": "m"}]}

Serve = Callable[..., int]


class Server(BaseHTTPRequestHandler):
    """Lists models to whoever asks for them, be it as a proxy; it keeps what was asked for."""

    status = 200
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps(MODELS).encode()
        self.send_response(self.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def serve(asked: list[str]) -> Iterator[Serve]:
    with ExitStack() as stack:

        def served(status: int = 200, certificate: Path | None = None) -> int:
            handler = type("Here", (Server,), {"status": status, "asked": asked})
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                context.load_verify_locations(certificate)
                context.verify_mode = ssl.CERT_REQUIRED
                server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return int(server.server_address[1])

        yield served


def checked(penstock: Command, *options: str, **backend: Any) -> Result:
    backends = {"own": {"kind": "openai", **backend}}
    Path("penstock.yaml").write_text(json.dumps({"backends": backends}))
    return penstock("check", *options)


def test_a_live_check_shows_and_wants_the_certificates_of_the_settings(
    penstock: Command, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = made_certificate(tmp_path_factory.mktemp("tls"), VALID)
    url = f"https://localhost:{serve(certificate=certificate)}/v1"
    result = checked(penstock, "--live", base_url=url, tls={"ca": str(certificate), "cert": str(certificate)})
    assert (result.exit_code, result.output.split()[-1]) == (0, "ok")
    result = checked(penstock, "--live", base_url=url)
    assert (result.exit_code, "unreachable: " in result.output) == (1, True)


def test_a_live_check_goes_through_the_proxy_of_the_settings(
    penstock: Command, serve: Serve, asked: list[str]
) -> None:
    proxy = f"http://127.0.0.1:{serve()}"
    result = checked(penstock, "--live", base_url="http://gpu.invalid/v1", proxy=proxy)
    assert (result.exit_code, result.output.split()[-1]) == (0, "ok")
    assert asked == ["http://gpu.invalid/v1/models"]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, "refused: the server wants another api_key"),
        (403, "refused: the api_key may not list models"),
        (404, "no list of models there: does base_url end as it should, most often in /v1?"),
        (429, "busy: the server limits requests at the moment; try again later"),
        (500, "unexpected: HTTP status 500"),
    ],
)
def test_a_live_check_says_of_a_server_what_is_wrong_with_it(
    penstock: Command, serve: Serve, status: int, verdict: str
) -> None:
    result = checked(penstock, "--live", base_url=f"http://127.0.0.1:{serve(status)}")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].endswith(f"  {verdict}")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PENSTOCK__REDIS_URL": "redis://h:port", "PENSTOCK_PEPPER": "p" * 16}, "redis_url cannot be read"),
        (
            {"PENSTOCK__REDIS_URL": "redis+sentinel://u:hunter2@h", "PENSTOCK_PEPPER": "p" * 16},
            "redis_url names no service",
        ),
        ({"PENSTOCK__REDIS_URL": "redis://h"}, "redis_url is set and keys.pepper is not"),
    ],
)
def test_what_serve_would_refuse_of_a_shared_store_is_a_mistake(
    penstock: Command, environ: dict[str, str], words: str
) -> None:
    result = penstock("check", **ACCOUNT, **environ)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "hunter2" not in result.stderr


def test_a_shared_store_that_is_well_told_of_is_no_mistake(penstock: Command, tmp_path: Path) -> None:
    url = "redis+sentinel://a:1,b:2/name"
    result = penstock("check", **ACCOUNT, PENSTOCK__REDIS_URL=url, PENSTOCK_PEPPER="p" * 16)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not (tmp_path / "data").exists()
