"""Several workers on one port, as real processes: they answer together, count together and end in order."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.cli.test_processes import environment, finish, read_until, started  # noqa: F401 - a fixture among them

KEY = "sk-master-0123456789abcdef"
MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
LIMIT = 30.0


@dataclass
class Workers:
    """A running parent with its workers."""

    process: subprocess.Popen[str]
    url: str

    def pids(self) -> list[int]:
        """The workers' process ids."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"workers.worker" in _of(int(pid), "cmdline")]

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {KEY}", "connection": "close"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=LIMIT)

    def chat(self, **fields: Any) -> httpx.Response:
        with self.client() as client:
            body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], **fields}
            return client.post("/v1/chat/completions", json=body)

    def counters(self) -> dict[tuple[str, ...], float]:
        """All counters' series."""
        with self.client() as client:
            answer = client.get("/metrics")
        assert answer.status_code == 200, answer.text
        return {
            (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            if family.type in {"counter", "histogram"}
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


def _of(pid: int, place: str) -> bytes:
    """What the system tells of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/{place}").read_bytes()
    return b""


def _await(happened: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < end, f"{what} did not happen within {LIMIT} s"
        time.sleep(0.02)


@contextmanager
def _serving(
    environ: Mapping[str, str], folder: Path, account: str, *, workers: int = 3, drain: float = 20
) -> Iterator[Workers]:
    settings = {
        "server": {"port": 0, "drain": drain},
        "keys": {"master": KEY},
        "backends": {
            "c": {
                "kind": "workers_ai",
                "account_id": SIMULATED_ACCOUNT_ID,
                "api_token": SIMULATED_API_TOKEN,
                "base_url": f"{account}/client/v4",
            }
        },
    }
    (folder / "penstock.yaml").write_text(json.dumps(settings))
    with started(environ, folder, "serve", "--workers", str(workers)) as process:
        banner = read_until(process.stderr, "models ")
        url = re.search(r"base_url +(\S+)/v1", banner)
        assert url, banner
        yield Workers(process, url[1])


@pytest.fixture
def workers(
    environment: Mapping[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
) -> Iterator[Workers]:
    with _serving(environment, tmp_path, serve_app(Simulator())) as workers:
        yield workers


def test_all_workers_answer_on_one_port_and_their_counts_are_added_up(workers: Workers) -> None:
    assert len(workers.pids()) == 3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: workers.chat(stream=bool(number % 2)), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    _await(lambda: _chats(workers) == 40, "the counting of the last one")
    assert [_chats(workers) for _ in range(6)] == [40] * 6  # whichever is asked, it tells of all
    code, _out, errors = finish(workers.process, signal.SIGTERM)
    assert code == 0, errors
    assert "Traceback" not in errors


def test_no_counter_falls_when_workers_die_again_and_again(workers: Workers) -> None:
    before: dict[tuple[str, ...], float] = {}
    for _ in range(4):
        for _ in range(6):
            with suppress(httpx.HTTPError):  # what the one that is killed was about to answer
                workers.chat()
        shown = workers.counters()
        assert {name: value for name, value in before.items() if shown.get(name, 0) < value} == {}
        before = shown
        os.kill(workers.pids()[0], signal.SIGKILL)
        _await(lambda: _scraped(workers), "a scrape after a death")
    _await(lambda: len(workers.pids()) == 3, "the restart")
    shown = workers.counters()
    assert {name: value for name, value in before.items() if shown.get(name, 0) < value} == {}
    assert shown["penstock_worker_restarts_total",] == 4
    _code, _out, errors = finish(workers.process, signal.SIGTERM)
    assert errors.count("ended with signal SIGKILL; it is started again") == 4


def _chats(workers: Workers) -> float:
    counters = workers.counters().items()
    chats = {name: value for name, value in counters if name[0] == "penstock_requests_total"}
    return sum(value for name, value in chats.items() if MODEL in str(name))


def _shows_all(workers: Workers, before: dict[tuple[str, ...], float]) -> bool:
    """Whether a scrape comes, with no counter lower than before."""
    with suppress(httpx.TimeoutException), workers.client() as client:
        text = client.get("/metrics", timeout=2).text
        return all(name[0].removesuffix("_total") in text for name in before)
    return False


def _scraped(workers: Workers) -> bool:
    with suppress(httpx.HTTPError, AssertionError):
        return bool(workers.counters())
    return False


def test_a_worker_that_hangs_leaves_the_others_and_the_metrics_alone(workers: Workers) -> None:
    assert workers.chat().status_code == 200
    before = workers.counters()
    stuck = workers.pids()[0]
    os.kill(stuck, signal.SIGSTOP)
    try:
        with workers.client() as client:
            answered = 0
            for _ in range(12):  # the kernel gives some connections to the one that hangs
                with suppress(httpx.TimeoutException):
                    answered += client.get("/healthz", timeout=0.5).status_code == 200
            assert answered >= 4
        _await(lambda: _shows_all(workers, before), "a scrape without the one that hangs")
    finally:
        os.kill(stuck, signal.SIGCONT)


def test_a_drain_ends_streams_and_refuses_new_connections(
    environment: Mapping[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
) -> None:
    account = serve_app(Simulator())
    with _serving(environment, tmp_path, account, workers=2) as workers:
        with workers.client() as client:
            body = {
                "model": "@cf/simulator/slow-chunks.50",
                "messages": [{"role": "user", "content": "Tell me a long story."}],
                "stream": True,
            }
            with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                lines = answer.iter_lines()
                next(lines)
                workers.process.send_signal(signal.SIGTERM)
                port = int(workers.url.rpartition(":")[2])
                _await(lambda: not _connects(port), "the refusal of new connections")
                rest = list(lines)
        assert rest[-2] == "data: [DONE]"
        _out, errors = workers.process.communicate(timeout=LIMIT)
        assert workers.process.returncode == 0, errors


def _connects(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_workers_whose_parent_is_killed_end_by_themselves(workers: Workers) -> None:
    pids = workers.pids()
    workers.process.kill()
    workers.process.wait()
    _await(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the end of the workers")


def test_workers_that_cannot_start_end_everything_with_their_words(
    environment: Mapping[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import os, sys\nif 'gateway.cli.workers' in ' '.join(sys.orig_argv): os._exit(7)\n")
    environ = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    (tmp_path / "penstock.yaml").write_text(
        json.dumps(
            {
                "keys": {"master": KEY},
                "backends": {"c": {"kind": "workers_ai", "account_id": "a", "api_token": "t"}},
            }
        )
    )
    with started(environ, tmp_path, "serve", "--port", "0", "--workers", "2") as process:
        _out, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert "ended with exit code 7 before it answered" in errors
    assert "Traceback" not in errors


def test_secrets_reach_workers_by_no_argument_and_no_variable(workers: Workers) -> None:
    for pid in workers.pids():
        for place in ("cmdline", "environ"):
            told = _of(pid, place)
            assert KEY.encode() not in told
            assert SIMULATED_API_TOKEN.encode() not in told
