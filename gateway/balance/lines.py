"""Where requests wait while every target of their route is full.

First come, first served within a key, and in turn between keys, so that one client with many requests does
not hold up the others. Who comes while others wait stands behind them. The first in line is woken when a
target has become free, and now and then, for limits also become free by time. Where it is none of those that
can answer him, the next one tries for whom it may be.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Final

Wants = frozenset[tuple[str, str]]  # backends with their models that can answer a request

_LOOK: Final = 0.05  # seconds between two looks where nothing has become free


class Place:
    """One request's place in a line."""

    __slots__ = ("_has_tried", "_line", "_until", "wants", "woken")

    def __init__(self, line: "Line", until: float, wants: Wants) -> None:
        self._line = line
        self._until = until
        self._has_tried = False
        self.wants: Final = wants
        self.woken: asyncio.Future[None] | None = None

    async def turn(self) -> bool:
        """Wait for this request's turn to try; False where its time is over."""
        loop = asyncio.get_running_loop()
        self.woken = loop.create_future()
        if self._has_tried:
            self._line.in_vain(self)
        else:
            self._line.joined(self)
        self._line.look()
        try:
            async with asyncio.timeout_at(self._until):
                await self.woken
        except TimeoutError:
            return False
        finally:
            self.woken = None
        self._has_tried = True
        return True


class Line:
    """The line of one route."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Place]] = OrderedDict()  # the key whose turn it is comes first
        self._vain: Wants = frozenset()  # what those that have tried since a target became free could not get
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def place(self, key: str, until: float, wants: Wants) -> Iterator[Place]:
        """Stand in line, until a time of the event loop."""
        place = Place(self, until, wants)
        self._waiting.setdefault(key, deque()).append(place)
        try:
            yield place
        finally:
            mine = self._waiting[key]
            was_first = next(iter(self._waiting)) == key and mine[0] is place
            mine.remove(place)
            if not mine:
                del self._waiting[key]
            elif was_first:
                self._waiting.move_to_end(key)
            self.freed()

    def freed(self) -> None:
        """A target may have become free."""
        self._vain = frozenset()
        first = next(self._in_turn(), None)
        if first is not None:
            _wake(first)

    def in_vain(self, place: Place) -> None:
        """A place's turn came and nothing was free for it: the next one tries who may take something else."""
        self._vain |= place.wants
        for each in self._in_turn():
            if not each.wants <= self._vain:
                _wake(each)
                return

    def joined(self, place: Place) -> None:
        """Somebody has come; where he may take what none of the others can, nobody is before him."""
        others = [each.wants for each in self._in_turn() if each is not place]
        if others and not place.wants <= frozenset().union(*others):
            _wake(place)

    def look(self) -> None:
        """Wake the first in a moment, whatever happens."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._looked)

    def _in_turn(self) -> Iterator[Place]:
        """All, in the order in which they are served if no more come."""
        rounds = zip_longest(*self._waiting.values())
        return (place for each in rounds for place in each if place is not None)

    def _looked(self) -> None:
        self._timer = None
        if self._waiting:
            self.freed()
            self.look()


def _wake(place: Place) -> None:
    if place.woken is not None and not place.woken.done():
        place.woken.set_result(None)


class Lines:
    """The lines of all routes in which somebody waits."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def waiting(self, route: str) -> int:
        """How many wait there."""
        line = self._lines.get(route)
        return len(line) if line is not None else 0

    @contextmanager
    def place(self, route: str, key: str, until: float, wants: Wants = frozenset()) -> Iterator[Place]:
        """Stand in a route's line, until a time of the event loop."""
        line = self._lines.setdefault(route, Line())
        try:
            with line.place(key, until, wants) as place:
                yield place
        finally:
            if not len(line):
                self._lines.pop(route, None)

    def freed(self) -> None:
        """A target may have become free; which routes it serves need not be known."""
        for line in self._lines.values():
            line.freed()
