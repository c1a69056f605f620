"""The parent of several workers: starts them, starts them again, adds up what they count, and ends them.

It answers no request, so that whatever befalls a worker it goes on. It is also the one that writes the
metrics: that takes tens of milliseconds of Python, which in a worker would hold up every stream, for a thread
beside the event loop shares its interpreter.
"""

import asyncio
import logging
import pickle
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, Final

from gateway.app import State
from gateway.cli import server
from gateway.cli.workers.channel import Begin, Drain, Gather, Gathered, Hurry, Told
from gateway.cli.workers.child import Child
from gateway.cli.workers.rounds import Rounds
from gateway.cli.workers.sums import Sums
from gateway.settings import Settings

_START: Final = 60.0  # seconds in which the workers must answer at first
_GATHER: Final = 0.5  # seconds that a scrape waits for counts; whoever is late is in it with older ones
_LOOK: Final = 1.0  # seconds between two signs of life, and what is lost at most of one that is killed
_LONGEST_PAUSE: Final = 5.0  # seconds before a worker that dies again and again is started again
_FIRST_PAUSE: Final = 0.25
_STEADY: Final = (
    10.0  # one that lived so long is started again at once, as is one that dies for the first time
)
# Seconds after which a worker that was told to end is ended by force: when its drain and last words are over.
_OVERDUE: Final = 3 * server.LAST_WORDS_SECONDS
_HURRIED: Final = 1.0  # the same where nothing is waited for

_logger: Final = logging.getLogger("penstock")


class WorkersError(Exception):
    """The workers cannot start; the text says why."""


@asynccontextmanager
async def running_workers(
    settings: Settings, master_key: str | None, state: State, listeners: Sequence[socket.socket]
) -> AsyncIterator[asyncio.Event]:
    """Keep the workers inside the block; the event it gives is set by the first signal.

    Args:
        settings: What they serve with, and how many they are.
        master_key: The operator's key, where there is one.
        state: Where shared state is kept.
        listeners: What they listen on.

    Raises:
        WorkersError: They cannot start.
    """
    if sys.platform == "win32":
        raise WorkersError("processes cannot share a socket on Windows: leave server.workers at 1")
    stop = asyncio.Event()
    # Nobody but us writes what a worker unpickles.
    begin = Begin(pickle.dumps(settings), master_key, state.url, state.pepper)
    parent = _Parent(begin, settings.server.workers, listeners)

    def on_signal(_number: int) -> None:
        if stop.is_set():
            parent.hurry()
        stop.set()
        parent.drain()

    with server.on_signals(on_signal):
        try:
            await parent.start()
            yield stop
        finally:
            await parent.stop(settings.server.drain + _OVERDUE)


class _Parent:
    """Keeps the workers of the same listening sockets, each in its place."""

    def __init__(self, begin: Begin, places: int, listeners: Sequence[socket.socket]) -> None:
        self._begin = begin
        self._listeners = listeners
        self._children: dict[int, Child] = {}  # by place
        self._sums = Sums(places)
        self._page = Rounds(self._write_page)
        self._draining = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._places = range(places)
        self._keepers: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all workers, and wait until they answer: one at first, so that what is wrong is told once.

        Raises:
            WorkersError: One cannot start.
        """
        self._spawn_task(self._look())
        try:
            async with asyncio.timeout(_START):
                await self._fill(self._places[:1])
                await self._fill(self._places[1:])
        except TimeoutError:
            raise WorkersError(f"the workers did not answer within {_START:g} s") from None

    def drain(self) -> None:
        """Take no more connections, and have the workers end when their answers have."""
        if self._draining.is_set():
            return
        self._draining.set()
        # The sockets are the workers' too: closed here alone they would let clients wait for one that hangs.
        # Shut down they refuse them, on Linux; elsewhere each worker closes its own.
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for child in self._children.values():
            child.send(Drain())

    def hurry(self) -> None:
        """Have the workers end at once."""
        self._hurrying.set()
        for child in self._children.values():
            child.send(Hurry())

    async def stop(self, patience: float) -> None:
        """End all workers, by force those that do not end in time."""
        self.drain()
        hurried = asyncio.create_task(self._hurrying.wait())
        gone = asyncio.create_task(self._all_gone())
        await asyncio.wait({hurried, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if hurried.done():
            await asyncio.wait({gone}, timeout=_HURRIED)
        for child in self._children.values():
            _logger.error("Worker %d did not end in time, and is ended by force.", child.pid)
            child.kill()
        await gone
        for task in (hurried, *self._tasks):
            task.cancel()
        await asyncio.gather(hurried, *self._tasks, return_exceptions=True)

    async def _all_gone(self) -> None:
        if self._keepers:
            await asyncio.wait(self._keepers)

    async def _fill(self, places: range) -> None:
        """Fill places for good, and wait until there is somebody in each of them."""
        filled = [asyncio.get_running_loop().create_future() for _ in places]
        for place, first in zip(places, filled, strict=True):
            self._keepers.add(asyncio.create_task(self._keep(place, first)))
        await asyncio.gather(*filled)

    async def _keep(self, place: int, first: asyncio.Future[None]) -> None:
        """Keep one place filled, and let nobody wait in vain where that fails by a mistake of ours."""
        try:
            await self._keep_filled(place, first)
        except Exception as error:
            _logger.exception("A worker's place stays empty.")
            if not first.done():
                first.set_exception(error)

    async def _keep_filled(self, place: int, first: asyncio.Future[None]) -> None:
        """Fill one place, and fill it again; `first` is done when its first worker answers, or cannot."""
        pause = 0.0
        while not self._draining.is_set():
            began = monotonic()
            try:
                child = await Child.spawn(place, self._listeners, self._begin)
            except OSError as error:
                end = f"A worker cannot be started: {error.strerror}"
            else:
                end = await self._accompany(child, first)
            if self._draining.is_set():
                break
            if not first.done():
                first.set_exception(WorkersError(end))
                return
            if monotonic() - began > _STEADY:
                pause = 0.0
            _logger.error("%s; it is started again%s.", end, f" in {pause:g} s" if pause else "")
            self._sums.restarts += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._draining.wait()
            pause = min(_LONGEST_PAUSE, 2 * pause or _FIRST_PAUSE)
        if not first.done():
            first.set_result(None)

    async def _accompany(self, child: Child, first: asyncio.Future[None]) -> str:
        """Be there for a worker until it has ended; tells how it did, in words."""
        self._children[child.place] = child
        if self._draining.is_set():
            child.send(Drain())
        answers = asyncio.create_task(self._await_first(child, first))
        try:
            return await child.live(self._told)
        finally:
            answers.cancel()
            del self._children[child.place]
            self._sums.bury(child.place)

    async def _await_first(self, child: Child, first: asyncio.Future[None]) -> None:
        await child.ready.wait()
        if not first.done():
            first.set_result(None)

    def _told(self, child: Child, message: Told | Gather) -> None:
        self._sums.show(child.place, message.counts)
        if isinstance(message, Gather):
            self._spawn_task(self._answer(child, message.number))

    async def _answer(self, child: Child, number: int) -> None:
        child.send(Gathered(number, await self._page.next()))

    async def _write_page(self) -> bytes:
        """The metrics of all; who does not answer in time is in them with what it showed last."""
        asked = [child.ask() for child in self._children.values() if child.ready.is_set()]
        answers = [each for each in asked if each is not None]
        if answers:
            await asyncio.wait(answers, timeout=_GATHER)
        return await asyncio.to_thread(self._sums.page())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            for child in self._children.values():
                if child.ready.is_set():
                    child.look()

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
