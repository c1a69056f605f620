"""Drives a request to an answer: targets in order, and the calls of each target's dialogue.

What is delivered are batches of deltas, each as large as one read of the backend produced. Until the first
batch everything may fail over to the next target; after it nothing is raised: what breaks then is a
`Failed` delta, for the client has part of the answer already. A retry is the same target again, a
failover the next one. There are two retries here: for a shorter answer, where a backend says that the
prompt fits into the model's window and only what was asked for beside it does not; and with another
credential, where a backend has several and one is refused.

The usage is booked here, whatever becomes of the answer: as the backend reported it, or as our own count
of what had come when the answer was cut off or the client left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from gateway.deadlines import Phase, Watch
from gateway.errors import TargetFullError, too_late
from gateway.exchange import Batch, Exchange, Recipient
from gateway.metrics import Metrics
from gateway.routing import Plan, Routes, Target
from gateway.translation import translate_for
from gateway.upstream import Upstream, UpstreamError
from translators.call import AnswerReader, BackendCall
from translators.chat import ChatRequest
from translators.deltas import Failed, Usage
from translators.dialogue import Dialogue
from translators.errors import INVALID_OUTPUT, ApiError, CredentialError
from translators.overflow import WindowError
from translators.report import header

_Heard = tuple[int, Batch]  # which call of the round it answers, and a batch as the backend gave it
_Hear = Callable[[_Heard], Awaitable[None]]
_Queue = asyncio.Queue[_Heard | Exception | None]  # None: a call has ended

# Refusals of a model that an account lacks or may not use; another target's account may have it.
_OF_THE_ACCOUNT: Final = frozenset({"model_not_available", "model_not_found"})

# What the next target, which has the same model and no more time, does no better.
_OF_THE_EXCHANGE: Final = frozenset({"deadline_total", INVALID_OUTPUT})

_AHEAD: Final = 16  # batches of a fan-out that may wait for a slow client


class Gate(Protocol):
    """Lets a request through to a target."""

    async def admit(self, target: Target, calls: Sequence[BackendCall]) -> None:
        """Let these calls pass.

        Raises:
            TargetFullError: Another target may have room.
            ApiError: The request may not be answered now.
        """


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Everything that answering needs."""

    upstreams: Mapping[str, Upstream]
    metrics: Metrics
    routes: Routes
    quote_backends: bool = True

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
        targets = list(plan.targets)
        failure: Batch | None = None
        while targets:
            target = targets.pop(0)
            try:
                dialogue, entries = translate_for(plan, target, request, exchange.stamp)
            except ApiError:
                if failure is None:
                    raise
                continue  # an earlier target could be asked: its failure is the reason
            calls = dialogue.first()
            if gate is not None:
                try:
                    await gate.admit(target, calls)
                except TargetFullError as error:
                    failure = failure or [Failed(error)]
                    continue
            exchange.backend = target.backend
            exchange.translation = header(entries)
            round_ = _Round(self, exchange, watch, target, plan, dialogue, recipient, is_last=not targets)
            await round_.run(calls)
            if round_.withheld is None:
                return
            failure = round_.withheld
            shorter = _with_room(target, plan, failure)
            if shorter is not None:
                targets.insert(0, shorter)
            elif round_.has_other_credential:
                targets.insert(0, target)
        if failure is not None:
            await recipient.take(failure)


def _with_room(target: Target, plan: Plan, batch: Batch) -> Target | None:
    """The target, to be asked once more for an answer that has room beside the prompt; or None."""
    error = batch[-1].error if isinstance(batch[-1], Failed) else None
    if not isinstance(error, WindowError) or error.window is None or target not in plan.targets:
        return None
    if error.room is not None:
        return msgspec.structs.replace(target, room=error.room) if error.room > 0 else None
    # How long the prompt is was not told: our own estimate decides, where the window was news to us.
    facts = msgspec.structs.replace(target.facts, window=error.window)
    return None if facts == target.facts else msgspec.structs.replace(target, facts=facts)


