"""A server of our own, where no `redis_url` is set: the same scripts run on a laptop and in a fleet.

It listens on a Unix socket only, and keeps an append-only file in `data_dir` which any server from 7.0 on
reads. Two locks guard that. Whoever holds `lock` owns the server; a gateway that comes second uses the first
one's, and takes over when that ends. The server itself holds `server.lock` as long as it lives, so a second
one is never started on the same file: one that outlived its owner is adopted, and one that hangs is told of.

The server ends with its owner: in order, or by the kernel's hand where there is one for that (Linux). macOS
has none; there a server outlives an owner that was killed, and the next start adopts it.
"""

import asyncio
import hashlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from stat import S_ISDIR
from subprocess import DEVNULL
from time import monotonic
from typing import Any, Final, Literal
from urllib.parse import quote

from redis.exceptions import BusyLoadingError, RedisError

from gateway.store.addresses import read
from gateway.store.flaws import facts_of
from gateway.store.lines import ask_once, packed
from gateway.store.programs import EmbeddedError, ending_with_us, find_program

if sys.platform != "win32":
    import fcntl

_START: Final = 20.0  # seconds in which it must answer, if only that it still reads its data
_END: Final = 10.0
_ANSWER: Final = 1.0
_LOOK: Final = 0.25
_SOON: Final = 0.01
_REST: Final = 1.0  # seconds before a server that would not start is started again, and at most
_LONGEST_REST: Final = 30.0
_LONGEST_PATH: Final = 103  # bytes of a Unix socket's path: 104 on macOS with the end mark, 108 on Linux

_State = Literal["answers", "loads", "silent"]

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
            yield f"unix://{quote(str(server.socket))}"
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        await server.stop()


