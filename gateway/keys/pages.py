"""Lists of keys and teams, a page at a time."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import time
from typing import Final, Generic, TypeVar

from gateway.keys.records import Key, Status, Team

_MOST_ON_A_PAGE: Final = 1000

_Record = TypeVar("_Record", Key, Team)


@dataclass(frozen=True, slots=True)
class Page(Generic[_Record]):
    """Some of a list, the newest first.

    Attributes:
        items: They.
        has_more: Whether there are more behind the last one; its id is the `after` that gives them.
    """

    items: tuple[_Record, ...]
    has_more: bool


async def page_of(
    listed: AsyncGenerator[_Record, None], shown: Callable[[_Record], bool], limit: int
) -> Page[_Record]:
    """So many at most of those of a list that are to be shown."""
    items: list[_Record] = []
    async with aclosing(listed):
        async for record in listed:
            if shown(record):
                if len(items) == min(max(1, limit), _MOST_ON_A_PAGE):
                    return Page(tuple(items), has_more=True)
                items.append(record)
    return Page(tuple(items), has_more=False)


def is_asked_for(record: Key | Team, status: Status | None, query: str | None, *also: str) -> bool:
    """Whether a record belongs to a list of what is asked for; see `Register.list_keys`."""
    is_now = record.status(time())
    if is_now == "revoked" if status is None else is_now != status:
        return False
    text = (query or "").casefold()
    return not text or any(text in each.casefold() for each in (record.id, record.name, *record.tags, *also))