def _may_fail_over(batch: Batch) -> bool:
    """Whether another target may do better: the backend or its account is in trouble, the request is not."""
    last = batch[-1]
    if not isinstance(last, Failed) or last.error.code in _OF_THE_EXCHANGE:
        return False
    error = last.error
    return error.status == 429 or error.status >= 500 or error.code in _OF_THE_ACCOUNT


@dataclass(slots=True)
class _Round:
    """The calls of one dialogue at one target."""

    dispatch: Dispatch
    exchange: Exchange
    watch: Watch
    target: Target
    plan: Plan
    dialogue: Dialogue
    recipient: Recipient
    is_last: bool  # whether no other target follows
    open: dict[int, AnswerReader] = field(default_factory=dict)  # calls whose usage is not known yet
    begun: bool = False  # whether a backend has given some of the answer
    committed: bool = False  # whether some of it was delivered
    delivering: bool = False  # whether it is the client that is being waited for
    satisfied: bool = False  # whether nothing that still comes can matter
    broken: bool = False  # whether the last batch was a failure
    withheld: Batch | None = None  # a failure that was not delivered: another attempt follows
    has_other_credential: bool = False  # whether the backend refused one of several that it gave us

    @property
    def ended(self) -> bool:
        """Whether no call has anything more to say."""
        return self.satisfied or self.broken

    async def run(self, calls: tuple[BackendCall, ...]) -> None:
        try:
            while calls:
                self.open = {number: call.reader() for number, call in enumerate(calls)}
                if len(calls) == 1:
                    await self._attempt(0, calls[0], self.watch, self._hear)
                else:
                    await self._many(calls)
                calls = () if self.broken else self.dialogue.next()
        finally:
            if self.begun:
                self._book(self._count_open())

    async def _hear(self, heard: _Heard) -> None:
        """Deliver what the client is to see of a batch, but no failure after which others are asked."""
        batch = self._take(*heard)
        if batch and self.broken and not self.committed and self._goes_on(batch):
            self.withheld = batch
        elif batch:
            self.committed = self.delivering = True
            await self.recipient.take(batch)
            self.delivering = False

    def hear_at_once(self, number: int, batch: Batch) -> None:
        """Deliver what the client is to see of a batch; only where the client need not be waited for."""
        batch = self._take(number, batch)
        if batch:
            self.recipient.take_at_once(batch)

    def _goes_on(self, failure: Batch) -> bool:
        may_fail_over = not self.is_last and _may_fail_over(failure)
        has_room = _with_room(self.target, self.plan, failure) is not None
        return may_fail_over or has_room or self.has_other_credential

    def _book(self, batch: Batch) -> None:
        """Note the usage; in front of a failure it is for the books alone, for no answer has it."""
        at = -2 if _is_broken(batch) else -1
        usage = batch[at] if len(batch) >= -at else None
        if isinstance(usage, Usage):
            self.exchange.usage = usage
            if at == -2:
                del batch[at]

    def _take(self, number: int, batch: Batch) -> Batch:
        """What the client is to see of a call's batch, and the usage in it booked."""
        batch = self._seen(number, batch)
        self._book(batch)
        self.broken = _is_broken(batch)
        return batch

    def _seen(self, number: int, batch: Batch) -> Batch:
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
        queue: _Queue = asyncio.Queue(_AHEAD)
        tasks = [asyncio.create_task(self._pump(number, call, queue)) for number, call in enumerate(calls)]
        self.watch.wait_for_answer(whole=calls[0].whole)
        try:
            await self._hear_all(queue, calls)
        except asyncio.CancelledError:
            phase = None if self.delivering else self.watch.take_expired()
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
        while running and not self.ended:
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
                self.watch.wait_for_answer(whole=calls[0].whole)
            else:
                self.watch.wait_for("gap")

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
        attempt = _Attempt(self, number, self.open[number], watch)
        try:
            await self._ask(call, attempt, hear)
        except UpstreamError as error:
            attempt.outcome = error.reason
            if error.reason == "timeout":
                self.dispatch.metrics.deadline("connect")
            await hear((number, [Failed(error.told())]))
        except asyncio.CancelledError:
            phase = watch.take_expired() if watch and not self.delivering else None
            if phase is None:
                raise
            attempt.outcome = "timeout"
            await hear((number, [self._late(phase)]))
        finally:
            if attempt.outcome == "cancelled" and self.satisfied:
                attempt.outcome = "ok"
            self.dispatch.metrics.attempt(self.target.backend, attempt.outcome)

    async def _ask(self, call: BackendCall, attempt: "_Attempt", hear: _Hear) -> None:
        if attempt.watch:
            attempt.watch.wait_for_answer(whole=call.whole)
        sending = self.dispatch.upstreams[self.target.backend].send(call)
        attempt.credential = sending.credential
        async with sending as answer:
            attempt.reader.start(answer.status, answer.headers)
            while data := await answer.read(attempt):
                await hear((attempt.number, attempt.feed(data)))
                if self.ended:
                    return
                if attempt.watch:
                    attempt.watch.wait_for("gap")
            attempt.check()
            if self.ended:
                return
            batch = attempt.close()
        await hear((attempt.number, batch))

    def outcome_with(self, batch: Batch, outcome: str, credential: str) -> str:
        """What a batch says of the attempt's outcome; a failure in it may lose its quotation here."""
        if not batch:
            return outcome
        self.begun = self.begun or not isinstance(batch[0], Failed)
        last = batch[-1]
        if not isinstance(last, Failed):
            return outcome
        self._learn(last.error)
        if isinstance(last.error, CredentialError):
            credentials = self.dispatch.upstreams[self.target.backend].credentials
            self.has_other_credential = credentials.refused(credential)
        if not self.dispatch.quote_backends:
            batch[-1] = Failed(last.error.unquoted())
        return _outcome(last.error)

    def _learn(self, error: ApiError) -> None:
        if isinstance(error, WindowError) and error.window is not None:
            self.dispatch.routes.learn(self.target, error.window)

    def _late(self, phase: Phase) -> Failed:
        self.dispatch.metrics.deadline(phase)
        return Failed(too_late(phase))


