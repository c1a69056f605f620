"""A `penstock serve` with several workers, as real processes, before a simulated account."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN
from tests.cli.test_processes import read_until, started

KEY = "sk-master-0123456789abcdef"
MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
SLOW = "@cf/simulator/slow-chunks.40"
LIMIT = 30.0

Counters = dict[tuple[str, ...], float]


@dataclass
class Workers:
    """A running parent with its workers."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def pids(self) -> list[int]:
        """The workers' process ids."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"workers.worker" in told_of(int(pid), "cmdline")]

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {KEY}", "connection": "close"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=LIMIT)

    def chat(self, **fields: Any) -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/chat/completions", json=asks("Hi", **fields))

    @contextmanager
    def streaming(self) -> Iterator[Iterator[str]]:
        """The lines of a stream that takes seconds, the first of which has come."""
        body = asks("Count to 20.", model=SLOW, stream=True)
        with self.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            yield lines

    def page(self) -> str:
        """The metrics."""
        with self.client() as client:
            answer = client.get("/metrics")
        assert answer.status_code == 200, answer.text
        return answer.text

    def counters(self) -> Counters:
        """All counters' series."""
        return counters_in(self.page())

    def chats(self) -> float:
        """How many chats are counted."""
        return sum(
            value
            for name, value in self.counters().items()
            if name[0] == "penstock_requests_total" and "operation=chat" in name
        )

    def gauge(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", self.page(), re.MULTILINE)
        assert found
        return float(found[1])

    def connects(self) -> bool:
        """Whether a new connection is taken, if only by the kernel."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def ended(self) -> tuple[int, str]:
        """The parent's exit code, once it has ended, and what it has said."""
        _out, errors = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, errors


def asks(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def counters_in(page: str) -> Counters:
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        if family.type in {"counter", "histogram"}
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def fallen(before: Counters, now: Counters) -> dict[tuple[str, ...], tuple[float, float]]:
    """Counters that are lower than before, or gone."""
    return {name: (value, now.get(name, 0.0)) for name, value in before.items() if now.get(name, 0.0) < value}


def told_of(pid: int, place: str) -> bytes:
    """What the system tells of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/{place}").read_bytes()
    return b""


def until(happened: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < end, f"{what} did not happen within {LIMIT} s"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def settings_for(account: str, **server: Any) -> dict[str, Any]:
    return {
        "server": {"port": 0, **server},
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


@contextmanager
def serving(
    environ: Mapping[str, str], folder: Path, account: str, *, workers: int = 3, drain: float = 20
) -> Iterator[Workers]:
    (folder / "penstock.yaml").write_text(json.dumps(settings_for(account, drain=drain)))
    with started(environ, folder, "serve", "--workers", str(workers)) as process:
        banner = read_until(process.stderr, "models ")
        url = re.search(r"base_url +(\S+)/v1", banner)
        assert url, banner
        running = Workers(process, url[1])
        pids = running.pids()
        yield running
    for pid in pids:  # whose parent has been killed, at the latest by now
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)  # one that is stopped cannot end
    until(lambda: all(map(is_gone, pids)), "the end of all workers")