class _Server:
    def __init__(self, data_dir: Path, appendfsync: str) -> None:
        self._kept = data_dir.absolute() / "store"
        self._appendfsync = appendfsync
        self._process: asyncio.subprocess.Process | None = None
        self._adopted = 0  # the process id of one that we did not start
        self._lock: FileIO | None = None
        self.socket = _run_dir(data_dir) / "valkey.sock"

    async def start(self) -> None:
        if sys.platform == "win32":
            raise EmbeddedError("there is no server of our own for Windows: set redis_url")
        self._make_folders()
        end = monotonic() + _START
        while not self._take_lock():
            self.socket = self._others_socket() or self.socket
            if await self._state() == "answers":
                return
            if monotonic() > end:
                raise EmbeddedError(
                    f"another process holds {self._kept / 'lock'}, and its store does not answer at "
                    f"{self.socket}: end it, or choose another data_dir"
                )
            await asyncio.sleep(_LOOK)
        await self._have_server()

    async def watch(self) -> None:
        """Start it again when it dies; take it over when its owner does."""
        rest = _REST
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self._look()
                rest = _REST
            except EmbeddedError as error:
                _logger.error("%s", error)  # noqa: TRY400 - the text is all there is to say
                await asyncio.sleep(rest)
                rest = min(_LONGEST_REST, 2 * rest)

    async def stop(self) -> None:
        """End the server if it is ours, with all that it has been told on disk."""
        if self._lock is None:
            return
        if self._process is not None or self._adopted:
            with suppress(OSError, RedisError):  # it ends before it would answer
                await _ask(self.socket, packed("SHUTDOWN"))
            await self._end()
        with suppress(OSError):
            self.socket.unlink(missing_ok=True)
            self.socket.parent.rmdir()
        self._lock.close()

    async def _look(self) -> None:
        if self._lock is None:
            if await self._state() != "silent" or not self._take_lock():
                return
            _logger.warning("The gateway that ran the store's server ended; this one runs it now.")
        elif self._process is not None and self._process.returncode is None:
            if self.socket.exists():
                return
            _logger.error("The store's socket %s was removed; its server is started again.", self.socket)
            self._process.terminate()
            await self._end()
        elif self._process is not None:
            _logger.error("The store's server ended (%s); it is started again.", self._process.returncode)
        elif await self._state() != "silent":
            return
        self._process = None
        await self._have_server()

    async def _end(self) -> None:
        """Wait until it has ended, and end it at once if it does not."""
        end = monotonic() + _END
        while (running := self._running()) and monotonic() < end:  # noqa: ASYNC110 - nobody tells of an adopted one
            await asyncio.sleep(_SOON)
        if running:
            with suppress(ProcessLookupError):
                os.kill(running, signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    def _running(self) -> int:
        """The process id of our server; 0 where it has ended."""
        if self._process is not None:
            return self._process.pid if self._process.returncode is None else 0
        free = _locked(self._kept / "server.lock")
        if free is not None:
            free.close()
        return 0 if free is not None else self._adopted

    def _make_folders(self) -> None:
        if len(os.fsencode(self.socket)) > _LONGEST_PATH:
            raise EmbeddedError(
                f"the path {self.socket} is too long for a Unix socket: set XDG_RUNTIME_DIR or TMPDIR to a "
                "short folder, or set redis_url"
            )
        try:
            self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EmbeddedError(
                f"cannot keep the store in {self._kept}: {error.strerror}; set data_dir or redis_url"
            ) from None
        _make_private(self.socket.parent)

    def _take_lock(self) -> bool:
        """Become the owner, and write for others where the socket is."""
        lock = _locked(self._kept / "lock")
        if lock is None:
            return False
        self._lock = lock
        try:
            lock.truncate(0)
            lock.write(os.fsencode(self.socket))
        except OSError as error:
            raise _unwritable(self._kept, error) from None
        return True

    def _others_socket(self) -> Path | None:
        """Where the owner has its socket, whose environment may be another than ours."""
        with suppress(OSError):
            if told := (self._kept / "lock").read_bytes():
                return Path(os.fsdecode(told))
        return None

    async def _have_server(self) -> None:
        """Start one, unless one lives on our data: then wait for that to answer or to end."""
        end = monotonic() + _START
        while (state := await self._state()) != "answers":
            free = _locked(self._kept / "server.lock")
            if free is not None:
                with free:
                    await self._run(free.fileno())
                return
            if state == "silent" and monotonic() > end:
                raise EmbeddedError(
                    f"a server that was started earlier works on {self._kept} and does not answer: end the "
                    f"process {_first_word(self._kept / 'server.pid')}, or choose another data_dir"
                )
            await asyncio.sleep(_SOON)
        await self._adopt()

    async def _adopt(self) -> None:
        commands = packed("INFO", "server"), packed("CONFIG", "SET", "appendfsync", self._appendfsync)
        try:
            told, _done = await _ask(self.socket, *commands)
            self._adopted = int(facts_of(told)["process_id"])
        except (OSError, RedisError):
            self._adopted = 0  # it has ended just now, which the next look finds

    async def _run(self, lock: int) -> None:
        """Start the server, which holds the lock from then on, and wait until it answers."""
        program = find_program()
        _make_private(self.socket.parent)
        log = self._kept / "server.log"
        self._adopted = 0
        try:
            self.socket.unlink(missing_ok=True)
            with log.open("ab") as said:
                self._process = process = await asyncio.create_subprocess_exec(
                    *ending_with_us(program),
                    *self._options(log),
                    stdin=DEVNULL,
                    stdout=said,
                    stderr=said,
                    pass_fds=(lock,),
                    start_new_session=True,  # a terminal's Ctrl-C is for us: what runs still needs the store
                )
        except OSError as error:
            raise EmbeddedError(f"the store's server {program} cannot be started: {error}") from None
        end = monotonic() + _START
        while (state := await self._state()) != "answers":
            if process.returncode is not None or (state == "silent" and monotonic() > end):
                ended = "does not answer" if process.returncode is None else f"ended ({process.returncode})"
                raise EmbeddedError(f"the store's server {ended} at its start: {_last_line(log)} (in {log})")
            await asyncio.sleep(_SOON)

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
            "pidfile": str(self._kept / "server.pid"),
            "daemonize": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    async def _state(self) -> _State:
        """Whether a server is there that keeps its data where we do."""
        if not self.socket.exists():
            return "silent"
        try:
            (_name, kept), _pong = await _ask(self.socket, packed("CONFIG", "GET", "dir"), packed("PING"))
        except BusyLoadingError:
            return "loads"
        except (OSError, RedisError):
            return "silent"
        return "answers" if Path(os.fsdecode(kept)) == self._kept.resolve() else "silent"


def _locked(path: Path) -> FileIO | None:
    """The file with an exclusive lock on it; None where somebody else has that."""
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(path.parent, error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:  # a network's file system may have no locks
        file.close()
        raise EmbeddedError(f"cannot lock {path}: {error.strerror}; set data_dir or redis_url") from None
    return file


def _unwritable(folder: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(f"cannot write in {folder}: {error.strerror}; set data_dir or redis_url")


def _make_private(folder: Path) -> None:
    """Make a folder that only we can enter, also where anybody may put folders beside it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise EmbeddedError(
            f"cannot have the store's socket in {folder}: {error.strerror}; set XDG_RUNTIME_DIR or TMPDIR to "
            "a folder of yours, or set redis_url"
        ) from None
    if not S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{folder} is not ours alone, so the store's socket would not be safe there: remove it, or set "
            "XDG_RUNTIME_DIR to a folder of yours"
        )


def _run_dir(data_dir: Path) -> Path:
    """A short folder for the socket, of this user and this data_dir alone."""
    name = f"penstock-{os.getuid()}-{hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]}"
    ours = os.environ.get("XDG_RUNTIME_DIR", "")  # under sudo it may be another user's
    if os.access(ours, os.W_OK | os.X_OK):
        return Path(ours) / name
    try:
        return Path(tempfile.gettempdir()) / name
    except FileNotFoundError:  # as in a container that can write in data_dir alone
        return data_dir.absolute() / "store" / "run"


async def _ask(socket: Path, *commands: bytes) -> list[Any]:
    return await ask_once(read(f"unix://{quote(str(socket))}").connection(None), _ANSWER, *commands)


def _first_word(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return "that holds its lock"


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()
        told = [line for line in lines if line.strip() and "WARNING" not in line]  # those are of every start
        if told:
            return told[-1].partition(" # ")[2][:300] or told[-1][:300]
    return "it said nothing"
