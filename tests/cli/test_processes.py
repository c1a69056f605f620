"""The commands that serve, as processes of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator

ROOT = Path(__file__).parents[2]
PENSTOCK = (sys.executable, "-c", "from gateway.cli import main; main(prog_name='penstock')")
LIMIT_SECONDS = 60

Environment = Mapping[str, str]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PENSTOCK_DATA_DIR": str(tmp_path / "data")}


@contextmanager
def started(environment: Environment, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended in any case, at the latest when its time is up."""
    with subprocess.Popen(
        [*PENSTOCK, *arguments],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        watchdog = threading.Timer(LIMIT_SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            process.kill()
            watchdog.cancel()


def read_until(stream: IO[str] | None, words: str) -> str:
    seen = ""
    for line in stream or ():
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"{words!r} never came; this did:\n{seen}")


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    return process.returncode, stdout, stderr


def test_serve_answers_with_the_key_that_it_shows_once(
    environment: Environment, tmp_path: Path, serve_app: Callable[..., str]
) -> None:
    account = {
        "CLOUDFLARE_ACCOUNT_ID": SIMULATED_ACCOUNT_ID,
        "CLOUDFLARE_API_TOKEN": SIMULATED_API_TOKEN,
        "CLOUDFLARE_BASE_URL": f"{serve_app(Simulator())}/client/v4",
    }
    with started({**environment, **account}, tmp_path, "serve", "--port", "0") as process:
        banner = read_until(process.stderr, "key ")
        url = re.search(r"base_url +(\S+)", banner)
        key = re.search(r"key +(sk-ps-admin-\S+)", banner)
        assert url, banner
        assert key, banner
        assert SIMULATED_API_TOKEN not in banner
        headers = {"authorization": f"Bearer {key[1]}"}
        body = {
            "model": "@cf/meta/llama-3.1-8b-instruct-fast",
            "messages": [{"role": "user", "content": "Hello!"}],
        }
        with httpx.Client(trust_env=False, base_url=url[1], headers=headers) as client:
            answer = client.post("chat/completions", json=body)
        assert answer.json()["choices"][0]["finish_reason"] == "stop"
        code, stdout, stderr = finish(process, signal.SIGTERM)
    assert code == 0
    assert stdout.count("\n") == 1
    assert answer.headers["x-request-id"] in stdout
    assert stderr == ""
    with started({**environment, **account}, tmp_path, "serve", "--port", "0") as process:
        assert key[1] not in read_until(process.stderr, "key ")


def test_serve_on_a_taken_port_says_so_and_makes_no_key(environment: Environment, tmp_path: Path) -> None:
    account = {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_API_TOKEN": "t"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started({**environment, **account}, tmp_path, "serve", "--port", port) as process:
            _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert stderr.startswith(f"cannot listen on 127.0.0.1:{port}: the port is taken")
    assert not (tmp_path / "data").exists()


def test_serve_with_a_kept_key_that_is_none_says_what_to_do(environment: Environment, tmp_path: Path) -> None:
    account = {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_API_TOKEN": "t"}
    kept = tmp_path / "data" / "master.key"
    kept.parent.mkdir()
    kept.write_text("")
    with started({**environment, **account}, tmp_path, "serve", "--port", "0") as process:
        _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert stderr.startswith(f"the key kept in {kept} is empty: delete the file, or set keys.master")
    assert stderr.count("\n") == 1


def test_simulate_prints_the_variables_that_reach_it(environment: Environment, tmp_path: Path) -> None:
    with started(environment, tmp_path, "simulate", "--port", "0") as process:
        shown = read_until(process.stdout, "CLOUDFLARE_API_TOKEN")
        printed = dict(re.findall(r"^export (\w+)=(\S+)$", shown, re.MULTILINE))
        headers = {"authorization": f"Bearer {printed['CLOUDFLARE_API_TOKEN']}"}
        account = f"{printed['CLOUDFLARE_BASE_URL']}/accounts/{printed['CLOUDFLARE_ACCOUNT_ID']}"
        url = f"{account}/ai/run/@cf/meta/llama-3.1-8b-instruct-fast"
        answer = httpx.post(url, json={"prompt": "Hello!"}, headers=headers, trust_env=False)
        assert answer.json()["success"]
        code, _, stderr = finish(process, signal.SIGINT)
    assert (code, stderr) == (0, "")


def test_simulate_serves_a_product_that_is_named(environment: Environment, tmp_path: Path) -> None:
    options = ("--server", "vllm", "--port", "0", "--model", "mine", "--slots", "3")
    with started(environment, tmp_path, "simulate", *options) as process:
        shown = read_until(process.stdout, "OPENAI_BASE_URL")
        [url] = re.findall(r"^export OPENAI_BASE_URL=(\S+)$", shown, re.MULTILINE)
        listed = httpx.get(f"{url}/models", trust_env=False).json()
        assert [(model["id"], model["owned_by"]) for model in listed["data"]] == [("mine", "vllm")]
        code, _, stderr = finish(process, signal.SIGINT)
    assert (code, stderr) == (0, "")


def test_simulate_takes_a_servers_options_with_a_server_alone(
    environment: Environment, tmp_path: Path
) -> None:
    with started(environment, tmp_path, "simulate", "--model", "mine") as process:
        _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, stderr.count("--server")) == (2, 1)


def test_the_demo_holds_a_chat_with_a_tool_call_and_ends(environment: Environment, tmp_path: Path) -> None:
    with started(environment, tmp_path, "demo", "--once", "--port", "0") as process:
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, stderr) == (0, "")
    assert "\x1b" not in stdout
    assert "talks to a simulated Workers AI account" in stdout
    chat = stdout.partition("A chat with a tool call, through the gateway:\n\n")[2].splitlines()
    assert [line[:6].strip() for line in chat] == ["you", "call", "tool", "model", ""]
    assert '{"city":"Lisbon"}' in chat[1]
    assert not (tmp_path / "data").exists()


def test_the_demo_takes_a_free_port_where_its_own_is_taken(environment: Environment, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started(environment, tmp_path, "demo", "--once", "--port", port) as process:
            stdout, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0
    told = re.search(rf"^Port {port} is taken, so this uses (\d+)\.$", stdout, re.MULTILINE)
    assert told
    assert f"http://127.0.0.1:{told[1]}/v1" in stdout


@pytest.mark.parametrize("variable", ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_AUTH_TOKEN"])
def test_the_demo_uses_the_account_of_the_environment(
    environment: Environment, tmp_path: Path, serve_app: Callable[..., str], variable: str
) -> None:
    account = {
        "CLOUDFLARE_ACCOUNT_ID": SIMULATED_ACCOUNT_ID,
        variable: "0" * 40,
        "CLOUDFLARE_BASE_URL": f"{serve_app(Simulator())}/client/v4",
    }
    with started({**environment, **account}, tmp_path, "demo", "--once", "--port", "0") as process:
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert "talks to your Cloudflare account" in stdout
    assert process.returncode == 1
    assert stderr.startswith("the demo failed: the gateway answered with status 502")


def test_the_demo_goes_on_serving_until_interrupted(environment: Environment, tmp_path: Path) -> None:
    with started(environment, tmp_path, "demo", "--port", "0") as process:
        shown = read_until(process.stdout, "Serving until Ctrl-C")
        url = re.search(r"base_url +(\S+)", shown)
        key = re.search(r"api_key +(\S+)", shown)
        assert url, shown
        assert key, shown
        headers = {"authorization": f"Bearer {key[1]}"}
        assert httpx.get(f"{url[1]}/models", headers=headers, trust_env=False).is_success
        code, _, stderr = finish(process, signal.SIGINT)
    assert (code, stderr) == (0, "")


@pytest.mark.parametrize("last", ["is ready", "A chat with a tool call"])
def test_a_reader_that_leaves_ends_the_demo_without_a_traceback(
    environment: Environment, tmp_path: Path, last: str
) -> None:
    with started(environment, tmp_path, "demo", "--once", "--port", "0") as process:
        assert process.stdout
        read_until(process.stdout, last)
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == ""
