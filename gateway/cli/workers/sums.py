"""What all workers have counted together, so that no counter ever falls, whoever dies.

The sums are kept by place. A place has what its dead had counted and what its living worker showed last; when
that dies, the two become one number, the very one that was shown. So the numbers of the places are added in
one order always. Were the dead of all places in one sum, each death would change the order of the additions,
and with it the last digit of what is no whole number: seconds and neurons would seem to fall.
"""

from collections.abc import Callable
from typing import Final

from gateway.metrics import render
from gateway.tallies import Counts, decode, of_the_dead, together

_RESTARTS: Final = "penstock_worker_restarts_total"
_NOTHING: Final = Counts([], {}, workers=0)


class Sums:
    """The counts of so many places."""

    def __init__(self, places: int) -> None:
        self.restarts = 0
        self._dead = [_NOTHING] * places
        self._living = [_NOTHING] * places

    def show(self, place: int, counts: bytes) -> None:
        """The worker of a place has counted so much, all in all."""
        self._living[place] = decode(counts)

    def bury(self, place: int) -> None:
        """The worker of a place has died."""
        self._dead[place] = of_the_dead(self._of(place))
        self._living[place] = _NOTHING

    def page(self) -> Callable[[], bytes]:
        """What writes the metrics as they are now; it takes long, so call it beside the event loop."""
        pairs = list(zip(self._dead, self._living, strict=True))
        own = Counts([], {_RESTARTS: [((), self.restarts)]}, workers=0)
        return lambda: render(together([own, *map(together, pairs)]))

    def _of(self, place: int) -> Counts:
        return together([self._dead[place], self._living[place]])
