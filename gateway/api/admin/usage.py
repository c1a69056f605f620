"""What keys and teams have used of their limits, as it is shown."""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.admission.used import Store, used
from gateway.api.admin.shown import Of, ShownUse
from gateway.keys import Key, Team
from gateway.limits import Subject, for_models

_SPANS: Final = {"min": "1m", "day": "1d"}


async def usage(store: Store, records: Iterable[Key | Team]) -> list[ShownUse]:
    """The limits of some records, and how much of them is used now.

    Raises:
        StoreAwayError: The store does not answer.
    """
    asked = {subject[0]: (of, glob, subject) for record in records for of, glob, subject in _subjects(record)}
    found = await used(store, [subject for _of, _glob, subject in asked.values()])
    shown = []
    for use in found:
        of, glob, _subject = asked[use.subject[0]]
        shown.append(
            ShownUse(
                of=of,
                models=glob,
                unit=use.unit,
                window=None if use.span is None else _SPANS.get(use.span, use.span.replace(" ", "")),
                limit=use.limit,
                used=use.used,
                remaining=max(0, use.limit - use.used),
            )
        )
    return shown


def _subjects(record: Key | Team) -> Iterator[tuple[Of, str | None, Subject]]:
    of: Of = "key" if isinstance(record, Key) else "team"
    yield of, None, (record.id, of, record.quota)
    for glob, quota in record.per_model.items():
        yield of, glob, for_models(record.id, of, glob, quota)
