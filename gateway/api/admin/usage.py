"""What keys and teams, the gateway and its models have used of their limits, as it is shown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.admission.general import General
from gateway.admission.used import Store, Use, used
from gateway.api.admin.shown import Of, ShownUse
from gateway.keys import Key, Team
from gateway.limits import Subject, for_models

_SPANS: Final = {"min": "1m", "day": "1d"}
_AT_ONCE: Final = 32  # subjects that the store is asked for in one script, so that each is short

Limited = tuple[Of, str | None, Subject]  # whose limits they are, of which models if not of all, and they


async def usage(store: Store, records: Iterable[Key | Team]) -> list[ShownUse]:
    """The limits of some records, and how much of them is used now.

    Raises:
        StoreAwayError: The store does not answer.
    """
    return await used_of(store, [each for record in records for each in limited(record)])


async def used_of(store: Store, limits: Sequence[Limited]) -> list[ShownUse]:
    """The same for whatever has limits.

    Raises:
        StoreAwayError: The store does not answer.
    """
    asked = {subject[0]: (of, models) for of, models, subject in limits}
    found: list[Use] = []
    for start in range(0, len(limits), _AT_ONCE):
        found += await used(store, [subject for _of, _models, subject in limits[start : start + _AT_ONCE]])
    return [_shown(use, *asked[use.subject[0]]) for use in found]


def limited_in_general(general: General) -> Iterator[Limited]:
    """The limits of the gateway and of its models, as they hold now."""
    yield "gateway", None, general.gateway
    for model, subject in general.models.items():
        yield "model", model, subject


def _shown(use: Use, of: Of, models: str | None) -> ShownUse:
    return ShownUse(
        of=of,
        models=models,
        unit=use.unit,
        window=None if use.span is None else _SPANS.get(use.span, use.span.replace(" ", "")),
        limit=use.limit,
        used=use.used,
        remaining=max(0, use.limit - use.used),
    )


def limited(record: Key | Team) -> Iterator[Limited]:
    """The limits of a record: of all models together, and of some."""
    of: Of = "key" if isinstance(record, Key) else "team"
    yield of, None, (record.id, of, record.quota)
    for glob, quota in record.per_model.items():
        yield of, glob, for_models(record.id, of, glob, quota)
