"""The limits of the gateway and its models: those of the settings, and those set at run time in their place.

What is set stands in the store as one record, whose version admission compares as it does those of keys: a
request that is charged to anything obeys it at once, on every worker. One that so far is charged to nothing
asks nobody, and obeys it when that is announced, or within a second.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Final

from gateway.keys import LIMITS, Actor, Register, SetLimits
from gateway.keys.together import Together
from gateway.limits import Subject
from gateway.quota import quota_of
from gateway.settings import Limits, Settings
from gateway.store import StoreAwayError

_LOOK: Final = 1.0  # seconds
_ID: Final = b"limits"  # as a change is announced
_ONE: Final = b""  # what is asked together: there is but one record

Fields = Mapping[str, Any]


class General:
    """What holds for all keys alike, as this worker knows it.

    Args:
        settings: What holds where nothing else is set.
        register: Where what is set is kept; None where there is no store.

    Attributes:
        known: What is set.
        gateway: The limits of all requests together.
        models: Those of all requests for a model, of each that has some or stands in the settings.
        records: What to compare when something is admitted: the record, with its version.
    """

    def __init__(self, settings: Settings, register: Register | None) -> None:
        self._gateway = _fields(settings.limits)
        self._models = {name: _fields(route.limits) for name, route in settings.models.items()}
        self._register = register
        self._reading: Together[None] = Together()
        self._as_of = 0.0  # an answer to what was asked before is older than what is known
        self._news = asyncio.Event()
        self._know(SetLimits())

    def changed(self, record_id: bytes) -> None:
        """A record has changed: look soon, if it is this one."""
        if record_id == _ID:
            self._news.set()

    async def refresh(self) -> None:
        """Read anew what is set.

        Raises:
            StoreAwayError: The store does not answer.
        """
        if self._register is not None:
            await self._reading.ask(_ONE, partial(self._read, self._register))

    async def change(
        self, register: Register, change: Callable[[SetLimits], SetLimits], actor: Actor
    ) -> None:
        """Set some limits, or go back to what the settings say.

        Raises:
            ConflictError: Somebody else keeps changing them.
            StoreAwayError: The store does not answer.
        """
        after = await register.change_limits(change, actor)
        self._as_of = monotonic()
        self._know(after)

    async def look(self) -> None:
        """Read anew what is set, where the store answers."""
        with suppress(StoreAwayError):
            await self.refresh()

    async def run(self) -> None:
        """Keep what is known up to date, until cancelled."""
        while True:
            self._news.clear()
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._news.wait()

    async def _read(self, register: Register) -> None:
        asked = monotonic()
        found = await register.limits()
        if asked >= self._as_of and found.version != self.known.version:
            self._know(found)

    def _know(self, found: SetLimits) -> None:
        self.known = found
        self.records = ((LIMITS, found.version),) if self._register is not None else ()
        self.gateway: Subject = (
            "all",
            "this gateway",
            quota_of(_in_place_of(self._gateway, found.gateway)),
        )
        self.models: Mapping[str, Subject] = {
            name: (
                f"model:{name}",
                f"model '{name}'",
                quota_of(_in_place_of(self._models.get(name, {}), found.models.get(name, {}))),
            )
            for name in {**self._models, **found.models}
        }


def _fields(limits: Limits) -> Fields:
    return limits.model_dump(exclude_none=True)


def _in_place_of(fields: Fields, own: Fields) -> Fields:
    """Limits with those in their place that were set; of a burst as well field by field."""
    both = {**fields, **own}
    if "burst" in fields and "burst" in own:
        both["burst"] = {**fields["burst"], **own["burst"]}
    return both
