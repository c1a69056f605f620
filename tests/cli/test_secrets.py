"""Canaries in all that a process is given: none comes out, with all logs on, in any error, in a crash."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator import Simulator, codes, faults
from tests.cli.test_processes import LIMIT_SECONDS, ROOT

MASTER = "sk-ps-canary-master-0123456789"
TOKEN = "c" * 13 + "canary-token" + "c" * 15  # as long as Cloudflare's are
ACCOUNT = "ca1a0123456789abcdef0123456789ca"
SECRETS = (MASTER, TOKEN, ACCOUNT)
# What clients say, which only their own answers may hold.
SAID = {
    "key": "canary-wrong-key",
    "header": "canary-header",
    "query": "canary-query",
    "prompt": "canary-prompt",
    "user": "canary-user",
}
CONFIG = """
keys: {{master: "{master}"}}
backends:
  cloudflare: {{kind: workers_ai, account_id: "{account}", api_token: "{token}", base_url: "{url}"}}
  gone: {{kind: workers_ai, account_id: "{account}", api_token: {{file: token}}, base_url: "http://127.0.0.1:1"}}
  nameless: {{kind: workers_ai, account_id: "{account}", api_token: {shows}, base_url: "http://x.invalid"}}
  plain:
    kind: workers_ai
    account_id: "{account}"
    api_token: [{{env: CANARY_TOKEN}}, {fails}, {{file: no-token}}]
    base_url: "{tls_url}"
models:
  small: {{targets: [{{backend: cloudflare, model: "@cf/meta/llama-3.1-8b-instruct-fast"}}]}}
  strict:
    translation: strict
    targets: [{{backend: cloudflare, model: "@cf/meta/llama-3.1-8b-instruct-fast"}}]
  gone: {{targets: [{{backend: gone, model: "@cf/meta/llama-3.1-8b-instruct-fast"}}]}}
  nameless: {{targets: [{{backend: nameless, model: "@cf/meta/llama-3.1-8b-instruct-fast"}}]}}
  plain: {{targets: [{{backend: plain, model: "@cf/meta/llama-3.1-8b-instruct-fast"}}]}}
deadlines: {{first_byte: 1, gap: 0.5, total: 5, body_idle: 0.5}}
"""
# A command whose arguments, output and complaints are all secret.
SHOWS = f"import sys; print('{TOKEN}'); print('{TOKEN}', file=sys.stderr)"
# All that any library logs goes to standard error.
LOUD = """\
import logging
logging.basicConfig(level=logging.DEBUG)
logging.debug("all is logged")
"""
START = "from gateway.cli import main; main(prog_name='penstock')"
# A mistake of ours, with all that is secret at hand where it is made.
BROKEN = """\
from gateway import app
from gateway.cli import server
def fails(*given, **more):
    raise RuntimeError("a mistake of ours")
