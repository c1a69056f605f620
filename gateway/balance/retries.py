"""How many requests may ask once more at the same time, where what they asked for has cost a backend work.

Where a backend is slow because it has too much to do, asking others again and again makes it worse. So what
was perhaps begun in vain is asked for again for a fifth of the requests in flight at most; three are always
allowed, or a gateway with little to do would never ask again (gRPC's and Envoy's retry budgets).

Where one backend of several falls silent, all that was in flight there has to be asked for elsewhere at
once, and that is more than a fifth. The rest waits for its turn, first come first served: what a backend has
begun to answer costs no further work in vain, and makes room. Where nobody answers there is soon nobody to
ask either, for breakers open; then nobody waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_SHARE: Final = 0.2
_ALWAYS: Final = 3
_PATIENCE: Final = 10.0  # seconds; whoever waits for longer hinders those who come after more than it helps


class Retries:
    """The budget of one worker.

    Attributes:
        in_flight: Requests.
        under_way: Of these, such as have asked once more, and have no answer yet.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.under_way = 0
        self._waiting: deque[asyncio.Event] = deque()

    async def take(self, helps: Callable[[], bool]) -> bool:
        """Wait until one more may ask again; it is to be given back. False where that took too long.

        Args:
            helps: Whether there is anybody to ask; where there no longer is, nobody need wait.
        """
        if self._has_room and not self._waiting:
            self.under_way += 1
            return True
        news = asyncio.Event()
        self._waiting.append(news)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._its_turn(news, helps)
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(news)
            self.look()

    def give_back(self) -> None:
        """One that asked again has its answer, or none that matters any more."""
        self.under_way -= 1
        self.look()

    def look(self) -> None:
        """Something may have changed for who waits: there is room, a breaker has opened, it is now first."""
        if self._waiting:
            self._waiting[0].set()

    async def _its_turn(self, news: asyncio.Event, helps: Callable[[], bool]) -> bool:
        while helps():
            if self._waiting[0] is news and self._has_room:
                self.under_way += 1
                return True
            news.clear()
            await news.wait()
        return False

    @property
    def _has_room(self) -> bool:
        return self.under_way < max(_ALWAYS, _SHARE * self.in_flight)
