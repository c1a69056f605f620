"""The calls of one dialogue at one target, and what becomes of them.

The usage is booked here, whatever becomes of the answer: as the backend reported it, or as our own count
of what had come when the answer was cut off or the client left. So is what an attempt says of the backend's
health, and what of a refusal all workers should know.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import msgspec

from gateway.deadlines import Phase, Watch
from gateway.dispatch.means import Means, Way
from gateway.dispatch.outcomes import outcome_of, sign_of, with_room
from gateway.errors import too_late
from gateway.exchange import Batch, Exchange, Recipient
from gateway.health import Attempted
from gateway.routing import Plan, Target
from gateway.upstream import Sending, UpstreamError
from translators.asking.seam import Seam
from translators.call import AnswerReader, BackendCall
from translators.deltas import Failed, Usage
from translators.dialogue import Dialogue
from translators.errors import ApiError

_Heard = tuple[int, Batch]  # which call of the round it answers, and a batch as the backend gave it
_Hear = Callable[[_Heard], Awaitable[None]]
_Queue = asyncio.Queue[_Heard | Exception | None]  # None: a call has ended

_AHEAD: Final = 16  # batches of a fan-out that may wait for a slow client


class Asked(msgspec.Struct, frozen=True):
    """A target that is to be asked, and how: it has let the request in."""

    target: Target
    dialogue: Dialogue
    calls: tuple[BackendCall, ...]
    translation: str  # the report of what becomes of the request's parameters


class Round(msgspec.Struct, eq=False):
    """The calls of one dialogue at one target.

    Attributes:
        withheld: A failure that was not delivered: another attempt follows.
        has_other_credential: Whether the backend refused one of several that it gave us.
    """

    means: Means
    exchange: Exchange
    watch: Watch
    target: Target
    plan: Plan
    dialogue: Dialogue
    recipient: Recipient
    way: Way
    seam: Seam | None = None  # where the answer may be gone on with elsewhere
    open: dict[int, AnswerReader] = {}  # calls whose usage is not known yet
    begun: bool = False  # whether a backend has given some of the answer
    committed: bool = False  # whether the client has some of it
    delivering: bool = False  # whether it is the client that is being waited for
    satisfied: bool = False  # whether nothing that still comes can matter
    broken: bool = False  # whether the last batch was a failure
    withheld: Batch | None = None
    has_other_credential: bool = False
    is_beaten: bool = False  # whether another target was quicker
    ran_out: Phase | None = None  # which deadline of several calls together has

    def has_ended(self) -> bool:
        """Whether no call has anything more to say."""
        return (
            self.satisfied
            or self.broken
            # It broke off with something of it delivered, where another target may go on.
            or (self.seam is not None and self.seam.failure is not None)
        )

    async def run(self, calls: tuple[BackendCall, ...]) -> None:
        """Make the calls, and those that their answers ask for."""
        try:
            while calls:
                if len(calls) == 1:
                    self.open = {0: calls[0].reader()}
                    await self._attempt(0, calls[0], self.watch, self._hear)
                    if self.seam is not None:
                        await self._go_on()
                else:
                    await self._many(calls)
                calls = () if self.broken else self.dialogue.next()
        finally:
            # The books have the answer that the client got.
            if self.open and self.begun and not self.is_beaten:
                self._book(self._count_open())

    async def _go_on(self) -> None:
        """Have others go on with an answer that has broken off, as long as somebody can."""
        while self.seam is not None and self.seam.failure is not None:
            seam, failure = self.seam, self.seam.failure
            usage = self.open[0].usage()
            ending = seam.ending(usage)
            if ending:
                await self._hear((0, ending))
                return
            further, failure = await self._who_goes_on(seam, usage, failure)
            if further is None:
                self.seam = None
                await self._hear((0, [failure]))
                return
            self.target, call = further
            self.open = {0: call.reader()}
            await self._attempt(0, call, self.watch, self._hear)

    async def _who_goes_on(
        self, seam: Seam, usage: Usage, failure: Failed
    ) -> tuple[tuple[Target, BackendCall] | None, Failed]:
        """Who goes on, and how it is asked; or nobody, and why the answer ends here.

        Whoever has broken off has no more deadlines; the whole has.
        """
        self.watch.rest()
        try:
            return await self.way.go_on(seam, usage), failure
        except asyncio.CancelledError:
            phase = self.watch.take_expired()
            if phase is None:
                raise
            return None, self._late(phase)

    async def _hear(self, heard: _Heard) -> None:
        """Deliver what the client is to see of a batch, but no failure after which others are asked."""
        number, batch = heard
        if not batch:
            return  # a sign of life, and no more
        batch = self._take(number, batch)
        if batch and self.broken and not self.committed and self._goes_on(batch):
            self.withheld = batch
        elif batch:
            if self.broken and not self.committed:
                batch = self.way.last_word(batch)
            self.delivering = True
            await self.recipient.take(batch)
            self.delivering = False
            self.committed = self.recipient.has_begun()

    def hear_at_once(self, number: int, batch: Batch) -> None:
        """Deliver what the client is to see of a batch; only where the client need not be waited for."""
        batch = self._take(number, batch)
        if batch:
            self.recipient.take_at_once(batch)

    def _goes_on(self, failure: Batch) -> bool:
        has_room = with_room(self.target, self.plan, failure) is not None
        return has_room or self.has_other_credential or self.way.may_leave(self.target, failure)

    def _book(self, batch: Batch) -> None:
        """Note the usage; in front of a failure it is for the books alone, for no answer has it."""
        last = batch[-1] if batch else None
        if isinstance(last, Usage):
            self.exchange.usage = last
        elif isinstance(last, Failed) and len(batch) > 1 and isinstance(batch[-2], Usage):
            self.exchange.usage = batch[-2]
            del batch[-2]

    def _take(self, number: int, batch: Batch) -> Batch:
        """What the client is to see of a call's batch, and the usage in it booked."""
        batch = self._seen(number, batch)
        self._book(batch)
        self.broken = _is_broken(batch)
        return batch

    def _seen(self, number: int, batch: Batch) -> Batch:
        if self.seam is not None:
            batch = self.seam.take(batch, may_break=self.committed)
        last = batch[-1] if batch else None
        if isinstance(last, Usage):  # it ends a backend's answer
            del self.open[number]
        out = self.dialogue.take(number, batch)
        self.satisfied = self.dialogue.satisfied
        if not self.satisfied:
            if isinstance(last, Failed) and not _is_broken(out):
                del self.open[number]  # an earlier answer stands in for it
            return out
        # The answer is whole: nothing that still comes can matter, not even a break.
        return [*(delta for delta in out if not isinstance(delta, Failed)), *self._count_open()]

    def _count_open(self) -> Batch:
        """End the calls that have not ended: their usage as reported so far, else by our own count."""
        batch: Batch = []
        while self.open:
            number, reader = self.open.popitem()
            batch += self.dialogue.take(number, [reader.usage()])
        return batch

    async def _many(self, calls: tuple[BackendCall, ...]) -> None:
        """Several calls at once, each in a task, their batches in the order in which they come."""
        self.open = {number: call.reader() for number, call in enumerate(calls)}
        queue: _Queue = asyncio.Queue(_AHEAD)
        tasks = [asyncio.create_task(self._pump(number, call, queue)) for number, call in enumerate(calls)]
        self._await_answer(self.watch, whole=calls[0].whole)
        try:
            await self._hear_all(queue, calls)
        except asyncio.CancelledError:
            phase = self.ran_out = None if self.delivering else self.watch.take_expired()
            if phase is None:
                raise
            await self._hear((next(iter(self.open), 0), [self._late(phase)]))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear_all(self, queue: _Queue, calls: tuple[BackendCall, ...]) -> None:
        running = len(calls)
        silent = set(range(running))  # those of which nothing has come
        while running and not self.has_ended():
            heard = await queue.get()
            if isinstance(heard, Exception):
                raise heard
            if heard is None:
                running -= 1
                continue
            silent.discard(heard[0])
            await self._hear(heard)
            # One that has begun makes another no faster.
            if silent:
                self._await_answer(self.watch, whole=calls[0].whole)
            else:
                self.go_on_waiting(self.watch)

    async def _pump(self, number: int, call: BackendCall, queue: _Queue) -> None:
        # The watch is not this task's: while the client is written to, the exchange waits for the client.
        try:
            await self._attempt(number, call, None, queue.put)
            await queue.put(None)
        except Exception as error:  # noqa: BLE001 - raised again where the batches are heard
            await queue.put(error)

    async def _attempt(self, number: int, call: BackendCall, watch: Watch | None, hear: _Hear) -> None:
        """One call to the backend; every attempt has one outcome in the metrics.

        Args:
            number: Which call of the round it is.
            call: What to send.
            watch: Told what is being waited for, where this task is the one that it watches.
            hear: Told of each read's batch, be it empty: that is a sign of life as well.
        """
        self.exchange.attempts += 1
        health = self.means.balancer.health.attempt(self.target.backend, self.target.model)
        attempt = _Attempt(self, number, self.open[number], watch, health, monotonic())
        try:
            await self._ask(call, attempt, hear)
        except UpstreamError as error:
            attempt.outcome, attempt.broke_on_the_way = error.reason, error.reason != "credential"
            if error.reason == "timeout":
                self.means.metrics.deadline("connect")
            await hear((number, [Failed(error.told())]))
        except asyncio.CancelledError:
            phase = watch.take_expired() if watch and not self.delivering else None
            if phase is None:
                if self.ran_out is not None and not (self.ran_out == "first_byte" and attempt.has_begun):
                    attempt.outcome, attempt.broke_on_the_way = "timeout", self.ran_out != "total"
                raise
            attempt.outcome, attempt.broke_on_the_way = "timeout", phase != "total"
            await hear((number, [self._late(phase)]))
        finally:
            if attempt.outcome == "cancelled" and self.satisfied:
                attempt.outcome = "ok"
            self.means.metrics.attempt(self.target.backend, attempt.outcome)
            if self.is_beaten:
                attempt.was_slow()
            attempt.end()
            self.means.balancer.lines.freed()
            self.means.balancer.retries.look()

    def _await_answer(self, watch: Watch, *, whole: bool) -> None:
        """Wait for the answer's beginning; a route may leave a target that is slow with it sooner.

        Not where the answer comes in one piece: nobody can tell then how long its first token took.
        """
        watch.wait_for_answer(whole=whole)
        if self.plan.first_token is not None and self.exchange.stream and not whole:
            watch.at = min(watch.at, monotonic() + self.plan.first_token)

    def go_on_waiting(self, watch: Watch) -> None:
        """Wait for more of the answer; what comes before its first token is no answer yet.

        A token that a filter of ours holds is one.
        """
        if self.plan.first_token is not None and self.exchange.stream and not self.begun:
            return
        watch.wait_for("gap")
        if self.plan.idle is not None:
            watch.at = monotonic() + self.plan.idle

    async def _ask(self, call: BackendCall, attempt: "_Attempt", hear: _Hear) -> None:
        watch = attempt.watch
        if watch:
            self._await_answer(watch, whole=call.whole)
        sending = attempt.sending = self.means.upstreams[self.target.backend].send(call)
        with sending:
            answer = await sending.answer()
            attempt.reader.start(answer.status, answer.headers)
            while data := await answer.read(attempt):
                batch = attempt.feed(data)
                if batch or watch is None:  # a sign of life means something only beside other calls
                    await hear((attempt.number, batch))
                if self.has_ended():
                    return
                if answer.is_read() or attempt.reader.is_done():
                    break
                if watch:
                    self.go_on_waiting(watch)
            attempt.check()
            if self.has_ended():
                return
            batch = attempt.close()
            sending.is_done = attempt.reader.is_done()
        await hear((attempt.number, batch))

    def learn(self, failed: Failed, credential: str) -> Failed:
        """Keep what a failure tells; as it is to be told, for it may lose its quotation here."""
        self.has_other_credential = self.means.learn(self.target, failed.error, credential)
        return failed if self.means.quote_backends else Failed(failed.error.unquoted())

    def _late(self, phase: Phase) -> Failed:
        self.means.metrics.deadline(phase)
        return Failed(too_late(phase))


