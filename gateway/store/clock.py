"""The time of a server, as far as its replies have told it.

A reply that held the time T and was here at r means that at a later x it is T + (x - r) there at least, for
the reply has been under way. The greatest of such bounds is the best: it came with the quickest reply.
"""

from typing import Final

_MEMORY: Final = 10.0  # seconds; quartz drifts by less than a ms in that
_SLACK: Final = 2.0  # ms: the times told are whole ms, and a little for the drift


class Clock:
    """A lower bound of a server's time; it never says that it is later there than it is."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # ms by which the time there is ahead of ours, at least
        self._since = 0.0

    def heard(self, there: int, asked: float, here: float) -> None:
        """A reply told the time.

        Args:
            there: In ms.
            asked: When it was asked for, in seconds of our clock.
            here: When the reply was here.
        """
        ahead = there - here * 1000
        if (
            self._ahead is None
            or ahead > self._ahead
            or here - self._since > _MEMORY
            or there + _SLACK < asked * 1000 + self._ahead  # it was set back
        ):
            self._ahead, self._since = ahead, here

    def at(self, here: float) -> int | None:
        """The server's time in ms at a time of our clock, or a little less; None where it never told."""
        return None if self._ahead is None else int(here * 1000 + self._ahead)
