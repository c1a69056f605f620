"""The limits of one worker while the store is away: its part of them, counted here.

A worker notes all that it admits, so that an outage begins with its own admissions of the last window and
not with empty ones. With n workers alive, each admits a n-th of a limit, and one request at least; so in any
window of the outage no more than the limit, or n, are admitted by all of them together.

While the store is there a note costs next to nothing: it goes to its bill, by the second and by the slot of a
day. What that means for each window is worked out when the store is away and somebody asks.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from gateway.admission.refusals import refused_by_lease, refused_by_window
from gateway.errors import store_away
from gateway.limits import SLOTS, Bill, Lease, Window

_MOST_BILLS: Final = 20_000  # those that were used longest ago are forgotten
_FINE: Final = 1_000  # ms
_COARSE: Final = 1_440_000  # a slot of a day


class Share:
    """What this worker has admitted, and what it may admit by itself.

    Args:
        clock: Monotonic, in ms.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._uses: OrderedDict[Bill, _Use] = OrderedDict()
        self._uses_of: defaultdict[str, list[_Use]] = defaultdict(list)
        self._windows: dict[str, _Slots] = {}  # of those that were asked for while the store is away
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self.workers: int | None = None  # how many were alive when the store was last heard; None: never

    def note(self, bill: Bill, tokens: int) -> int:
        """Note a request with its tokens; gives the time of the clock that it is noted under."""
        now = self._clock()
        if not bill.windows:
            return now
        use = self._uses.get(bill)
        if use is None:
            use = self._begin(bill)
        else:
            self._uses.move_to_end(bill)
        use.add(now, tokens)
        if self._windows:
            for window in bill.windows:
                slots = self._windows.get(window.key)
                if slots is not None:
                    slots.add(now, tokens if window.unit == "tokens" else 1)
        return now

    def change(self, bill: Bill, then: int, tokens: int) -> None:
        """Note that more or fewer tokens were used by a request that came at a time in ms of the clock."""
        use = self._uses.get(bill)
        if use is None:
            return
        use.change(then, tokens)
        if self._windows:
            for key, _slot in bill.counted:
                if key in self._windows:
                    self._windows[key].change(then, tokens)

    def hold(self, bill: Bill, exchange: str) -> None:
        """Note that an exchange is in flight."""
        for key in bill.held:
            self._held[key].add(exchange)

    def release(self, bill: Bill, exchange: str) -> None:
        """Note that it is no more."""
        for key in bill.held:
            held = self._held[key]
            held.discard(exchange)
            if not held:
                del self._held[key]

    def leases(self) -> list[str]:
        """The keys of the leases that exchanges in flight hold."""
        return list(self._held)

    def holders(self, key: str) -> list[str]:
        """The exchanges in flight that hold a lease."""
        return list(self._held.get(key, ()))

    def is_back(self) -> None:
        """The store is there again."""
        self._windows.clear()

    def check(self, bill: Bill, tokens: int) -> None:
        """Let a request pass, as far as this worker's part of each limit goes.

        Raises:
            LimitError: A part has no room.
            ApiError: 503 where nobody may pass unchecked.
        """
        for window in bill.windows:
            self._check_window(window, tokens if window.unit == "tokens" else 1)
        for lease in bill.leases:
            self._check_lease(lease)

    def _check_window(self, window: Window, amount: int) -> None:
        limit = self._part(window)
        if limit is None:
            return
        slots, now = self._slots(window), self._clock()
        used = slots.used(now)
        if used + amount > limit:
            wait = None if amount > limit else slots.wait(now, used + amount - limit)
            raise refused_by_window(msgspec.structs.replace(window, limit=limit), amount, used, wait)

    def _check_lease(self, lease: Lease) -> None:
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

    def _begin(self, bill: Bill) -> "_Use":
        use = self._uses[bill] = _Use()
        for window in bill.windows:
            self._uses_of[window.key].append(use)
        if len(self._uses) > _MOST_BILLS:
            forgotten, its = self._uses.popitem(last=False)
            for window in forgotten.windows:
                self._uses_of[window.key].remove(its)
                if not self._uses_of[window.key]:
                    del self._uses_of[window.key]
        return use

    def _slots(self, window: Window) -> "_Slots":
        slots = self._windows.get(window.key)
        if slots is None:
            slots = self._windows[window.key] = _Slots(window.slot)
            now = self._clock()
            for at, amount in sorted(self._notes(window)):
                slots.add(min(now, at), amount)
        return slots

    def _notes(self, window: Window) -> Iterator[tuple[int, int]]:
        """When something was admitted to a window, at the latest, and how much."""
        for use in self._uses_of.get(window.key, ()):
            for at, requests, tokens in use.entries(_FINE if window.slot <= _FINE else _COARSE):
                yield at, tokens if window.unit == "tokens" else requests


class _Use:
    """What was used of one bill: of each slot its number, requests and tokens, the oldest first.

    The sixty-one seconds in which it was last used, and the slots of a day to which older ones have gone.
    """

    __slots__ = ("_coarse", "_fine", "_latest")

    def __init__(self) -> None:
        self._fine: deque[list[int]] = deque()
        self._coarse: deque[list[int]] = deque(maxlen=SLOTS + 1)
        self._latest = [-1, 0, 0]  # of the seconds; at first one before all times

    def add(self, now: int, tokens: int) -> None:
        number, latest = now // _FINE, self._latest
        if latest[0] == number:
            latest[1] += 1
            latest[2] += tokens
        else:
            self._begin(number, tokens)

    def change(self, then: int, tokens: int) -> None:
        number, latest = then // _FINE, self._latest
        if latest[0] == number:
            latest[2] += tokens
        else:
            self._change_older(number, tokens)

    def entries(self, length: int) -> Iterator[tuple[int, int, int]]:
        """When each slot ends, in ms, and what it holds: it counts until all of it is out of a window."""
        if length == _COARSE:
            for number, requests, tokens in self._coarse:
                yield (number + 1) * _COARSE - 1, requests, tokens
        for number, requests, tokens in self._fine:
            yield (number * _FINE // length + 1) * length - 1, requests, tokens

    def _begin(self, number: int, tokens: int) -> None:
        if len(self._fine) > SLOTS:
            self._keep(*self._fine.popleft())
        self._latest = [number, 1, tokens]
        self._fine.append(self._latest)

    def _keep(self, second: int, requests: int, tokens: int) -> None:
        number = second * _FINE // _COARSE
        if self._coarse and self._coarse[-1][0] == number:
            self._coarse[-1][1] += requests
            self._coarse[-1][2] += tokens
        else:
            self._coarse.append([number, requests, tokens])

    def _change_older(self, second: int, tokens: int) -> None:
        is_kept = self._fine and self._fine[0][0] > second
        slots, number = (self._coarse, second * _FINE // _COARSE) if is_kept else (self._fine, second)
        for slot in reversed(slots):
            if slot[0] <= number:
                if slot[0] == number:
                    slot[2] += tokens
                return


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
        if slots and slots[-1][0] >= number:
            slots[-1][1] += amount
        else:
            self._let_go(number)
            slots.append([number, amount])
        self._sum += amount

    def change(self, then: int, amount: int) -> None:
        number = then // self._length
        for slot in reversed(self._slots):
            if slot[0] <= number:
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
