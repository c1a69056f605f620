"""Drives a request to an answer: targets one after the other, and the calls of each target's dialogue.

What is delivered are batches of deltas, each as large as one read of the backend produced. Until the first
batch everything may fail over to the next target; after it nothing is raised: what breaks then is a
`Failed` delta, for the client has part of the answer already. A retry is the same target again, a
failover the next one, a fallback another model's. There are two retries here: for a shorter answer, where a
backend says that the prompt fits into the model's window and only what was asked for beside it does not; and
with another credential, where a backend has several and one is refused.

`round` has the calls at one target, `race` two targets at once where the first one is slow to begin.
`outcomes` says what the ends of calls tell of the backend's health, `means` is what all need, `shadows` sends
copies of requests to a target that is being tried out.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Protocol

import msgspec

from gateway.balance import Balancer, Needs, Place, needs_of, needs_within
from gateway.deadlines import Watch
from gateway.dispatch.means import Means, Way
from gateway.dispatch.outcomes import failure_of, has_cost_work, may_go_better, was_unreachable, with_room
from gateway.dispatch.race import Race
from gateway.dispatch.round import Asked, Round
from gateway.errors import TargetFullError, none_available
from gateway.exchange import Batch, Exchange, Recipient
from gateway.routing import MOST_TARGETS, Hedge, Plan, Target, can_go_on
from gateway.translation import translate_for
from translators.asking.seam import Seam, can_be_continued
from translators.call import BackendCall
from translators.chat import ChatRequest
from translators.deltas import Failed, Usage
from translators.errors import ApiError
from translators.overflow import WindowError
from translators.report import header

__all__ = ["Dispatch", "Gate"]


class Gate(Protocol):
    """Lets a request through to a target."""

    async def admit(self, target: Target, calls: Sequence[BackendCall]) -> None:
        """Let these calls pass.

        Raises:
            TargetFullError: Another target may have room.
            ApiError: The request may not be answered now.
        """


class Dispatch(Means):
    """Answers requests, with everything that this needs."""

    __slots__ = ()

    async def answer(  # noqa: PLR0913 - all that an answer needs
        self,
        exchange: Exchange,
        watch: Watch,
        plan: Plan,
        request: ChatRequest,
        recipient: Recipient,
        *,
        gate: Gate | None = None,
    ) -> None:
        """Deliver the answer's deltas in batches; the first one is the commit point.

        Raises:
            ApiError: The request cannot be translated or may not pass. Before the first batch only.
        """
        needs, goes_on = needs_within(plan, request), plan.goes_on and can_be_continued(request)
        asked = msgspec.structs.replace(request, counts_along=True) if goes_on else request
        way = _Way(self, self.balancer, exchange, watch, plan, asked, recipient, gate, needs, goes_on)
        retries = self.balancer.retries
        retries.in_flight += 1
        try:
            await way.go()
        finally:
            retries.in_flight -= 1
            way.answers()
        if plan.shadow is not None:
            self.shadows.cast(plan, request, exchange.stamp)


class _Way(msgspec.Struct, eq=False):
    """One request's way from target to target."""

    _dispatch: Dispatch
    _balancer: Balancer
    _exchange: Exchange
    _watch: Watch
    _plan: Plan
    _request: ChatRequest
    _recipient: Recipient
    _gate: Gate | None
    _needs: Needs
    _goes_on: bool  # whether others may go on with an answer that breaks off
    _tried: set[tuple[str, str]] = set()
    _asked: int = 0  # targets
    _refused_credentials: int = 0  # the last target's
    _again: Target | None = None  # the same once more, where something of the request has changed
    _has_cost_work: bool = False  # whether the last failure may have
    _asks_again: bool = False  # whether it has its part of the retry budget
    _failure: Batch | None = None
    _full: TargetFullError | None = None  # a target's own limit that has refused
    _standing: ExitStack | None = None  # in line
    _place: Place | None = None

    async def go(self) -> None:
        """Ask one target after the other until one answers or none is left."""
        try:
            while (target := self._next()) is not None or await self._stood_in_line():
                if target is not None and await self._asked_and_answered(target):
                    return
                if self._has_cost_work and not await self._may_ask_again():
                    break
        finally:
            if self._standing is not None:
                self._standing.close()
        await self._recipient.take(self._failure or [Failed(self._refusal())])

    def may_leave(self, target: Target, failure: Batch) -> bool:
        """Whether another target is asked after this failure; where it is, it may have its cost."""
        error = failure_of(failure)
        if error is None or self._asked >= MOST_TARGETS:
            return False
        if isinstance(error, WindowError):
            return self._fits_elsewhere(target, error)
        if not may_go_better(error) or not self._can_choose():
            return False
        self._has_cost_work = has_cost_work(error)
        return True

    def answers(self) -> None:
        """Whoever was asked has begun to answer, or nobody will be: others may ask again."""
        if self._asks_again:
            self._asks_again = False
            self._balancer.retries.give_back()

    def last_word(self, failure: Batch) -> Batch:
        """What the client is told of a failure after which nobody else is asked.

        Of several targets none could be reached: then it is no single one's fault, and will pass.
        """
        error = failure_of(failure)
        if error is None or len(self._plan.targets) == 1 or not was_unreachable(error):
            return failure
        return [*failure[:-1], Failed(none_available(self._soonest()))]

    async def go_on(self, seam: Seam, usage: Usage) -> tuple[Target, BackendCall] | None:
        """Who goes on with an answer that broke off, and how it is asked; None where nobody can."""
        if seam.failure is None or not may_go_better(seam.failure.error):
            return None
        others = msgspec.structs.replace(self._plan, targets=tuple(filter(can_go_on, self._plan.targets)))
        rest = seam.rest(usage) if others.targets and self._asked < MOST_TARGETS else None
        if rest is None or not self._can_choose() or not await self._may_ask_again():
            return None
        target = self._balancer.choose(others, self._needs, self._tried)
        if target is None:
            return None
        self._tried.add((target.backend, target.model))
        try:
            dialogue, _entries = translate_for(self._plan, target, rest, self._exchange.stamp)
            calls = dialogue.first()
            if self._gate is not None:
                await self._gate.admit(target, calls)
        except ApiError:
            return None
        self._asked += 1
        self._dispatch.metrics.retried(target.backend, "continued")
        self._exchange.is_answered_by(target.backend, target.model)
        return target, calls[0]

    def _next(self) -> Target | None:
        if self._again is not None:
            target, self._again = self._again, None
            return target
        if self._asked >= MOST_TARGETS or (self._plan.line.most and self._has_to_queue()):
            return None
        return self._balancer.choose(self._plan, self._needs, self._tried)

    def _has_to_queue(self) -> bool:
        """Whether others have come before."""
        is_new = self._place is None and not self._asked
        return is_new and self._balancer.lines.waiting(self._plan.route) > 0

    async def _asked_and_answered(self, target: Target) -> bool:
        """Ask a target; False where another one is to be asked."""
        is_retry = (target.backend, target.model) in self._tried
        asked = await self._let_in(target)
        if asked is None:
            return False
        if self._standing is not None:
            self._standing.close()
        if is_retry or self._asked:
            kind = "retry" if is_retry else "fallback" if target.fallback else "failover"
            self._dispatch.metrics.retried(target.backend, kind)
        self._asked += 0 if is_retry else 1
        hedge = self._hedge_of(asked)
        self._tell(asked)
        if hedge is None:
            round_ = self._begin(asked, self._recipient, self._watch, self)
            await round_.run(asked.calls)
        else:
            round_ = await self._race(asked, hedge)
        if round_.withheld is None:
            return True
        self._recipient.forget()
        if round_.begun:  # whatever has failed, some of the answer was made
            self._has_cost_work = True
        target = round_.target
        self._failure = round_.withheld
        self._again = with_room(target, self._plan, self._failure)
        if self._again is None and round_.has_other_credential:
            self._again = self._with_another_credential(target)
        if self._again is None:
            self._refused_credentials = 0
        return False

    def _with_another_credential(self, target: Target) -> Target | None:
        """The target once more, if there is a credential that this request has not tried."""
        self._refused_credentials += 1
        credentials = self._dispatch.upstreams[target.backend].credentials
        return target if self._refused_credentials < len(credentials.values) else None

    async def _let_in(self, target: Target) -> Asked | None:
        """Translate the request for a target and have it let in there; None where it is not.

        Raises:
            ApiError: The request cannot be translated, or may not pass.
        """
        self._tried.add((target.backend, target.model))
        try:
            dialogue, entries = translate_for(self._plan, target, self._request, self._exchange.stamp)
        except ApiError:
            if self._failure is None and self._full is None:
                raise
            return None  # an earlier target could be asked: its failure is the reason
        asked = Asked(target, dialogue, dialogue.first(), header(entries))
        self._balancer.reserve(target)
        try:
            if self._gate is not None:
                await self._gate.admit(target, asked.calls)
        except BaseException as error:
            self._balancer.release(target)  # nothing can tell how it is doing
            if not isinstance(error, TargetFullError):
                raise
            self._full = self._full or error
            return None
        return asked

    def _hedge_of(self, asked: Asked) -> Hedge | None:
        """When another target is asked beside one that is slow to begin, if that may be."""
        may_be = self._exchange.stream and len(asked.calls) == 1 and len(self._plan.targets) > 1
        return self._plan.hedge if may_be else None

    async def _race(self, asked: Asked, hedge: Hedge) -> Round:
        """Ask a target, and where it is slow to begin, another one beside it."""
        self._balancer.hedges.earn(self._plan.route, hedge.share)
        race = Race(self, self._watch, self._recipient, self._begin, self._tell)
        return await race.run(asked, hedge.after, self._join, self._leave)

    async def _join(self) -> Asked | None:
        """Who is asked beside a target that is slow to begin; None where nobody is."""
        target = self._balancer.choose(self._plan, self._needs, self._tried)
        if target is None or target.fallback or self._asked >= MOST_TARGETS:
            return None
        if not self._balancer.hedges.take(self._plan.route):
            return None
        asked = None
        with suppress(ApiError):
            asked = await self._let_in(target)
        if asked is not None:
            self._asked += 1
            self._dispatch.metrics.retried(target.backend, "hedge")
        return asked

    def _leave(self, asked: Asked) -> None:
        """Nothing was sent to a target that had let the request in."""
        self._balancer.release(asked.target)

    def _tell(self, asked: Asked) -> None:
        """Note who answers, for the client and the books."""
        self._exchange.is_answered_by(asked.target.backend, asked.target.model)
        self._exchange.translation = asked.translation

    def _begin(self, asked: Asked, recipient: Recipient, watch: Watch, way: Way) -> Round:
        round_ = Round(
            self._dispatch, self._exchange, watch, asked.target, self._plan, asked.dialogue, recipient, way
        )
        if self._goes_on:
            round_.seam = Seam(self._request)
        return round_

    async def _may_ask_again(self) -> bool:
        """Wait for this request's part of the retry budget; False where that takes too long, or is no use."""
        self._has_cost_work = False
        if not self._asks_again:
            self._watch.wait_for("total")
            self._asks_again = await self._balancer.retries.take(self._can_choose)
            if not self._asks_again and self._can_choose():
                self._dispatch.metrics.retry_refused()
        return self._asks_again

    def _can_choose(self) -> bool:
        return self._balancer.can_choose(self._plan, self._needs, self._tried)

    def _fits_elsewhere(self, target: Target, error: WindowError) -> bool:
        """Whether another target has a longer context; from now on only such a one will do."""
        shortest = error.prompt or error.window or target.facts.window
        if error.room is not None or shortest is None:
            return False
        needs = needs_of(self._request, with_opening=self._plan.balance == "prefix")
        longer = msgspec.structs.replace(needs, tokens=max(self._needs.tokens, needs.tokens, shortest + 1))
        others = [each for each in self._plan.targets if (each.backend, each.model) not in self._tried]
        if not any(each.facts.window is not None and each.facts.window >= longer.tokens for each in others):
            return False
        self._needs = longer
        return self._can_choose()

    async def _stood_in_line(self) -> bool:
        """Wait until it is this request's turn to try once more; False where that does not help."""
        line, loop = self._plan.line, asyncio.get_running_loop()
        if self._asked or not line.most:
            return False
        if self._place is None:
            if not self._waiting_helps(line.wait):
                return False
            if self._balancer.lines.waiting(self._plan.route) >= line.most:
                return False
            self._watch.wait_for("total")
            self._place = self._stand_in_line(loop.time(), line.wait)
        self._tried.clear()
        return await self._place.turn()

    def _stand_in_line(self, now: float, seconds: float) -> Place:
        route, metrics, time = self._plan.route, self._dispatch.metrics, asyncio.get_running_loop().time
        self._standing = ExitStack()
        self._standing.callback(lambda: metrics.waited(route, time() - now))
        wants = self._balancer.able(self._plan, self._needs)
        return self._standing.enter_context(
            self._balancer.lines.place(route, self._exchange.key, now + seconds, wants)
        )

    def _waiting_helps(self, seconds: float) -> bool:
        if self._full is not None:
            return self._full.retry_after is None or self._full.retry_after <= seconds
        obstacles = self._balancer.obstacles(self._plan, self._needs)
        return any(obstacle is None or obstacle.why == "full" for _target, obstacle in obstacles)

    def _refusal(self) -> ApiError:
        """What is told where no target could be asked."""
        if self._full is not None and self._place is None:
            return self._full
        return none_available(self._soonest())

    def _soonest(self) -> float:
        """Seconds until a target may be asked again; one where nobody knows."""
        obstacles = [obstacle for _target, obstacle in self._balancer.obstacles(self._plan, self._needs)]
        waits = [each.wait for each in obstacles if each is not None and each.wait is not None]
        return min(waits, default=1.0)