app.{0} = fails
"""
SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
# The slow ones would only make the test slow; `stall` ends at a deadline.
FAULTS = [
    *(f"@cf/simulator/{name}" for name in faults.MENU if not name.startswith("slow-")),
    *(f"@cf/simulator/code.{code}" for code in sorted(codes.KNOWN)),
]

ROUTES = ("small", "strict", "gone", "nameless", "plain")
# What is no HTTP, is refused before it is read, or never ends; each with all that a client may say.
_LINES = (
    f"authorization: Bearer {MASTER}\r\nx-api-key: {SAID['key']}\r\nx-{SAID['header']}: {SAID['header']}\r\n"
    f"cookie: a={SAID['header']}\r\ncontent-type: application/json\r\nconnection: close\r\n"
)
_POST = f"POST /v1/chat/completions?api_key={SAID['query']} HTTP/1.1\r\nhost: x\r\n{_LINES}"
_ASKED = json.dumps({"model": SEED, "user": SAID["user"], "messages": SAID["prompt"]})
RAW = {
    "two lengths": f"{_POST}content-length: 5\r\ncontent-length: 6\r\n\r\n{_ASKED}",
    "a length that is the prompt": f"{_POST}content-length: {SAID['prompt']}\r\n\r\n{_ASKED}",
    "a header without a colon": f"{_POST}{MASTER}\r\n\r\n{_ASKED}",
    "a folded header": f"{_POST}authorization: Bearer\r\n {MASTER}\r\n\r\n{_ASKED}",
    "a host with a password": f"GET / HTTP/1.1\r\nhost: {MASTER}@x\r\n{_LINES}\r\n",
    "a target with a password": f"GET http://{MASTER}:{SAID['key']}@x/ HTTP/1.1\r\nhost: x\r\n{_LINES}\r\n",
    "no host": f"GET /v1/models?api_key={SAID['query']} HTTP/1.1\r\n{_LINES}\r\n",
    "a bad chunk": f"{_POST}transfer-encoding: chunked\r\n\r\nZ{SAID['prompt']}\r\n{_ASKED}",
    "a bad trailer": f"{_POST}transfer-encoding: chunked\r\n\r\n0\r\n{MASTER}\r\n\r\n",
    "an expectation": f"{_POST}expect: {SAID['header']}\r\ncontent-length: 2\r\n\r\n{{}}",
    "an encoding": f"{_POST}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{{}}",
    "too many headers": f"{_POST}{_LINES * 40}\r\n",
    "noise": f"{MASTER} {SAID['prompt']}\r\n\r\n",
    "a body that stops": f"{_POST}content-length: 9999\r\n\r\n{_ASKED}",
}

ServeApp = Callable[..., str]


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONASYNCIODEBUG": "1",
        "PENSTOCK_DATA_DIR": str(tmp_path / "data"),
        "CANARY_TOKEN": TOKEN,
    }


def _config(folder: Path, url: str) -> str:
    file = folder / "penstock.yaml"
    tls_url = url.replace("http:", "https:")
    (folder / "token").write_text(TOKEN)
    (folder / "no-token").write_text(f"{TOKEN} and more")
    shows, fails = (
        json.dumps({"exec": [sys.executable, "-c", f"{SHOWS}; sys.exit({code})"]}) for code in (0, 3)
    )
    secrets = {"master": MASTER, "token": TOKEN, "account": ACCOUNT}
    file.write_text(CONFIG.format(**secrets, url=url, tls_url=tls_url, shows=shows, fails=fails))
    return str(file)


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def _check_silent(places: Mapping[str, str], words: tuple[str, ...]) -> None:
    for place, text in places.items():
        for word in words:
            assert word not in text, f"{word} in {place}: ...{text[max(0, text.find(word) - 300) :][:600]}"


def _bodies() -> Iterator[dict[str, Any]]:
    for model in (*FAULTS, *ROUTES, "@cf/canary-nobody/x", "canary-nothing"):
        for stream in (False, True):
            yield {
                "model": model,
                "messages": [{"role": "user", "content": SAID["prompt"]}],
                "user": SAID["user"],
                "stream": stream,
            }
    yield {"model": SEED, "messages": SAID["prompt"]}
    yield {"model": SEED, "messages": [{"role": SAID["prompt"], "content": SAID["prompt"]}]}
    yield {"model": SEED, "prompt": SAID["prompt"], "messages": []}


def _talk(client: httpx.Client) -> Iterator[str]:
    """All that clients are told: headers and bodies."""
    headers = {"authorization": f"Bearer {MASTER}", "x-secret": SAID["header"], "cookie": SAID["header"]}
    query = {"api_key": SAID["query"]}
    for body in _bodies():
        answer = client.post("/v1/chat/completions", json=body, headers=headers, params=query)
        yield f"{answer.headers} {answer.text}"
    for content in (b"{", b'"canary-prompt', json.dumps(SAID).encode(), b"\xff"):
        answer = client.post("/v1/translate", content=content, headers=headers)
        yield f"{answer.headers} {answer.text}"
    for name in ("authorization", "x-api-key", "api-key"):
        answer = client.get("/v1/models", headers={name: f"Bearer {SAID['key']}"}, params=query)
        assert answer.status_code == 401
        yield f"{answer.headers} {answer.text}"


def _talk_badly(port: int) -> Iterator[str]:
    """All that clients are told who speak no HTTP, or not to its end."""
    for data in RAW.values():
        with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as raw:
            raw.sendall(data.encode())
            said = b"".join(iter(lambda: raw.recv(65536), b""))
        assert said.startswith(b"HTTP/1.1 4"), data
        yield said.decode()
    with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as raw:  # leaves in the middle
        raw.sendall(f"{_POST}content-length: 9999\r\n\r\n{_ASKED}".encode())


def test_a_process_that_tells_all_it_can_tells_no_secret(
    environment: Mapping[str, str], tmp_path: Path, serve_app: ServeApp
) -> None:
    account = Simulator(account_id=ACCOUNT, api_token=TOKEN)
    config = _config(tmp_path, f"{serve_app(account)}/client/v4")
    # Files take all that comes, while nobody reads it.
    with (
        (tmp_path / "out").open("w") as out,
        (tmp_path / "err").open("w") as err,
        subprocess.Popen(
            _python(LOUD + START, "serve", "--config", config, "--port", "0"),
            env=environment,
            cwd=tmp_path,
            stdout=out,
            stderr=err,
        ) as process,
    ):
        try:
            url = _url(tmp_path / "err", process)
            with httpx.Client(base_url=url, trust_env=False, timeout=LIMIT_SECONDS) as client:
                told = [*_talk(client), *_talk_badly(client.base_url.port or 0)]
                metrics = client.get("/metrics").text
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT_SECONDS) == 0
        finally:
            process.kill()
    log = (tmp_path / "err").read_text()
    assert "all is logged" in log
    assert "ended with exit code 3" in log
    assert "no-token" not in metrics
    lines = (tmp_path / "out").read_text()
    assert lines.count("\n") > len(told)
    _check_silent({"answers": "\n".join(told)}, (*SECRETS, SAID["key"], SAID["header"], SAID["query"]))
    _check_silent({"log": log, "metrics": metrics, "access lines": lines}, (*SECRETS, *SAID.values()))


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The address that a process says it serves at."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"base_url +(\S+)/v1\n", log.read_text())
        if found:
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"it did not start: {log.read_text()}")


@pytest.mark.parametrize("function", ["build", "application"])
def test_a_process_that_crashes_tells_no_secret(
    environment: Mapping[str, str], tmp_path: Path, function: str
) -> None:
    config = _config(tmp_path, "http://127.0.0.1:1")
    code = LOUD + BROKEN.format(function) + START
    if function == "application":
        code = code.replace("app.application", "server.running")
    done = _done(environment, tmp_path, code, "serve", "--config", config, "--port", "0")
    assert done.returncode != 0
    assert "RuntimeError: a mistake of ours" in done.stderr
    _check_silent({"output": done.stdout + done.stderr}, SECRETS)


def _done(
    environment: Mapping[str, str], folder: Path, code: str, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _python(code, *arguments),
        env=environment,
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def _echo(status: int, content_type: str) -> Callable[..., Any]:
    """A server that tells all it was told: in its headers, in the address of a redirect and in its body."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        told = b" ".join([scope["raw_path"], *(value for _name, value in scope["headers"])])
        headers = [(b"content-type", content_type.encode()), (b"location", told), (b"x-told", told)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"errors": [{"message": "%s"}]}' % told})

    return answer


