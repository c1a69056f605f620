"""The limits of one worker while the store is away: its part of them, counted here.

A worker notes all that it admits, so that an outage begins with its own admissions of the last window and
not with empty ones. With n workers alive, each admits a n-th of a limit, and one request at least; so in any
window of the outage no more than the limit, or n, are admitted by all of them together.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from gateway.admission.refusals import refused_by_lease, refused_by_window
from gateway.errors import store_away
from gateway.limits import SLOTS, Lease, Window

_MOST_WINDOWS: Final = 20_000  # those that were used longest ago are forgotten


class Share:
    """What this worker has admitted, and what it may admit by itself.

    Args:
        clock: Monotonic, in ms.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Slots] = OrderedDict()
        self._held: dict[str, set[str]] = {}
        self.workers: int | None = None  # how many were alive when the store was last heard; None: never

    def note(self, window: Window, amount: int) -> None:
        """Note what is used of a window."""
        if window.away != "share":
            return
        slots = self._windows.get(window.key)
        if slots is None:
            slots = self._windows[window.key] = _Slots(window.slot)
            if len(self._windows) > _MOST_WINDOWS:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(window.key)
        slots.add(self._clock(), amount)

    def change(self, window: Window, then: int, amount: int) -> None:
        """Note that more or less was used of a window, at a time in ms of the clock."""
        slots = self._windows.get(window.key)
        if slots is not None:
            slots.change(then, amount)

    def hold(self, lease: Lease, exchange: str) -> None:
        """Note that an exchange is in flight."""
        self._held.setdefault(lease.key, set()).add(exchange)

    def release(self, lease: Lease, exchange: str) -> None:
        """Note that it is no more."""
        held = self._held.get(lease.key)
        if held is not None:
            held.discard(exchange)
            if not held:
                del self._held[lease.key]

    def held(self) -> Iterator[tuple[str, list[str]]]:
        """Each lease's key with the exchanges in flight that hold it."""
        for key, exchanges in self._held.items():
            yield key, list(exchanges)

    def check_window(self, window: Window, amount: int) -> None:
        """Let this worker's part of a window pass.

        Raises:
            ApiError: 429 where it has no room, 503 where nobody may pass unchecked.
        """
        limit = self._part(window)
        if limit is None:
            return
        slots, now = self._windows.get(window.key), self._clock()
        used = slots.used(now) if slots else 0
        if used + amount > limit:
            wait = None if amount > limit or slots is None else slots.wait(now, used + amount - limit)
            raise refused_by_window(msgspec.structs.replace(window, limit=limit), amount, used, wait)

    def check_lease(self, lease: Lease) -> None:
        """Let this worker's part of a lease pass.

        Raises:
            ApiError: As for a window.
        """
        limit = self._part(lease)
        used = len(self._held.get(lease.key, ()))
        if limit is not None and used >= limit:
            raise refused_by_lease(msgspec.structs.replace(lease, limit=limit), used)

    def _part(self, limited: Window | Lease) -> int | None:
        """How much of a limit this worker may give; None: as much as is asked for."""
        if limited.away == "open":
            return None
        if limited.away == "closed" or self.workers is None:
            raise store_away()
        return max(1, limited.limit // max(1, self.workers)) if limited.limit else 0


class _Slots:
    """A sliding window as the store has it, of one worker."""

    __slots__ = ("_length", "_slots", "_sum")

    def __init__(self, length: int) -> None:
        self._length = length
        self._slots: deque[list[int]] = deque()  # [number, amount], the oldest first
        self._sum = 0

    def add(self, now: int, amount: int) -> None:
        number = now // self._length
        slots = self._slots
        if slots and slots[-1][0] == number:
            slots[-1][1] += amount
        else:
            self._let_go(number)
            slots.append([number, amount])
        self._sum += amount

    def change(self, then: int, amount: int) -> None:
        number = then // self._length
        for slot in reversed(self._slots):
            if slot[0] <= number:
                if slot[0] == number:
                    slot[1] += amount
                    self._sum += amount
                return

    def used(self, now: int) -> int:
        self._let_go(now // self._length)
        return self._sum

    def wait(self, now: int, needed: int) -> float:
        """Seconds until so much has been let go of."""
        freed = 0
        for number, amount in self._slots:
            freed += amount
            if freed >= needed:
                return ((number + SLOTS + 1) * self._length - now) / 1000
        return (SLOTS + 1) * self._length / 1000

    def _let_go(self, number: int) -> None:
        while self._slots and self._slots[0][0] < number - SLOTS:
            self._sum -= self._slots.popleft()[1]
