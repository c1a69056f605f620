"""Who is known without asking the store: the callers of late, found by what is kept of their secret here.

Thousands may rest on one team. When that changes it is only marked so, which takes no time; whoever rests on
it is forgotten when he is next asked for.
"""

from collections import OrderedDict
from typing import Final

from gateway.keys.callers import Caller

MOST: Final = 10_000


class _Record:
    """A key or a team on which callers rest: how many, and whether it has changed since they came."""

    __slots__ = ("has_changed", "resting")

    def __init__(self) -> None:
        self.resting = 0
        self.has_changed = False


class Known:
    """Callers by the HMAC of the secret that they gave; the one not seen for the longest goes first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._callers: OrderedDict[bytes, tuple[Caller, tuple[_Record, ...]]] = OrderedDict()
        self._records: dict[str, _Record] = {}  # by id, those that have not changed

    def get(self, shown: bytes) -> Caller | None:
        """Who gives this secret."""
        found = self._callers.get(shown)
        if found is None:
            return None
        caller, records = found
        for record in records:
            if record.has_changed:
                self.drop(shown)
                return None
        self._callers.move_to_end(shown)
        return caller

    def put(self, caller: Caller) -> None:
        """Know a caller, in place of an older one with this secret."""
        self.drop(caller.shown)
        records = tuple(self._records.setdefault(each, _Record()) for each in _ids(caller))
        for record in records:
            record.resting += 1
        self._callers[caller.shown] = caller, records
        if len(self._callers) > self._most:
            self.drop(next(iter(self._callers)))

    def drop(self, shown: bytes) -> None:
        """Forget who gives this secret."""
        found = self._callers.pop(shown, None)
        if found is None:
            return
        caller, records = found
        for record_id, record in zip(_ids(caller), records, strict=True):
            record.resting -= 1
            if not record.resting and not record.has_changed:
                del self._records[record_id]

    def drop_all_of(self, record_id: str) -> None:
        """Forget all who rest on a record."""
        record = self._records.pop(record_id, None)
        if record is not None:
            record.has_changed = True


def _ids(caller: Caller) -> list[str]:
    return [each.id for each in (caller.key, caller.team) if each is not None]
