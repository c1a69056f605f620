"""How much of its limits somebody has used: asked of the store, which changes nothing by that."""

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from gateway.limits import Subject, bill
from gateway.store import Script

CountedUnit = Literal["requests", "tokens", "concurrency"]

_USED: Final = Script("used")


class Store(Protocol):
    """The part of the store that this room uses."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> list[Any]:
        """Run a script; StoreAwayError where it does not answer."""


class Use(msgspec.Struct, frozen=True):
    """A limit, and how much of it is used now.

    Attributes:
        subject: Whose it is, as it was asked.
        unit: `requests` or `tokens` of a window; `concurrency` is what is in flight.
        span: The window's length, as people call it; None where there is no window.
    """

    subject: Subject
    unit: CountedUnit
    span: str | None
    limit: int
    used: int


async def used(store: Store, subjects: Sequence[Subject]) -> list[Use]:
    """Each limit of all these, with what is used of it.

    Raises:
        StoreAwayError: The store does not answer.
    """
    bills = [(subject, bill([subject])) for subject in subjects]
    windows = [(subject, window) for subject, made in bills for window in made.windows]
    leases = [(subject, lease) for subject, made in bills for lease in made.leases]
    if not windows and not leases:
        return []
    keys = [*(window.key for _subject, window in windows), *(lease.key for _subject, lease in leases)]
    widths = msgspec.msgpack.encode([window.slot for _subject, window in windows])
    _now, *amounts = await store.run(_USED, keys, [widths])
    of_windows, of_leases = amounts[: len(windows)], amounts[len(windows) :]
    return [
        *(
            Use(subject, window.unit, window.span, window.limit, amount)
            for (subject, window), amount in zip(windows, of_windows, strict=True)
        ),
        *(
            Use(subject, "concurrency", None, lease.limit, amount)
            for (subject, lease), amount in zip(leases, of_leases, strict=True)
        ),
    ]
