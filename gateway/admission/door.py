"""The way in for one exchange: its bill made out, its tokens estimated, and all of it settled at its end.

The first attempt is charged to everybody who answers for the request: the gateway, the model, the key and its
team, and the target. A further attempt is charged to its own target alone.
"""

from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from time import monotonic
from typing import Any, Final

import msgspec

from gateway.admission import Admission, ChangedError, Ticket
from gateway.admission.general import General
from gateway.errors import LimitError, TargetFullError, store_away
from gateway.estimates import Estimates
from gateway.exchange import Exchange
from gateway.keys import LIMITS, Caller, Keys
from gateway.limits import Bill, Subject, bill, standing
from gateway.metrics import Metrics
from gateway.quota import UNLIMITED, Quota
from gateway.routing import Target
from gateway.settings import Settings, WorkersAIBackend
from gateway.store import StoreAwayError
from translators.call import BackendCall
from translators.errors import ApiError

_MOST_BILLS: Final = 4096
_CHANGES: Final = 3  # times that a record may have changed under a request before that is an error

# Workers AI's own limits of one account and model (its documentation of limits).
_RPM: Final = 300
_PAID_RPM: Final = 20


class Doors:
    """Makes out bills, and remembers them."""

    def __init__(self, admission: Admission, keys: Keys, settings: Settings, metrics: Metrics) -> None:
        self.admission: Final = admission
        self.keys: Final = keys
        self.metrics: Final = metrics
        self.estimates: Final = Estimates()
        self.general: Final = General(settings, keys.register)
        self._keeping = frozenset(
            name
            for name, backend in settings.backends.items()
            if isinstance(backend, WorkersAIBackend) and backend.keeps_rate_limits
        )
        self._bills: dict[tuple[object, ...], Bill] = {}

    def changed(self, record_id: bytes) -> None:
        """A record has changed, of a key or a team or of what holds for all."""
        self.keys.changed(record_id)
        self.general.changed(record_id)

    def door(self, exchange: Exchange, caller: Caller) -> "Door":
        """The way in for an exchange."""
        return Door(self, exchange, caller)

    def first_bill(self, caller: Caller, model: str, target: Target) -> Bill:
        """What a request's first attempt is charged to."""
        place = (caller.identity, model, target.backend, target.model, self.general.known.version)
        made = self._bills.get(place)
        if made is None:
            subjects = [*self._of_all(model), *_of_caller(caller, model), *self.of_target(target)]
            made = bill(subjects, caller.records)
            if not made.is_empty:
                made = msgspec.structs.replace(made, records=(*made.records, *self.general.records))
            self._remember(place, made)
        return made

    def further_bill(self, target: Target) -> Bill:
        """What a further attempt is charged to."""
        place = (target.backend, target.model, target.quota)  # routes may set different limits of it
        made = self._bills.get(place)
        return self._remember(place, bill(self.of_target(target))) if made is None else made

    def of_target(self, target: Target) -> Iterator[Subject]:
        """The limits of all requests to a target: its account's, and those that are set."""
        if target.backend in self._keeping:
            quota = Quota(rpm=_PAID_RPM if "paid" in target.facts.can else _RPM, away="open")
            yield f"target:{target.backend}:{target.model}", f"{_TARGET}'{target.model}'", quota
        if target.quota != UNLIMITED:
            yield f"set:{target.backend}:{target.model}", f"{_TARGET}'{target.model}'", target.quota

    def _remember(self, place: tuple[object, ...], made: Bill) -> Bill:
        if len(self._bills) >= _MOST_BILLS:
            del self._bills[next(iter(self._bills))]
        self._bills[place] = made
        return made

    def _of_all(self, model: str) -> Iterator[Subject]:
        if self.general.gateway[2] != UNLIMITED:
            yield self.general.gateway
        if model in self.general.models:
            yield self.general.models[model]


# What begins the name of a target; nothing else is called so.
_TARGET: Final = "the backend's model "


def _of_caller(caller: Caller, model: str) -> Iterator[Subject]:
    """The key's limits and its team's, and those that each has for this model alone."""
    for record, words in ((caller.team, "team"), (caller.key, "key")):
        if record is None:
            continue
        yield record.id, f"{words} '{record.name}'", record.quota
        yield from _of_models(record.id, f"{words} '{record.name}'", record.per_model, model)


def _of_models(place: str, words: str, quotas: Mapping[str, Quota], model: str) -> Iterable[Subject]:
    for glob, quota in quotas.items():
        if fnmatchcase(model, glob):
            yield f"{place}:m:{glob}", f"{words} with models '{glob}'", quota


