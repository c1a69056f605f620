"""The parent of several workers: starts them, starts them again, adds up what they count, and ends them.

It answers no request, so that whatever befalls a worker it goes on. Of each worker it keeps the counts that
were shown last, and of dead ones the sum, so that a counter never falls when one dies.
"""

import asyncio
import logging
import pickle
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from gateway.app import State
from gateway.cli.server import LAST_WORDS_SECONDS
from gateway.cli.workers.channel import Begin, Channel, Failed, Gather, Gathered, Message, Ready, Tell, Told
from gateway.settings import Settings
from gateway.tallies import Counts, decode, encode, of_the_dead, together

_START: Final = 60.0  # seconds in which a worker must answer at first
_GATHER: Final = 0.8  # seconds that a scrape waits for the counts of the others
_LOOK: Final = 2.0  # seconds between two signs of life that are asked for
_STUCK: Final = 5.0  # without one for so long, the log says so
_LONGEST_PAUSE: Final = 5.0  # seconds before a worker that dies again and again is started again
_STEADY: Final = 10.0  # one that lived so long is started again at once
_RESTARTS: Final = "penstock_worker_restarts_total"

_logger: Final = logging.getLogger("penstock")


class WorkersError(Exception):
    """The workers cannot start; the text says why."""


@dataclass(slots=True, eq=False)
class _Worker:
    """One running worker."""

    process: asyncio.subprocess.Process
    channel: Channel
    started: float
    heard: float
    shown: bytes | None = None  # its counts, as they were shown last
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    words: str = ""  # why it cannot start
    is_stuck: bool = False


