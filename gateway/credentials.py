"""The credentials that backends gave us: read from where the settings say, and again when they change there.

A file is looked at every second, a command is run again when its time is up and when the backend refuses what
it last printed. What cannot be read leaves the old credential in use, and the log says so. Of several
credentials each takes its turn; one that the backend refuses is set aside for a minute. Limits of requests
and of the daily allocation are the account's, not the token's, so another one would gain nothing there.

Nothing here ever shows a credential: not in a log, not in an error, not in what a command says about itself.
"""

import asyncio
import logging
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from gateway.settings import VISIBLE_ASCII, CredentialSource

_LOOK: Final = 1.0  # seconds between two looks at files and clocks
_ASIDE: Final = 60.0
_COMMAND: Final = 10.0  # seconds that a command may take
_LEAST_PAUSE: Final = 1.0  # before a command that failed or was refused is run again; then twice as long
_LONGEST_PAUSE: Final = 60.0
_MOST: Final = 64 * 1024  # bytes of a file or an output; more is no credential

_logger: Final = logging.getLogger("penstock")


class _UnreadableError(Exception):
    """A credential cannot be read; the text says why, and nothing of what was read."""


@dataclass(slots=True)
class _Held:
    """One credential: where it comes from, what it is now, and when to look again."""

    source: CredentialSource | None
    value: str | None = None
    seen: tuple[int, int, int] | None = None  # of the file: inode, time of change, size
    due: float = 0.0
    pause: float = _LEAST_PAUSE
    aside_until: float = 0.0
    running: bool = False
    flaw: str = ""


@dataclass(slots=True)
class Credentials:
    """All credentials of one backend.

    Attributes:
        backend: Its name, for the log.
        read: Told of each reading: whether it gave a credential.
        environ: The environment.
        clock: Monotonic seconds.
    """

    backend: str
    read: Callable[[str, str], None] = lambda _backend, _outcome: None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], float] = monotonic
    _held: list[_Held] = field(default_factory=list)
    _turn: int = 0

    def add(self, token: str | None, sources: Sequence[CredentialSource]) -> "Credentials":
        """Take those of a backend's settings: a token that stands there, or where some are."""
        self._held += [_Held(None, token)] if token is not None else map(_Held, sources)
        for held in self._held:
            self._look(held)
        return self

    def take(self) -> str | None:
        """The credential whose turn it is; None where there is none that may work."""
        held, count = self._held, len(self._held)
        if count == 1:
            return held[0].value
        now = self.clock()
        usable = [each for each in held if each.value is not None]
        fine = [each for each in usable if each.aside_until <= now] or usable
        if not fine:
            return None
        self._turn += 1
        return fine[self._turn % len(fine)].value

    def refused(self, value: str) -> bool:
        """The backend refuses a credential: set it aside. Whether another may work."""
        now = self.clock()
        for held in self._held:
            if held.value == value:
                held.aside_until = now + _ASIDE
                if held.source is not None and held.source.exec is not None and not held.running:
                    held.due = min(held.due, now + held.pause)
                    held.pause = min(_LONGEST_PAUSE, 2 * held.pause)
        return any(each.value is not None and each.aside_until <= now for each in self._held)

    @property
    def may_change(self) -> bool:
        """Whether there is anything to look at again."""
        return any(held.source is not None for held in self._held)

    async def load(self) -> None:
        """Run the commands for the first time."""
        commands = [(held, held.source.exec) for held in self._held if held.source and held.source.exec]
        await asyncio.gather(*(self._ask(held, command) for held, command in commands))

    async def run(self) -> None:
        """Look again, as long as the gateway runs."""
        async with asyncio.TaskGroup() as running:
            while True:
                for held in self._held:
                    self._look(held)
                    if held.source and held.source.exec and not held.running and self.clock() >= held.due:
                        held.running = True
                        running.create_task(self._ask(held, held.source.exec))
                await asyncio.sleep(_LOOK)

    def _look(self, held: _Held) -> None:
        """Read what is in the environment or in a file, where it has changed."""
        source = held.source
        try:
            if source is None:
                return
            if source.env is not None and held.value is None:
                self._got(held, _credential(self.environ.get(source.env, "")))
            elif source.file is not None:
                seen = _look_at(source.file)
                if seen != held.seen:
                    held.seen = seen
                    self._got(held, _credential(_read(source.file)))
        except _UnreadableError as flaw:
            self._failed(held, str(flaw))

    async def _ask(self, held: _Held, command: Sequence[str]) -> None:
        refresh = held.source.refresh if held.source else _LONGEST_PAUSE
        try:
            self._got(held, _credential(await _printed(command)))
            held.due, held.pause = self.clock() + refresh, _LEAST_PAUSE
        except _UnreadableError as flaw:
            self._failed(held, str(flaw))
            held.due = self.clock() + held.pause
            held.pause = min(_LONGEST_PAUSE, 2 * held.pause)
        finally:
            held.running = False

    def _got(self, held: _Held, value: str) -> None:
        if value != held.value:
            held.value, held.aside_until = value, 0.0
            self.read(self.backend, "new")
        held.flaw = ""

    def _failed(self, held: _Held, flaw: str) -> None:
        if flaw != held.flaw:  # once is enough, for it is looked at again and again
            kept = "the last one stays in use" if held.value is not None else "there is none from there"
            _logger.error("A credential of backend '%s' cannot be read: %s; %s.", self.backend, flaw, kept)
            self.read(self.backend, "failed")
        held.flaw = flaw


def _credential(text: str) -> str:
    value = text.strip()
    if not value:
        raise _UnreadableError("it is empty or not set")
    if len(value) > _MOST or not VISIBLE_ASCII.fullmatch(value):
        raise _UnreadableError("it is not one word of visible ASCII characters")
    return value


def _look_at(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()  # through links: Kubernetes swaps a link to replace a secret
    except OSError as error:
        raise _UnreadableError(f"{path}: {error.strerror}") from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST + 1).decode("latin-1")
    except OSError as error:
        raise _UnreadableError(f"{path}: {error.strerror}") from None


async def _printed(command: Sequence[str]) -> str:
    """What a command prints, if it ends well and in time."""
    name = re.sub(r"[^\w./-]", "?", command[0])
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    except OSError as error:
        raise _UnreadableError(f"the command {name} cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(_COMMAND):
            out, _nothing = await process.communicate()
    except TimeoutError:
        raise _UnreadableError(f"the command {name} took more than {_COMMAND:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise _UnreadableError(f"the command {name} ended with exit code {process.returncode}")
    return out.decode("latin-1")
