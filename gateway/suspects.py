"""Addresses from which wrong keys come: after thirty in a row each further one has to wait, ever longer.

A right key is never refused, wherever it comes from: behind one address there may be a whole office, and one
of them may have a wrong key in a loop. But keys that are not known here are looked up one after the other for
all such addresses, so that a flood of guesses is no flood for the store. A network of IPv6 counts as one
address down to /64, which is what one customer gets.
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from time import monotonic
from typing import Final

_FREE: Final = 30  # failures in a row that cost nothing
_FORGET: Final = 60.0  # seconds without a failure, after which all is forgotten
_FIRST: Final = 1.0
_LONGEST: Final = 60.0
_MOST: Final = 4096  # addresses that are remembered; those that failed longest ago are not


class Suspects:
    """Counts failures by address.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._line = asyncio.Lock()
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()  # failures, and when the last one was

    def line(self, address: str) -> AbstractAsyncContextManager[None]:
        """To be entered while a key from there is looked up."""
        return self._line if self.wait(address) else nullcontext()

    def failed(self, address: str) -> None:
        """A wrong key came from there."""
        place, now = _place(address), self._clock()
        failures, last = self._seen.pop(place, (0, now))
        self._seen[place] = (failures + 1 if now - last < _FORGET else 1, now)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)

    def wait(self, address: str) -> float:
        """Seconds until a wrong key from there is only told so; 0: at once."""
        if not self._seen:
            return 0.0
        failures, last = self._seen.get(_place(address), (0, 0.0))
        if failures < _FREE:
            return 0.0
        pause = min(_LONGEST, _FIRST * 2.0 ** min(failures - _FREE, 16))
        return max(0.0, last + pause - self._clock())


def _place(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
