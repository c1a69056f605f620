"""How many requests of a route may be asked of a second target while the first one is silent.

Each such request is paid for twice, so a route says for which share of its requests it may be done. What was
not used is kept for a few only: a route that was quiet for a night asks no crowd twice in the morning.
"""

from typing import Final

_MOST_SAVED: Final = 5.0


class Hedges:
    """The budget of one worker, route by route."""

    def __init__(self) -> None:
        self._saved: dict[str, float] = {}

    def earn(self, route: str, share: float) -> None:
        """A request has come that might be hedged."""
        self._saved[route] = min(_MOST_SAVED, self._saved.get(route, 1.0) + share)

    def take(self, route: str) -> bool:
        """Whether this one may be."""
        saved = self._saved.get(route, 0.0)
        if saved < 1:
            return False
        self._saved[route] = saved - 1
        return True
