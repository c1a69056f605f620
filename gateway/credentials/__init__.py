"""The credentials that backends gave us: read from where the settings say, and again when they change there.

`sources` reads one from a variable or a file, `commands` runs what prints one; here they are kept, and each
has its turn.

A file is looked at every second. A command is run again when its time is up, and at once when the backend
refuses what it last printed: where that has not helped, after a pause that grows to a minute. What cannot be
read leaves the last credential in use, and the log says so.

One of several that the backend refuses goes behind the others for a minute, and one whose user has asked too
often for as long as the backend says: the request goes on with the next one. Workers AI's own limits, of
requests (3021) and of the daily allocation (4006), are the account's. Another credential gains nothing there,
and none is tried.

Nothing here ever shows a credential: not in a log, not in an error, not in what a command says about itself.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from gateway.credentials.commands import from_command
from gateway.credentials.sources import Seen, UnreadableError, from_environment, from_file, look_at
from gateway.settings import CredentialSource

_LOOK: Final = 1.0  # seconds between two looks at files and clocks
_ASIDE: Final = 60.0  # seconds for one that was refused
_REST: Final = 1.0  # the same for one that has asked too often, where nobody says for how long
_LEAST_PAUSE: Final = 1.0  # between two runs of a command that failed or whose credential was refused
_LONGEST_PAUSE: Final = 60.0

_logger: Final = logging.getLogger("penstock")


@dataclass(slots=True, eq=False)
class _Held:
    """One credential: where it comes from, what it is now, and when to look again."""

    source: CredentialSource | None
    value: str | None = field(default=None, repr=False)
    seen: Seen | None = None
    ran: float = float("-inf")  # when its command was last run
    due: float = float("-inf")  # when that is to be run again
    pause: float = _LEAST_PAUSE
    aside_until: float = float("-inf")
    doubted: bool = False  # whether the backend has refused it since it was read
    running: bool = False
    flaw: str = ""

    @property
    def command(self) -> tuple[str, ...] | None:
        return self.source.command if self.source is not None else None

    @property
    def refresh(self) -> float:
        return self.source.refresh if self.source is not None else float("inf")


class Credentials:
    """All credentials of one backend.

    Args:
        backend: Its name, for the log.
        read: Told of each reading: whether it gave a new credential.
        environ: The environment.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        backend: str,
        read: Callable[[str, str], None] = lambda _backend, _outcome: None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._backend = backend
        self._read = read
        self._environ = environ
        self._clock = clock
        self._held: list[_Held] = []
        self._ring: tuple[str, ...] = ()  # those that have their turn
        self._turn = 0
        self._wake = asyncio.Event()

    def add(self, given: Iterable[str | CredentialSource]) -> "Credentials":
        """Take those of a backend's settings: what stands there itself, or where to read it."""
        for each in given:
            self._held.append(_Held(None, each) if isinstance(each, str) else _Held(each))
        self.look()
        return self

    def take(self) -> str | None:
        """The credential whose turn it is; None where there is none."""
        ring = self._ring
        if not ring:
            return None
        self._turn = turn = (self._turn + 1) % len(ring)
        return ring[turn]

    @property
    def are_expected(self) -> bool:
        """Whether the settings name any: a server of one's own may ask for none."""
        return bool(self._held)

    def refused(self, value: str) -> bool:
        """The backend refuses a credential: it goes behind the others. Whether there is a better one."""
        now = self._clock()
        for held in self._held:
            if held.value == value:
                self._doubt(held, now)
        return self._leave(value, now, _ASIDE)

    def busy(self, value: str, seconds: float | None) -> bool:
        """The backend has been asked too often with a credential, which rests. Whether there is a better one.

        Args:
            value: The credential.
            seconds: How long it is to rest; None: the backend did not say.
        """
        return self._leave(value, self._clock(), _REST if seconds is None else seconds)

    def _leave(self, value: str, now: float, seconds: float) -> bool:
        for held in self._held:
            if held.value == value:
                held.aside_until = max(held.aside_until, now + seconds)
        self._arrange()
        return any(held.value is not None and held.aside_until <= now for held in self._held)

    @property
    def values(self) -> list[str | None]:
        """All of them, in the order of the settings; None for one that cannot be read."""
        return [held.value for held in self._held]

    @property
    def may_change(self) -> bool:
        """Whether there is anything to look at again."""
        return len(self._held) > 1 or any(held.source is not None for held in self._held)

    async def load(self) -> None:
        """Run the commands for the first time."""
        await asyncio.gather(*(self._ask(held, held.command) for held in self._held if held.command))

    async def run(self) -> None:
        """Look again, as long as the gateway runs."""
        async with asyncio.TaskGroup() as running:
            while True:
                self.look()
                for held in self._held:
                    if held.command and not held.running and self._clock() >= held.due:
                        held.running = True
                        running.create_task(self._ask(held, held.command))
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()
                self._wake.clear()

    def look(self) -> None:
        """Read what is new in the environment or in a file, and see who has stood aside for long enough."""
        for held in self._held:
            try:
                self._look_at(held)
            except UnreadableError as flaw:
                self._failed(held, str(flaw))
        self._arrange()

    def _look_at(self, held: _Held) -> None:
        source = held.source
        if source is None:
            return
        if source.env is not None and held.value is None:
            self._got(held, from_environment(self._environ, source.env))
        elif source.file is not None:
            seen = look_at(source.file)
            if seen != held.seen:
                held.seen = None  # where reading fails, for that may change without a sign
                self._got(held, from_file(source.file))
                held.seen = seen

    def _doubt(self, held: _Held, now: float) -> None:
        """Have the command run again that has printed a refused credential."""
        if held.command and not held.running:
            held.doubted = True
            held.due = min(held.due, max(now, held.ran + held.pause))
            if held.due <= now:
                self._wake.set()

    async def _ask(self, held: _Held, command: tuple[str, ...]) -> None:
        held.ran, before = self._clock(), held.value
        try:
            self._got(held, await from_command(command))
        except UnreadableError as flaw:
            self._failed(held, str(flaw))
        finally:
            held.running = False
        in_vain = bool(held.flaw) or (held.doubted and held.value == before)
        held.due = self._clock() + (held.pause if held.flaw else held.refresh)
        held.pause = min(_LONGEST_PAUSE, 2 * held.pause) if in_vain else _LEAST_PAUSE
        held.doubted = False

    def _got(self, held: _Held, value: str) -> None:
        if value != held.value:
            held.value, held.aside_until = value, float("-inf")
            self._arrange()
            self._read(self._backend, "new")
        held.flaw = ""

    def _failed(self, held: _Held, flaw: str) -> None:
        if flaw != held.flaw:  # once is enough, for it is looked at again and again
            kept = "the last one stays in use" if held.value is not None else "there is none from there"
            _logger.error("A credential of backend '%s' cannot be read: %s; %s.", self._backend, flaw, kept)
            self._read(self._backend, "failed")
        held.flaw = flaw

    def _arrange(self) -> None:
        """Give each its turn, but for those that stand aside while others do not."""
        now = self._clock()
        usable = [held for held in self._held if held.value is not None]
        fine = [held for held in usable if held.aside_until <= now] or usable
        self._ring = tuple(dict.fromkeys(held.value for held in fine if held.value is not None))