@dataclass(slots=True)
class _Attempt:
    """One call, whose bytes become deltas; a `connection.Sink` once some of the answer was delivered."""

    round: _Round
    number: int
    reader: AnswerReader
    watch: Watch | None
    outcome: str = "cancelled"
    credential: str = field(default="", repr=False)
    error: Exception | None = None

    def feed(self, data: bytes) -> Batch:
        batch = self.reader.feed(data)
        self.outcome = self.round.outcome_with(batch, self.outcome, self.credential)
        return batch

    def close(self) -> Batch:
        batch = self.reader.close()
        self.outcome = self.round.outcome_with(batch, self.outcome, self.credential)
        if self.outcome == "cancelled":
            self.outcome = "ok"
        return batch

    def is_ready(self) -> bool:
        return self.watch is not None and self.round.committed and self.round.recipient.takes_at_once()

    def take(self, data: bytes) -> bool:
        try:
            self.round.hear_at_once(self.number, self.feed(data))
        except Exception as error:  # noqa: BLE001 - raised again where the bytes are awaited
            self.error = error
            return False
        if self.watch:
            self.watch.wait_for("gap")
        return not self.round.ended

    def check(self) -> None:
        """Raise what went wrong while bytes were taken."""
        if self.error is not None:
            raise self.error


def _is_broken(batch: Batch) -> bool:
    return bool(batch) and isinstance(batch[-1], Failed)


def _outcome(error: ApiError) -> str:
    match error.status:
        case 429:
            return "rate_limited"
        case 502 if error.code == "bad_backend_answer":
            return "invalid"
        case status if status < 500:
            return "http_4xx"
        case 504:
            return "timeout"
        case _:
            return "http_5xx"
