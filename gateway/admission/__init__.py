"""Lets requests in, each against all of its limits at once, and settles what they used when they end.

One call to the store decides many requests: those that come in the same turn of the event loop, and those
that come while the store is still busy with earlier ones. The same call first gives back what ended exchanges
held, so that who has just got an answer may ask again; one call is under way at a time, and so in order. A
call that did not answer in time counts as not made; what it may have taken in spite of that is free again
when its lease runs out. While the store is away each limit says what holds (`share`), and what was admitted
meanwhile is told to the store when it is back.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

import msgspec

from gateway.admission import batch
from gateway.admission.batch import Ask, Settlement
from gateway.admission.refusals import refused_by_lease, refused_by_window
from gateway.admission.share import Share
from gateway.errors import LimitError
from gateway.limits import Bill, standing
from gateway.store import TAG, Reason, Script, StoreAwayError

_TURN: Final = Script("turn", parts=("settle", "admit"))
_SETTLE: Final = Script("settle")
_RENEW: Final = Script("renew")
_LOST: Final = Script("lost")
_JOIN: Final = Script("join")

_WORKERS: Final = f"{TAG}:workers"

_MOST_ASKS: Final = 64  # in one call; a script holds up the store for all others
_MOST_SETTLED: Final = 128
_MOST_RENEWED: Final = 1000
# More than any limit, so that it is refused: the scripts count in doubles, and a call is written in 64 bits.
_MOST_TOKENS: Final = 10**15 + 1
# Seconds that a settlement waits for others, or for the next admission, which takes it along. A lease is
# given back at once where other workers are: a client that has got its answer may ask one of them.
_COMPANY: Final = 0.02
_PATIENCE: Final = 2.0  # seconds for what no request waits for
_PAUSE: Final = 0.25  # seconds before a settlement that failed is tried again
_MOST_WAITING: Final = 200_000  # settlements that are kept for a store that is away

_MEMBERSHIP: Final = 2.0  # seconds between two signs of life, at most
_MEMBER_FOR: Final = 6_000  # ms that one counts
_RENEWALS: Final = 4.5  # a lease is renewed so often before it would run out
# What certainly did not run: the store says so, or its time was up before the store came to it.
_NOT_DONE: Final[frozenset[Reason]] = frozenset({
    "away", "timeout", "late", "full", "read_only", "loading", "busy", "denied", "moved", "pool",
})  # fmt: skip
_LAST_SETTLEMENTS: Final = 1.0  # seconds that an ending worker takes for them


Argument = bytes | str | int
Waited = TypeVar("Waited")


class Store(Protocol):
    """The part of the store that this room uses."""

    @property
    def is_away(self) -> bool:
        """Whether calls would fail at once."""

    def now(self) -> int | None:
        """The store's time in ms, as far as it is known."""

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument], within: float | None = None
    ) -> list[Any]:
        """Run a script; by default within the time that a request waits.

        Raises:
            StoreAwayError: It did not answer in time, or not as it should.
        """


