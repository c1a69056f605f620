"""Hedging: a second target is asked where the first one has not begun to answer, and the quicker one answers.

Each of the two runs in a lane: a task of its own, with deadlines of its own. The first that has something for
the client wins, and the other is left at once, so what it costs is mostly a prompt that was read twice. A
lane that fails while the other one still runs is no failure yet.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from gateway.deadlines import Watch
from gateway.dispatch.means import Way
from gateway.dispatch.round import Asked, Round
from gateway.exchange import Batch, Recipient
from gateway.routing import Target
from translators.asking.seam import Seam
from translators.call import BackendCall
from translators.deltas import Usage

# Makes the round of one that is asked, with who takes its answer and its deadlines.
Begin = Callable[[Asked, Recipient, Watch, Way], Round]
Tell = Callable[[Asked], None]


class Race:
    """One request at two targets at most.

    Args:
        way: The request's way, which decides what follows the last lane's failure.
        watch: The exchange's own. It rests meanwhile, but for what is written to the client.
        recipient: Who takes the winner's answer.
        begin: Makes the rounds.
        tell: Told who has won, before anything of the answer is delivered.
    """

    def __init__(self, way: Way, watch: Watch, recipient: Recipient, begin: Begin, tell: Tell) -> None:
        self.way: Final = way
        self.watch: Final = watch
        self.recipient: Final = recipient
        self.begin: Final = begin
        self.total_at: Final = watch.total_at
        self._tell = tell
        self._lanes: list[Lane] = []
        self._decided: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()

    async def run(
        self, first: Asked, after: float, join: Callable[[], Awaitable[Asked | None]], leave: Tell
    ) -> Round:
        """The winner's round once it has ended; or that of the last lane that failed.

        Args:
            first: Who begins.
            after: Seconds of silence after which a second one joins.
            join: Who that is; None where there is nobody.
            leave: Told who was to be asked and was not, because somebody had begun by then.
        """
        self.watch.rest()
        self.watch.total_at = inf
        try:
            first_lane = self._start(first)
            await asyncio.wait([self._decided], timeout=after)
            second = None if self._decided.done() or first_lane.answering else await join()
            if second is not None and self._decided.done():
                leave(second)
            elif second is not None:
                self._start(second)
            lane = await self._decided
            await lane.task
            return lane.round
        finally:
            for lane in self._lanes:
                lane.task.cancel()
            await asyncio.gather(*(lane.task for lane in self._lanes), return_exceptions=True)
            for lane in self._lanes:
                if not lane.began:
                    leave(lane.asked)
            self.watch.lanes = ()
            if not self._is_spent():
                self.watch.total_at = self.total_at

    def _is_spent(self) -> bool:
        """Whether the end of all time has come, and been told in a lane: what follows has other deadlines."""
        return self.watch.total_at == inf and any(lane.watch.total_at == inf for lane in self._lanes)

    def wins(self, lane: "Lane") -> None:
        """A lane has something for the client: the other one is left."""
        if not self._decided.done():
            self._decided.set_result(lane)
            self._tell(lane.asked)
            for other in self._lanes:
                if other is not lane:
                    other.loses()

    def ended(self, lane: "Lane") -> None:
        """A lane's round is over; where nobody has won, the last one's failure decides."""
        lane.runs = False
        if not self._decided.done() and not self.others_run(lane):
            self._decided.set_result(lane)

    def others_run(self, lane: "Lane") -> bool:
        """Whether a lane is not the only one in the race."""
        return any(each.runs for each in self._lanes if each is not lane)

    def _start(self, asked: Asked) -> "Lane":
        lane = Lane(self, asked)
        self._lanes.append(lane)
        self.watch.lanes = tuple(each.watch for each in self._lanes)
        return lane


class Lane:
    """One of the two: takes its round's answer, and stands in for the request's way.

    Attributes:
        runs: Whether it is in the race.
        began: Whether it has asked; a task that is cancelled at once never runs.
        answering: Whether some of an answer is here, which filters may hold for long.
    """

    def __init__(self, race: Race, asked: Asked) -> None:
        self._race = race
        self.asked: Final = asked
        self.runs = True
        self.began = False
        self.answering = False
        self.task: Final = asyncio.create_task(self._run(asked.calls))
        self.watch: Final = Watch(self.task, race.watch.allowed, race.total_at, at=inf)
        self.round: Final = race.begin(asked, self, self.watch, self)

    def loses(self) -> None:
        """The other one was quicker."""
        self.runs = False
        self.round.is_beaten = True
        self.task.cancel()

    async def take(self, batch: Batch) -> None:
        """Deliver what is the winner's; meanwhile the client is waited for, and the backend is not."""
        race = self._race
        race.wins(self)
        self.watch.rest()
        race.watch.total_at, self.watch.total_at = self.watch.total_at, inf
        await race.recipient.take(batch)
        race.watch.rest()
        self.watch.total_at, race.watch.total_at = race.watch.total_at, inf

    def has_begun(self) -> bool:
        """Whether the client has something of the answer."""
        return self._race.recipient.has_begun()

    def forget(self) -> None:
        """Forget what was taken."""
        self._race.recipient.forget()

    def takes_at_once(self) -> bool:
        """Whether the client need not be waited for."""
        return self._race.recipient.takes_at_once()

    def take_at_once(self, batch: Batch) -> None:
        """Deliver what is the winner's, without waiting."""
        self._race.recipient.take_at_once(batch)

    def may_leave(self, target: Target, failure: Batch) -> bool:
        """Whether this failure need not be told: the other one runs, or another target is asked."""
        if self._race.others_run(self):
            self.runs = False
            return True
        return self._race.way.may_leave(target, failure)

    def answers(self) -> None:
        """It has begun to answer."""
        self.answering = True
        self._race.way.answers()

    def last_word(self, failure: Batch) -> Batch:
        """What the client is told of a failure after which nobody else is asked."""
        return self._race.way.last_word(failure)

    async def go_on(self, seam: Seam, usage: Usage) -> tuple[Target, BackendCall] | None:
        """Who goes on with an answer that broke off."""
        return await self._race.way.go_on(seam, usage)

    async def _run(self, calls: tuple[BackendCall, ...]) -> None:
        self.began = True
        try:
            await self.round.run(calls)
        finally:
            self._race.ended(self)