class _Attempt(msgspec.Struct, eq=False):
    """One call, whose bytes become deltas; a `connection.Sink` once some of the answer was delivered."""

    round: Round
    number: int
    reader: AnswerReader
    watch: Watch | None
    health: Attempted
    started: float
    outcome: str = "cancelled"
    broke_on_the_way: bool = False
    has_begun: bool = False
    sending: Sending | None = None
    failure: ApiError | None = None
    error: Exception | None = None

    def feed(self, data: bytes) -> Batch:
        batch = self.reader.feed(data)
        if batch:
            self._look_at(batch)
        return batch

    def close(self) -> Batch:
        batch = self.reader.close()
        if batch:
            self._look_at(batch)
        if self.outcome == "cancelled":
            self.outcome = "ok"
        return batch

    def end(self) -> None:
        """Tell of the health of who was asked."""
        self.health.end(sign_of(self.outcome, self.failure), on_the_way=self.broke_on_the_way)

    def was_slow(self) -> None:
        """Another target was quicker: how long this one would have taken nobody knows, but it was longer."""
        if not self.has_begun:
            self.health.began(monotonic() - self.started)

    def _look_at(self, batch: Batch) -> None:
        if not self.has_begun and not isinstance(batch[0], Failed):
            self.has_begun = self.round.begun = True
            self.round.way.answers()
            self.health.began(monotonic() - self.started)
        last = batch[-1]
        if isinstance(last, Failed):
            credential = self.sending.credential if self.sending is not None else ""
            batch[-1] = self.round.learn(last, credential)
            self.failure, self.outcome = last.error, outcome_of(last.error)

    def is_ready(self) -> bool:
        return self.watch is not None and self.round.committed and self.round.recipient.takes_at_once()

    def take(self, data: bytes) -> bool:
        try:
            self.round.hear_at_once(self.number, self.feed(data))
        except Exception as error:  # noqa: BLE001 - raised again where the bytes are awaited
            self.error = error
            return False
        if self.watch:
            self.round.go_on_waiting(self.watch)
        return not (self.round.has_ended() or self.reader.is_done())

    def check(self) -> None:
        """Raise what went wrong while bytes were taken."""
        if self.error is not None:
            raise self.error


def _is_broken(batch: Batch) -> bool:
    return bool(batch) and isinstance(batch[-1], Failed)