class ChangedError(Exception):
    """A record on which the admission rests has changed: read it anew. `key` is its key in the store."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key: Final = key


class Ticket(msgspec.Struct):
    """One admitted exchange: what it is charged and what it holds, until it is settled.

    Attributes:
        at: When it was admitted, in ms of the store; None: without the store.
        since: The same by this worker's clock, in ms.
        rest: The windows of its bill that have the least left, and how much, as `admit.lua` tells it.
    """

    exchange: str
    bill: Bill
    tokens: int
    at: int | None
    since: int
    rest: Sequence[int] = ()
    settled: bool = False


class _Waiting(Ask, frozen=True):
    admitted: asyncio.Future[Ticket]


class Admission:
    """Admits and settles for one worker.

    Args:
        store: Where the limits stand.
        worker: This worker's name, unlike any other's.
        lease: Seconds after which what a dead worker held is free again.
    """

    def __init__(self, store: Store, worker: str, lease: float) -> None:
        self._store = store
        self._worker = worker
        self._lease = int(lease * 1000)
        self._share = Share(_now)
        self._asking: deque[_Waiting] = deque()
        self._is_asking = False  # whether a call is under way, or begins when this turn of the loop is over
        self._live: set[str] = set()  # exchanges with an entry in the store
        self._settling: deque[Settlement] = deque()
        self._used: dict[tuple[str, int, int], int] = {}  # without the store: window, slot's length, which
        self._is_catching_up = False
        self._woken: asyncio.TimerHandle | None = None
        self._asker: asyncio.Task[None] | None = None  # kept, as the loop alone does not
        self._catching_up: set[asyncio.Task[None]] = set()

    async def admit(self, exchange: str, bill: Bill, tokens: int) -> Ticket:
        """Let a request in.

        Args:
            exchange: Its id.
            bill: What it is charged to.
            tokens: How many it may use; what it did not use is given back when it is settled.

        Raises:
            LimitError: A limit has no room.
            ApiError: 503 where a limit cannot be checked.
            ChangedError: The bill rests on a record that has changed.
        """
        tokens = min(tokens, _MOST_TOKENS)
        if self._store.is_away or self._is_catching_up:
            return self._admit_alone(Ask(exchange, bill, tokens))
        admitted: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(exchange, bill, tokens, admitted)
        self._asking.append(waiting)
        self._wake()
        try:
            return await admitted
        except StoreAwayError:
            return self._admit_alone(waiting)
        except asyncio.CancelledError:
            if not admitted.cancelled() and admitted.exception() is None:
                self.settle(admitted.result(), 0)  # who asked left in the moment of being let in
            raise

    def settle(self, ticket: Ticket, tokens: int) -> None:
        """An exchange has ended, having used so many tokens; a second time changes nothing."""
        if ticket.settled:
            return
        ticket.settled = True
        bill, unused = ticket.bill, tokens - ticket.tokens
        if bill.held:
            self._share.release(bill, ticket.exchange)
        if bill.counted and unused:
            self._share.change(bill, ticket.since, unused)
        if ticket.at is not None:
            if bill.entry:
                self._live.discard(ticket.exchange)
                settlement = Settlement(ticket.exchange, ticket.at, unused, bill.counted, bill.held)
                self._settle_later(settlement)
            return
        for key, slot in bill.counted:
            self._note_use(key, slot, ticket.since, tokens)
        if bill.held:  # the store knows of them if it came back meanwhile
            self._settle_later(Settlement(ticket.exchange, 0, 0, (), bill.held, kind=1))
        if not self._store.is_away:
            self._tell_use()

    async def run(self) -> None:
        """Show that this worker lives, renew what its exchanges hold, and clear up after dead ones."""
        between_renewals = self._lease / 1000 / _RENEWALS
        pause = min(_MEMBERSHIP, between_renewals)
        beats_between_renewals = int(between_renewals / pause)
        beat = 0
        while True:
            with suppress(StoreAwayError):  # whatever keeps it from being counted, its exchanges live
                await self._join(_MEMBER_FOR)
            with suppress(StoreAwayError):
                if beat % beats_between_renewals == 0:
                    await self._renew()
                    await self._clear_up()
                beat += 1
                self._settle_now()
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Settle what is left, and leave."""
        with suppress(TimeoutError, StoreAwayError):
            async with asyncio.timeout(_LAST_SETTLEMENTS):
                await self._settle_all()
                await self._join(0)

    def returned(self) -> None:
        """The store is back: tell it what was admitted without it, before it is asked for more."""
        self._is_catching_up = True
        task = asyncio.get_running_loop().create_task(self._catch_up())
        self._catching_up.add(task)
        task.add_done_callback(self._catching_up.discard)

    def _admit_alone(self, ask: Ask) -> Ticket:
        self._share.check(ask.bill, ask.tokens)
        for window in ask.bill.windows:
            if window.unit == "requests":
                self._note_use(window.key, window.slot, _now(), 1)
        return self._admitted(ask, None, ())

    def _admitted(self, ask: Ask, at: int | None, rest: Sequence[int]) -> Ticket:
        exchange, bill = ask.exchange, ask.bill
        since = self._share.note(bill, ask.tokens)
        if bill.held:
            self._share.hold(bill, exchange)
        if at is not None and bill.entry:
            self._live.add(exchange)
        return Ticket(exchange, bill, ask.tokens, at, since, rest)

    def _wake(self) -> None:
        """Ask the store when this turn of the event loop is over; what else comes in it goes with it."""
        if not self._is_asking:
            self._is_asking = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._asker = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        """One call after the other, as long as there is something that does not wait for company."""
        try:
            while self._asking or (self._woken is None and self._settling and not self._store.is_away):
                if self._asking:
                    await self._admit_some()
                else:
                    await self._settle_or_later()
        finally:
            self._is_asking = False

    async def _admit_some(self) -> None:
        asking = _taken(self._asking, _MOST_ASKS)
        items = _taken(self._settling, _MOST_SETTLED)
        try:
            admitted = batch.admission(asking, self._lease)
            keys, args = batch.turn(batch.settlement(items), admitted)
            now, packed = await self._store.run(_TURN, keys, args)
            for waiting, answer in zip(asking, batch.answers(packed), strict=True):
                self._tell(waiting, now, answer)
        except Exception as error:  # noqa: BLE001 - each of those who wait is told
            self._put_back(items, error)
            for waiting in asking:
                if not waiting.admitted.done():
                    waiting.admitted.set_exception(error)

    async def _settle_or_later(self) -> None:
        try:
            await self._settle_some()
        except StoreAwayError:
            self._woken = asyncio.get_running_loop().call_later(_PAUSE, self._settle_now)

    def _put_back(self, items: Sequence[Settlement], error: Exception) -> None:
        """Once more when the store is back: those with an entry change nothing twice, as what did not run."""
        may_be_done = not isinstance(error, StoreAwayError) or error.reason not in _NOT_DONE
        self._settling.extendleft(item for item in reversed(items) if item.kind != 1 or not may_be_done)

    def _tell(self, waiting: _Waiting, now: int, answer: list[int]) -> None:
        verdict, numbers = answer[0], answer[1:]
        if verdict == 0:
            ticket = self._admitted(waiting, now, numbers)
            if waiting.admitted.done():  # who asked has left meanwhile
                self.settle(ticket, 0)
            else:
                waiting.admitted.set_result(ticket)
        elif not waiting.admitted.done():
            waiting.admitted.set_exception(_refusal(waiting, verdict, numbers))

    def _settle_later(self, settlement: Settlement) -> None:
        self._settling.append(settlement)
        if len(self._settling) > _MOST_WAITING:
            self._settling.popleft()
        if self._store.is_away or self._is_catching_up:
            return
        may_be_wanted = settlement.leases and self._share.workers != 1
        if may_be_wanted or len(self._settling) >= _MOST_SETTLED:
            self._settle_now()
        elif self._woken is None:
            self._woken = asyncio.get_running_loop().call_later(_COMPANY, self._settle_now)

    def _settle_now(self) -> None:
        if self._woken is not None:
            self._woken.cancel()
            self._woken = None
        self._wake()

    async def _settle_some(self) -> None:
        items = _taken(self._settling, _MOST_SETTLED)
        try:
            await self._store.run(_SETTLE, *batch.settlement(items))
        except StoreAwayError as error:
            self._put_back(items, error)
            raise

    async def _settle_all(self) -> None:
        while self._settling:
            await self._settle_some()

    def _note_use(self, key: str, slot: int, since: int, amount: int) -> None:
        """Keep what was used of a window without the store, until it is back."""
        place = (key, slot, since // slot)
        if amount and (place in self._used or len(self._used) < _MOST_WAITING):
            self._used[place] = self._used.get(place, 0) + amount

    def _tell_use(self) -> None:
        there = self._store.now()
        if there is None:
            return
        ahead = there - _now()
        used, self._used = self._used, {}
        for (key, slot, number), amount in used.items():
            self._settling.append(Settlement("", number * slot + ahead, amount, ((key, slot),), kind=1))
        self._settle_now()

    async def _catch_up(self) -> None:
        try:
            with suppress(StoreAwayError):  # what was not done is done when it is back once more
                await self._join(_MEMBER_FOR)
                await self._renew()
                self._tell_use()
                await self._settle_all()
                self._share.is_back()
        finally:
            self._is_catching_up = False

    async def _join(self, lasting: int) -> None:
        _now_there, workers = await self._store.run(_JOIN, [_WORKERS], [self._worker, lasting], _PATIENCE)
        if lasting and isinstance(workers, int):
            self._share.workers = workers

    async def _renew(self) -> None:
        for piece in _pieces(list(self._live)):
            await self._store.run(_RENEW, *batch.renewal(self._lease, piece, ()), _PATIENCE)
        held: list[tuple[str, Sequence[str]]] = []
        count = 0
        for key in self._share.leases():
            for piece in _pieces(self._share.holders(key)):
                held.append((key, piece))
                count += len(piece)
                if count >= _MOST_RENEWED:
                    await self._renew_leases(held)
                    held, count = [], 0
        if held:
            await self._renew_leases(held)

    async def _renew_leases(self, held: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Renew what living exchanges hold.

        One that ends meanwhile may have given back its lease just before that was renewed, and so taken
        again: it gives it back once more.
        """
        try:
            await self._store.run(_RENEW, *batch.renewal(self._lease, (), held), _PATIENCE)
        finally:
            for key, exchanges in held:
                for exchange in set(exchanges).difference(self._share.holders(key)):
                    self._settle_later(Settlement(exchange, 0, 0, (), (key,), kind=1))

    async def _clear_up(self) -> None:
        """Give back what exchanges held that nobody renews any more; one worker may have had thousands."""
        while True:
            _now_there, *found = await self._store.run(
                _LOST, [batch.OPEN, batch.ENTRIES], [_MOST_SETTLED], _PATIENCE
            )
            if not found:
                return
            items = [batch.lost(*each) for each in zip(found[::2], found[1::2], strict=True)]
            _now_there, settled = await self._store.run(_SETTLE, *batch.settlement(items), _PATIENCE)
            if settled < _MOST_SETTLED:
                return


def _taken(queue: deque[Waited], most: int) -> list[Waited]:
    """The first of a queue, which they leave."""
    if len(queue) > most:
        return [queue.popleft() for _ in range(most)]
    taken = list(queue)
    queue.clear()
    return taken


def _pieces(exchanges: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many as one call takes."""
    for start in range(0, len(exchanges), _MOST_RENEWED):
        yield exchanges[start : start + _MOST_RENEWED]


def _refusal(ask: Ask, verdict: int, numbers: Sequence[int]) -> LimitError | ChangedError:
    match verdict:
        case 1:
            index, used, wait, *rest = numbers
            window = ask.bill.windows[index - 1]
            cost = ask.tokens if window.unit == "tokens" else 1
            seconds = None if wait < 0 else wait / 1000
            return refused_by_window(window, cost, used, seconds, standing(ask.bill, rest))
        case 2:
            index, used, *rest = numbers
            return refused_by_lease(ask.bill.leases[index - 1], used, standing(ask.bill, rest))
        case _:
            return ChangedError(ask.bill.records[numbers[0] - 1][0])


def _now() -> int:
    return int(monotonic() * 1000)
