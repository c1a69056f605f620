"""The servers of a measurement: each a process of its own, pinned to a core, ended by its own id."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import works
from tests.bench.load import Address, Amount, send

START_SECONDS = 90  # LiteLLM alone on one core needs half a minute
STOP_SECONDS = 10


class UnavailableError(Exception):
    """Something cannot be had on this machine; the text is the reason."""


@dataclass(frozen=True)
class Command:
    """How to start a server, and where it will listen: at port 0 until it prints `port N` on a line."""

    arguments: list[str]
    address: Address
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server that runs and answers."""

    name: str
    version: str
    pid: int
    address: Address


def free_port() -> int:
    """A loopback port that nothing listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def folder() -> Iterator[Path]:
    """A place for a server's configuration, logs and state."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        yield Path(name)


@contextmanager
def running(name: str, version: str, command: Command, place: Path, core: int) -> Iterator[Server]:
    """Run a server on a core until the block ends; it has answered a chat before the block begins."""
    log = place / f"{name}.log"
    with started(command, place, log, core) as process:
        yield Server(name, version, process.pid, _await_answer(name, process, command.address, log))


@contextmanager
def started(command: Command, place: Path, log: Path, core: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server on a core, wait for nothing, and end it with the block."""
    process = _start(command, place, log, core)
    try:
        yield process
    finally:
        _stop(process)


def _start(command: Command, place: Path, log: Path, core: int) -> subprocess.Popen[bytes]:
    # A bare environment: no proxies, no credentials, and HOME where the server may write.
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {**kept, "HOME": str(place), **command.environment}
    own_cores = os.sched_getaffinity(0)
    with log.open("wb") as output:
        os.sched_setaffinity(0, {core})  # a child inherits it before it starts a thread
        try:
            return subprocess.Popen(
                command.arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(f"cannot run {command.arguments[0]}: {error.strerror}") from error
        finally:
            os.sched_setaffinity(0, own_cores)


def _await_answer(name: str, process: subprocess.Popen[bytes], address: Address, log: Path) -> Address:
    end = time.monotonic() + START_SECONDS
    while True:
        address = address if address.port else replace(address, port=_printed_port(log))
        fault = send(address, works.CHAT, Amount(connections=1, each=1)).fault if address.port else "no port"
        if fault is None:
            return address
        if process.poll() is not None:
            raise UnavailableError(f"{name} ended with status {process.returncode}: {_tail(log)}")
        if time.monotonic() > end:
            raise UnavailableError(f"{name} gave no answer within {START_SECONDS} s ({fault}): {_tail(log)}")
        time.sleep(0.1)


def _printed_port(log: Path) -> int:
    found = re.search(r"^port (\d+)$", log.read_text(errors="replace"), re.MULTILINE)
    return int(found[1]) if found else 0


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return " | ".join(line.strip() for line in lines if line.strip())[-600:] or "it printed nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started: they are one process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=STOP_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
