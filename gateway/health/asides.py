"""What is set aside or drained, on all workers: kept in the store, and known here as of the last second.

A backend that says that it is busy is left alone for as long as it says: what one worker was told all
others need not ask. Operators may set aside as well. A drain is theirs alone and lasts until it is taken
back: the two stand in places of their own, so that neither undoes the other. Where the store is away each
worker goes on with what it knows.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from time import monotonic, time
from typing import Any, Final, Protocol

import msgspec

from gateway.health.conditions import LOOK, Health
from gateway.store import TAG, Script, StoreAwayError
from translators.errors import ApiError

_PLACE: Final = f"{TAG}:asides"
CHANGES: Final = f"{TAG}:asides:changes"
_WRITE: Final = Script("aside_write")
_LOOK: Final = 1.0  # seconds
_LEAST_SHARED: Final = 0.5  # seconds; what is over sooner is over before others know of it
_LONGEST: Final = 86_400.0  # seconds; a backend's word does not count for longer


class Store(Protocol):
    """The part of the store that this room uses."""

    @property
    def is_away(self) -> bool:
        """Whether calls would fail at once."""

    async def command(self, *words: Any) -> Any:
        """Give a plain command; StoreAwayError where it does not answer."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> list[Any]:
        """Run a script; the same."""


class Aside(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why and until when nothing new is sent somewhere.

    Attributes:
        backend: Its name.
        model: Of which model there alone; None: of all.
        until: In seconds since 1970; None: until it is taken back.
        why: In words, for operators.
        may_look: Whether nobody said for how long, so that a request may look now and then.
    """

    backend: str
    model: str | None = None
    until: float | None = None
    why: str = ""
    may_look: bool = False

    @property
    def is_drain(self) -> bool:
        """Whether it lasts until it is taken back."""
        return self.until is None

    @property
    def place(self) -> str:
        """What tells it from others."""
        return place_of(self.backend, self.model, drained=self.is_drain)


class Logged(msgspec.Struct, frozen=True):
    """An entry of the audit log, written with the change that it is about.

    Attributes:
        log: The log's key in the store.
        entry: As it is kept there.
        most: How many entries are kept, or some more.
    """

    log: str
    entry: bytes
    most: int


class Found(msgspec.Struct, frozen=True):
    """What stands at a place, and how the store has it."""

    aside: Aside | None = None
    stored: bytes = b""


def place_of(backend: str, model: str | None, *, drained: bool) -> str:
    """Where the drain of a backend, or of a model there, stands; or that it is set aside."""
    kind = "drain" if drained else "aside"
    return f"{kind} {backend}" if model is None else f"{kind} {backend}\0{model}"  # names may have spaces


class Asides:
    """What is set aside, as this worker knows it.

    Args:
        health: Where it counts.
        store: Where all workers see it; None where there is no store.
    """

    def __init__(self, health: Health, store: Store | None) -> None:
        self._health = health
        self._store = store
        self._known: dict[str, Aside] = {}
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, backend: str, model: str, error: ApiError) -> None:
        """A backend says that it is busy with a model, or its account has used up the day's allocation."""
        of_all = error.code == "insufficient_quota"
        wait = None if error.retry_after is None else min(error.retry_after, _LONGEST)
        until = self._health.set_aside(backend, None if of_all else model, wait)
        seconds = until - monotonic()
        why = error.code or error.type
        aside = Aside(backend, None if of_all else model, time() + seconds, why, may_look=wait is None)
        known = self._known.get(aside.place)
        is_news = known is None or (known.until or 0.0) < time() + seconds - _LEAST_SHARED
        if seconds >= _LEAST_SHARED and is_news:
            self._known[aside.place] = aside
            self._share(aside)

    async def find(self, place: str) -> Found:
        """What stands at a place now, for who is about to change it.

        Raises:
            StoreAwayError: It does not answer.
        """
        stored = await self._command("HGET", _PLACE, place)
        return Found() if stored is None else Found(msgspec.json.decode(stored, type=Aside), stored)

    async def change(self, place: str, found: Found, after: Aside | None, logged: Logged) -> bool:
        """Drain, set aside, or take that back, on all workers; and say whether it was still as it was found.

        Args:
            place: Which is changed.
            found: What stood there.
            after: What shall stand there; None: nothing.
            logged: The audit log's entry.

        Raises:
            StoreAwayError: The others cannot be told.
        """
        if self._store is None:
            raise StoreAwayError("away")
        new = b"" if after is None else msgspec.json.encode(after)
        args: list[bytes | str | int] = [place, found.stored, new, logged.entry, logged.most, CHANGES]
        _now, is_written = await self._store.run(_WRITE, [_PLACE, logged.log], args)
        if not is_written:
            return False
        self._known.pop(place, None)
        if after is not None:
            self._known[place] = after
        self._apply()
        return True

    def all(self) -> list[Aside]:
        """Everything that is set aside or drained now."""
        now = time()
        return [each for each in self._known.values() if each.until is None or each.until > now]

    def changed(self, _place: bytes) -> None:
        """Somebody has set something aside, or taken it back."""
        self._news.set()

    async def run(self) -> None:
        """Look what others have set aside, once a second and when they say so."""
        while True:
            with suppress(StoreAwayError):
                await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._news.wait()
            self._news.clear()

    async def look(self) -> None:
        """See what the store has.

        Raises:
            StoreAwayError: It does not answer.
        """
        found = await self._command("HVALS", _PLACE) or ()
        asides = [msgspec.json.decode(each, type=Aside) for each in found]
        now = time()
        back = [each.place for each in asides if self._is_back(each)]
        over = [each.place for each in asides if each.until is not None and each.until <= now]
        if back or over:
            await self._command("HDEL", _PLACE, *back, *over)
        if back:
            await self._command("PUBLISH", CHANGES, back[0])
        self._known = {each.place: each for each in asides if each.place not in {*back, *over}}
        self._apply()

    def _is_back(self, aside: Aside) -> bool:
        """Whether a request of this worker has looked, and found it well; others may have put it anew."""
        if self._known.get(aside.place) != aside:
            return False
        condition = self._health.condition(aside.backend, aside.model) if aside.may_look else None
        return condition is not None and condition.look_at == inf

    def _apply(self) -> None:
        """Have all conditions be as is known."""
        ahead = monotonic() - time()
        for aside in self._known.values():
            if aside.backend in self._health.backends and aside.model is not None:
                self._health.of(aside.backend, aside.model)
        for backend, condition in self._health.backends.items():
            for model, each in ((None, condition), *self._health.models_of(backend).items()):
                each.drained = place_of(backend, model, drained=True) in self._known
                found = self._known.get(place_of(backend, model, drained=False))
                each.aside_until = -inf if found is None or found.until is None else found.until + ahead
                if found is None or not found.may_look:
                    each.look_at = inf
                elif each.look_at == inf:
                    each.look_at = monotonic() + LOOK

    def _share(self, aside: Aside) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(aside))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, aside: Aside) -> None:
        with suppress(StoreAwayError):
            await self._command("HSET", _PLACE, aside.place, msgspec.json.encode(aside))
            await self._command("PUBLISH", CHANGES, aside.place)

    async def _command(self, *words: Any) -> Any:
        if self._store is None:
            raise StoreAwayError("away")
        return await self._store.command(*words)