class Door:
    """Lets one exchange in; a `dispatch.Gate`."""

    __slots__ = ("_caller", "_doors", "_exchange", "_further", "_learning", "_ticket")

    def __init__(self, doors: Doors, exchange: Exchange, caller: Caller) -> None:
        self._doors = doors
        self._exchange = exchange
        self._caller = caller
        self._ticket: Ticket | None = None
        self._further: list[tuple[Target, Ticket]] = []
        self._learning: tuple[str, int] | None = None  # of whose prompt the usage will tell: model, bytes

    def admit(self, target: Target, calls: Sequence[BackendCall]) -> Coroutine[Any, Any, None]:
        """Let the calls of an attempt pass.

        Raises:
            TargetFullError: It is the target's own limit that is used up.
            ApiError: 429 by another limit; 401 by a key that holds no more; 503 where nobody can tell.
        """
        prompt_bytes = calls[0].prompt_bytes
        self._learning = (target.model, prompt_bytes) if len(calls) == 1 else None
        if self._ticket is None:
            return self._admit_first(target, calls)
        return self._admit_further(target, calls)

    async def _admit_further(self, target: Target, calls: Sequence[BackendCall]) -> None:
        further = self._doors.further_bill(target)
        if not further.is_empty:
            tokens = self._tokens(target, calls) if further.counted else 0
            # What an exchange holds stands under its own name once, and so each attempt has one of its own.
            name = f"{self._exchange.request_id}:{len(self._further) + 1}"
            try:
                ticket = await self._doors.admission.admit(name, further, tokens)
            except LimitError as refusal:
                raise self._refused(refusal) from None
            self._further.append((target, ticket))

    async def _admit_first(self, target: Target, calls: Sequence[BackendCall]) -> None:
        doors, exchange = self._doors, self._exchange
        for _ in range(_CHANGES):
            made = doors.first_bill(self._caller, exchange.model, target)
            if made.is_empty:
                return
            try:
                tokens = self._tokens(target, calls) if made.counted else 0
                ticket = await doors.admission.admit(exchange.request_id, made, tokens)
            except LimitError as refusal:
                raise self._refused(refusal) from None
            except ChangedError as changed:
                await self._read_anew(changed.key)
                continue
            self._ticket = ticket  # settled at the end, also where what follows refuses
            if ticket.at is None:
                doors.metrics.admitted_alone()
                doors.keys.check_unconfirmed(self._caller)
            else:
                self._caller.confirmed = monotonic()
            exchange.standing = standing(made, ticket.rest)
            return
        raise _restless()

    async def _read_anew(self, record: str) -> None:
        """Learn what a record says now on which the admission rests.

        Raises:
            ApiError: The caller may not ask any more; 503 where the store does not answer.
        """
        if record == LIMITS:
            try:
                await self._doors.general.refresh()
            except StoreAwayError:
                raise store_away() from None
        else:
            self._caller = await self._doors.keys.refresh(self._caller, self._exchange.address)
            self._caller.check_inference()
            self._caller.check_model(self._exchange.model)

    def _tokens(self, target: Target, calls: Sequence[BackendCall]) -> int:
        """How many tokens the calls may use: the prompt, which is counted once, and all answers."""
        tokens = self._doors.estimates.tokens(target.model, calls[0].prompt_bytes)
        for call in calls:
            tokens += call.most_tokens
        return tokens

    def _refused(self, refusal: LimitError) -> LimitError:
        """What a refusal is to those who choose among targets."""
        self._exchange.standing = refusal.standing
        self._doors.metrics.limited(_kind(refusal.subject), refusal.type)
        if not refusal.subject.startswith(_TARGET):
            return refusal
        return TargetFullError(
            refusal.message, refusal.type, refusal.subject, retry_after=refusal.retry_after
        )

    def close(self) -> None:
        """The exchange has ended: settle what it used."""
        usage = self._exchange.usage
        if usage is not None and self._learning is not None and not usage.estimated:
            self._doors.estimates.learn(*self._learning, usage.prompt)
        if self._ticket is None:  # and so of no further attempt
            return
        tokens = usage.prompt + usage.completion if usage is not None else 0
        self._doors.admission.settle(self._ticket, tokens)
        if not self._further:
            return
        answered, unpaid = (self._exchange.backend, self._exchange.target_model), tokens
        for target, ticket in reversed(self._further):
            paid = unpaid if (target.backend, target.model) == answered else 0
            self._doors.admission.settle(ticket, paid)
            unpaid -= paid


def _kind(subject: str) -> str:
    """What kind of subject this is: gateway, model, team, key or target."""
    first = subject.partition(" ")[0]
    return {"this": "gateway", "the": "target"}.get(first, first)


def _restless() -> ApiError:
    return ApiError(503, "The key's settings are changing. Ask again.", retry_after=1.0)