class Parent:
    """Keeps the workers of one listening socket.

    Args:
        settings: What they serve with.
        master_key: The operator's key, where there is one.
        state: Where shared state is kept.
        listener: What they listen on.
    """

    def __init__(
        self, settings: Settings, master_key: str | None, state: State, listener: socket.socket
    ) -> None:
        # Nobody but us writes what a worker unpickles.
        self._begin = Begin(pickle.dumps(settings), master_key, state.url, state.pepper)
        self._count = settings.server.workers
        self._drain = settings.server.drain
        self._listener = listener
        self._workers: set[_Worker] = set()
        self._dead = Counts([], {}, workers=0)
        self._restarts = 0
        self._ending = asyncio.Event()
        self._waiting: dict[_Worker, asyncio.Event] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._first: list[asyncio.Future[None]] = []

    async def start(self) -> None:
        """Start all workers, and wait until they answer.

        Raises:
            WorkersError: One cannot start.
        """
        loop = asyncio.get_running_loop()
        self._first = [loop.create_future() for _ in range(self._count)]
        self._keepers = [asyncio.create_task(self._keep(first)) for first in self._first]
        self._keepers.append(asyncio.create_task(self._look()))
        try:
            async with asyncio.timeout(_START):
                await asyncio.gather(*self._first)
        except TimeoutError:
            raise WorkersError(f"a worker did not answer within {_START:g} s") from None

    def pass_on(self, number: int) -> None:
        """End: take no more connections, and pass the signal on."""
        self._ending.set()
        self._listener.close()
        for worker in list(self._workers):
            with suppress(ProcessLookupError):
                worker.process.send_signal(number)

    async def stop(self) -> None:
        """End all workers, those that do not end in time by force."""
        if not self._ending.is_set():
            self.pass_on(signal.SIGTERM)
        processes = [worker.process for worker in self._workers]
        if processes:
            ends = [asyncio.create_task(process.wait()) for process in processes]
            await asyncio.wait(ends, timeout=self._drain + 3 * LAST_WORDS_SECONDS)
            for process in processes:
                if process.returncode is None:
                    process.kill()
            await asyncio.wait(ends)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, *self._first, return_exceptions=True)

    async def _keep(self, first: asyncio.Future[None]) -> None:
        """Keep one place filled, and let nobody wait in vain where that fails by a mistake of ours."""
        try:
            await self._fill(first)
        except Exception as error:
            _logger.exception("A worker's place stays empty.")
            if not first.done():
                first.set_exception(error)

    async def _fill(self, first: asyncio.Future[None]) -> None:
        pause = 0.0
        while True:
            worker = await self._spawn()
            await self._serve(worker, first)
            code = await worker.process.wait()
            self._bury(worker)
            if self._ending.is_set():
                if not first.done():
                    first.set_result(None)
                return
            if not first.done():
                words = worker.words or f"a worker ended with {_how_it_ended(code)} before it answered"
                first.set_exception(WorkersError(words))
                return
            lived = monotonic() - worker.started
            pause = 0.0 if lived > _STEADY else min(_LONGEST_PAUSE, 2 * pause or 0.25)
            ended = _how_it_ended(code)
            _logger.error("Worker %d ended with %s; it is started again.", worker.process.pid, ended)
            self._restarts += 1
            await asyncio.sleep(pause)
            if self._ending.is_set():
                return

    async def _spawn(self) -> _Worker:
        mine, its = socket.socketpair()
        with its:
            fds = (self._listener.fileno(), its.fileno())
            # In a session of its own: Ctrl-C in a terminal goes to the parent alone, which passes it on once.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from gateway.cli.workers.worker import main; main()",
                *map(str, fds),
                pass_fds=fds,
                start_new_session=True,
            )
        channel = await Channel.over(mine)
        channel.send(self._begin)
        now = monotonic()
        worker = _Worker(process, channel, started=now, heard=now)
        self._workers.add(worker)
        return worker

    async def _serve(self, worker: _Worker, first: asyncio.Future[None]) -> None:
        """Hear a worker until it is gone."""
        while (message := await worker.channel.receive()) is not None:
            worker.heard = monotonic()
            if isinstance(message, Ready) and not first.done():
                first.set_result(None)
            self._hear(worker, message)

    def _hear(self, worker: _Worker, message: Message) -> None:
        match message:
            case Ready():
                worker.ready.set()
            case Failed(words):
                worker.words = words
            case Told(counts):
                worker.shown = counts
                if worker in self._waiting:
                    self._waiting.pop(worker).set()
            case Gather(number, counts):
                worker.shown = counts
                task = asyncio.create_task(self._gather(worker, number))
                self._keepers.append(task)
                task.add_done_callback(self._keepers.remove)
            case _:
                pass

    async def _gather(self, asking: _Worker, number: int) -> None:
        """Ask all others what they have counted, and tell the one that asked."""
        others = [worker for worker in self._workers if worker is not asking and worker.ready.is_set()]
        events = []
        for worker in others:
            events.append(self._waiting.setdefault(worker, asyncio.Event()))
            worker.channel.send(Tell())
        with suppress(TimeoutError):
            async with asyncio.timeout(_GATHER):
                await asyncio.gather(*(event.wait() for event in events))
        counts = [worker.shown for worker in self._workers if worker.shown is not None]
        asking.channel.send(Gathered(number, [self._of_the_dead(), *counts]))

    def _of_the_dead(self) -> bytes:
        restarts: list[tuple[tuple[str, ...], float]] = [((), self._restarts)]
        counters = {**self._dead.counters, _RESTARTS: restarts}
        return encode(Counts(self._dead.tallies, counters, workers=0))

    def _bury(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        self._waiting.pop(worker, asyncio.Event()).set()
        if worker.shown is not None:
            counts = of_the_dead(decode(worker.shown))
            counts.counters.pop(_RESTARTS, None)
            self._dead = together([self._dead, counts])

    async def _look(self) -> None:
        """Say of workers that answer nothing any more; whether to end them is for people to decide."""
        while True:
            await asyncio.sleep(_LOOK)
            for worker in self._workers:
                silent = monotonic() - worker.heard
                if silent > _STUCK and not worker.is_stuck:
                    _logger.error("Worker %d has not answered for %.0f s.", worker.process.pid, silent)
                worker.is_stuck = silent > _STUCK
                if worker.ready.is_set():
                    worker.channel.send(Tell())


def _how_it_ended(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