ASKING = (("check", "--live"), ("models", "sync"))


@pytest.mark.parametrize(
    ("status", "content_type"),
    [
        (200, "application/json"),
        (200, "text/html"),
        (302, "text/html"),
        (401, "application/json"),
        (500, "text/plain"),
    ],
)
def test_no_command_that_asks_the_account_tells_a_secret_of_it(
    environment: Mapping[str, str], tmp_path: Path, serve_app: ServeApp, status: int, content_type: str
) -> None:
    config = _config(tmp_path, serve_app(_echo(status, content_type)))
    for command in ASKING:
        done = _done(environment, tmp_path, LOUD + START, *command, "--config", config)
        assert "all is logged" in done.stderr
        _check_silent({" ".join(command): done.stdout + done.stderr}, SECRETS)


@pytest.mark.parametrize("command", ["check", "models", "translate"])
def test_no_command_tells_a_secret_of_its_configuration(
    environment: Mapping[str, str], tmp_path: Path, command: str
) -> None:
    config = _config(tmp_path, "http://127.0.0.1:1")
    body = json.dumps({"model": "gone", "messages": [{"role": "user", "content": 5}]})
    done = _done(environment, tmp_path, LOUD + START, command, "--config", config, stdin=body)
    assert "all is logged" in done.stderr
    _check_silent({command: done.stdout + done.stderr}, SECRETS)
