"""Who is known without asking the store: the callers of late, found by what is kept of their secret here."""

from collections import OrderedDict
from typing import Final

from gateway.keys.callers import Caller

MOST: Final = 10_000


class Known:
    """Callers by the HMAC of the secret that they gave; the one not seen for the longest goes first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._callers: OrderedDict[bytes, Caller] = OrderedDict()
        self._resting: dict[str, set[bytes]] = {}  # a record's id -> the secrets of who rests on it

    def get(self, shown: bytes) -> Caller | None:
        """Who gives this secret."""
        caller = self._callers.get(shown)
        if caller is not None:
            self._callers.move_to_end(shown)
        return caller

    def put(self, caller: Caller) -> None:
        """Know a caller, in place of an older one with this secret."""
        self.drop(caller.shown)
        self._callers[caller.shown] = caller
        for record in _records(caller):
            self._resting.setdefault(record, set()).add(caller.shown)
        if len(self._callers) > self._most:
            self.drop(next(iter(self._callers)))

    def drop(self, shown: bytes) -> None:
        """Forget who gives this secret."""
        caller = self._callers.pop(shown, None)
        if caller is None:
            return
        for record in _records(caller):
            others = self._resting[record]
            others.discard(shown)
            if not others:
                del self._resting[record]

    def drop_all_of(self, record_id: str) -> None:
        """Forget all who rest on a record."""
        for shown in list(self._resting.get(record_id, ())):
            self.drop(shown)


def _records(caller: Caller) -> list[str]:
    return [each.id for each in (caller.key, caller.team) if each is not None]
