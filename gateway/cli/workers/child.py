"""One worker as its parent sees it: a process, the channel to it, and what it has left unanswered."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Final

import msgspec

from gateway.cli.workers.channel import (
    Begin,
    Channel,
    ChannelError,
    Failed,
    Gather,
    Message,
    Ready,
    Tell,
    Told,
)

LATE: Final = 1.0  # seconds after which an answer is late; until it comes nothing more is asked
_STUCK: Final = 5.0  # so late, the log says so
_LEAVE: Final = 5.0  # seconds in which a process ends that has closed its channel
_REST: Final = 1.0  # seconds in which what an ended process has still said is read

_logger: Final = logging.getLogger("penstock")


class Child:
    """One worker.

    Attributes:
        place: The number of its place among the workers.
        ready: Set when it answers requests.
    """

    def __init__(self, place: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.place = place
        self.ready = asyncio.Event()
        self._words = ""  # why it cannot start, where it has said so
        self._process = process
        self._channel = channel
        self._questions: dict[int, asyncio.Future[None]] = {}
        self._asked = 0
        self._since = 0.0  # when the oldest question was asked that is still open
        self._is_stuck = False

    @classmethod
    async def spawn(cls, place: int, listeners: Sequence[socket.socket], begin: Begin) -> "Child":
        """Start one.

        Raises:
            OSError: The system has no room for it.
        """
        mine, its = socket.socketpair()
        with its, ExitStack() as stack:
            # Copies of its own: the parent may close the sockets while this waits.
            copies = [stack.enter_context(listener.dup()) for listener in listeners]
            fds = [each.fileno() for each in (*copies, its)]
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # what lies in the folder where somebody calls `penstock` is not to be imported
                    "-c",
                    "from gateway.cli.workers.worker import main; main()",
                    *map(str, fds),
                    pass_fds=fds,
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,  # a terminal's Ctrl-C is for the parent, which passes it on
                )
            except OSError:
                mine.close()
                raise
        child = cls(place, process, await Channel.over(mine))
        child.send(begin)
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Tell it something."""
        self._channel.send(message)

    def kill(self) -> None:
        """End it by force."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def ask(self) -> asyncio.Future[None] | None:
        """Ask what it has counted; done when it has told. None where it is late already."""
        if self._silence() > LATE:
            return None
        self._asked += 1
        if not self._questions:
            self._since = monotonic()
        answer = self._questions[self._asked] = asyncio.get_running_loop().create_future()
        self.send(Tell(self._asked))
        return answer

    def look(self) -> None:
        """Ask for a sign of life, and say once of a worker that gives none for long.

        Whether to end it is for people to decide: what it is busy with may be worth more than its end.
        """
        silence = self._silence()
        if silence > _STUCK and not self._is_stuck:
            self._is_stuck = True
            _logger.error(
                "Worker %d has not answered for %.0f s: its event loop is held up. The others go on serving.",
                self.pid,
                silence,
            )
        self.ask()

    async def live(self, told: Callable[["Child", Told | Gather], None]) -> str:
        """Hear it until it ends; tells how it did, in words."""
        hearing = asyncio.create_task(self._hear(told))
        ended = asyncio.create_task(self._process.wait())
        await asyncio.wait({hearing, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await asyncio.wait({ended}, timeout=_LEAVE)
            self.kill()
        code = await ended
        await asyncio.wait({hearing}, timeout=_REST)
        hearing.cancel()
        await self._channel.close()
        self._answered(self._asked)
        early = "" if self.ready.is_set() else " before it answered"
        return self._words or f"Worker {self.pid} ended with {_how_it_ended(code)}{early}"

    async def _hear(self, told: Callable[["Child", Told | Gather], None]) -> None:
        try:
            while (message := await self._channel.receive()) is not None:
                self._take(message, told)
        except (ChannelError, msgspec.DecodeError) as error:
            _logger.error(  # noqa: TRY400 - where it was found says nothing
                "Worker %d says what its parent does not understand (%s), and is ended. If Penstock was "
                "upgraded, start it again.",
                self.pid,
                error,
            )
            self.kill()

    def _take(self, message: Message, told: Callable[["Child", Told | Gather], None]) -> None:
        match message:
            case Ready():
                self.ready.set()
            case Failed(words):
                self._words = words
            case Told(number):
                told(self, message)
                self._answered(number)
            case Gather():
                told(self, message)
            case _:
                raise ChannelError(type(message).__name__)

    def _answered(self, number: int) -> None:
        silence = self._silence()
        for each in [each for each in self._questions if each <= number]:
            answer = self._questions.pop(each)
            if not answer.done():
                answer.set_result(None)
        if self._is_stuck and not self._questions:
            self._is_stuck = False
            _logger.warning("Worker %d answers again, after %.0f s.", self.pid, silence)

    def _silence(self) -> float:
        """Seconds for which it has left a question open."""
        return monotonic() - self._since if self._questions else 0.0


def _how_it_ended(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
