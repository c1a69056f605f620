"""Keys, teams, set limits and the audit log as the store has them: what stands where, and is written as one.

All of it carries the tag of the shared state, so one script sees it together:

    {ps}:key:<id>, {ps}:team:<id>   a record (hash: `v`, the version, which admission compares; `record`)
    {ps}:keys, {ps}:teams           all of a kind (sorted set: id -> when it was made)
    {ps}:team:<id>:keys             those of a team that are not revoked (the same)
    {ps}:secret:<digest>            the id of the key whose secret is stored so; ends with a grace
    {ps}:used                       when keys were last used (sorted set)
    {ps}:foreign                    is there once a key was brought in that was made elsewhere
    {ps}:first                      the id of the first key of all
    {ps}:limits                     limits of the gateway and its models that were set at run time (a record)
    {ps}:audit                      the audit log (stream), written to with what it is about and never else;
                                    as many entries are kept as the settings say, or some more
"""

import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from time import time
from typing import Any, Final, Protocol, TypeVar

import msgspec

from gateway.keys.records import AuditEntry, Key, SetLimits, Team
from gateway.keys.secrets import quoted_id
from gateway.store import TAG, Script

CHANGES: Final = "ps:changes"  # the channel on which a changed record's id is announced

FOR_GOOD: Final = 0
NO_MORE: Final = -1
ENTRIES: Final = 100_000
KEPT_REVOKED: Final = 90 * 86_400_000  # ms that the record of what is revoked is kept for who reads the log

_KEY: Final = Script("key_write")
_TEAM: Final = Script("key_team")
_FIRST: Final = Script("key_first")
_READ: Final = Script("key_read")
_FIND: Final = Script("key_find")
_FORGET: Final = Script("key_forget")
_LIMITS: Final = Script("limits_write")

LIMITS: Final = f"{TAG}:limits"

_AUDIT: Final = f"{TAG}:audit"
_FOREIGN: Final = f"{TAG}:foreign"
_USED: Final = f"{TAG}:used"
_NONE: Final = f"{TAG}:none"  # stands where a script wants the place of a team and there is none

_PAGE: Final = 100
_AT_ONCE: Final = 500

# What can be an id. Others never reach the store: what it cannot read counts as a failure of its own.
_ID: Final = re.compile(r"(?:key|team)_[0-9a-z]{1,64}")
_ENTRY_ID: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_MOST_OF_AN_ENTRY_ID: Final = 2**64 - 1  # in each of its halves

Word = bytes | str | int
Record = Key | Team
_Record = TypeVar("_Record", Key, Team)


class UnknownRecordError(Exception):
    """There is no such key or team; the text says which was asked for."""


class Store(Protocol):
    """The part of the store that this room uses; StoreAwayError where it does not answer."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> list[Any]:
        """Run a script."""

    async def command(self, *words: Word) -> Any:
        """Give a plain command."""


class Secrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """Under what the secrets of a key are stored: its own, and the one before while that is taken as well."""

    digest: str = ""
    old: str = ""


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """All that is written together when a key changes.

    Attributes:
        before: The key as it was read; None: it is new.
        after: The key as it shall be.
        secrets: Under what its secrets are then stored.
        digests: For each of those, and each that ends, the ms for which it holds, or one of the words above.
        joined: The team that it joins.
        foreign: Whether it was made elsewhere.
    """

    before: Key | None
    after: Key
    secrets: Secrets
    digests: Mapping[str, int] = {}
    joined: Team | None = None
    foreign: bool = False


class Archive:
    """The records in a store.

    Args:
        store: Where they are.
        entries: How many the audit log keeps, or some more.
    """

    def __init__(self, store: Store, entries: int = ENTRIES) -> None:
        self.store: Final = store
        self._entries = entries

    async def key(self, key_id: str) -> tuple[Key, Secrets]:
        """A key and under what its secrets are stored.

        Raises:
            UnknownRecordError: There is none with this id.
        """
        found = await self._read(Key, [key_id])
        if not found:
            raise _unknown(Key, key_id)
        return found[0]

    async def team(self, team_id: str) -> Team:
        """A team.

        Raises:
            UnknownRecordError: There is none with this id.
        """
        found = await self._read(Team, [team_id])
        if not found:
            raise _unknown(Team, team_id)
        return found[0][0]

    async def write_key(self, change: KeyChange, entry: AuditEntry) -> str:
        """Write a key; '' where that was done, else why it was not, as the script has it."""
        before, after, joined = change.before, change.after, change.joined
        left = before.team if before is not None and (joined or after.team is None or after.revoked) else None
        keys = [
            place(after.id),
            _list(Key),
            _AUDIT,
            _members(left) if left else _NONE,
            _members(joined.id) if joined else _NONE,
            place(joined.id) if joined else _NONE,
            _FOREIGN,
            *map(_secret, change.digests),
        ]
        args: list[Word] = [
            before.version if before is not None else 0,
            after.id,
            repr(after.created),
            _stored(after),
            msgspec.json.encode(change.secrets),
            msgspec.json.encode(entry),
            joined.version if joined else 0,
            KEPT_REVOKED if after.revoked else FOR_GOOD,
            int(change.foreign),
            self._entries,
            *change.digests.values(),
        ]
        _now, version, *why = await self.store.run(_KEY, keys, args)
        return "" if version else str(why[0].decode())

    async def write_team(self, before: Team | None, after: Team, entry: AuditEntry) -> str:
        """Write a team; '' where that was done, else 'changed', or the id of a key that it has."""
        keys = [place(after.id), _list(Team), _AUDIT, _members(after.id)]
        args: list[Word] = [
            before.version if before is not None else 0,
            after.id,
            repr(after.created),
            _stored(after),
            msgspec.json.encode(entry),
            KEPT_REVOKED if after.revoked else FOR_GOOD,
            self._entries,
        ]
        _now, version, *why = await self.store.run(_TEAM, keys, args)
        return "" if version else str(why[0].decode())

    async def write_first(self, key: Key, digest: str, entry: AuditEntry) -> bool:
        """Write the first key of all, and tell whether it is that."""
        keys = [f"{TAG}:first", _AUDIT, place(key.id), _list(Key), _secret(digest)]
        secrets = msgspec.json.encode(Secrets(digest))
        args: list[Word] = [key.id, repr(key.created), _stored(key), secrets, msgspec.json.encode(entry)]
        _now, is_first = await self.store.run(_FIRST, keys, args)
        return bool(is_first)

    async def limits(self) -> SetLimits:
        """The limits that were set at run time."""
        _now, found = await self.store.run(_READ, [LIMITS], ())
        if found is None:
            return SetLimits()
        version, text, _secrets = found
        return msgspec.structs.replace(msgspec.json.decode(text, type=SetLimits), version=version)

    async def write_limits(self, before: SetLimits, after: SetLimits, entry: AuditEntry) -> bool:
        """Write them, and tell whether they were still as they were read."""
        text = msgspec.json.encode(msgspec.structs.replace(after, version=0))
        args: list[Word] = [before.version, text, msgspec.json.encode(entry), self._entries]
        _now, version, *_why = await self.store.run(_LIMITS, [LIMITS, _AUDIT], args)
        return bool(version)

    def logged(self, entry: AuditEntry) -> tuple[str, bytes, int]:
        """The log's key, an entry as it is kept there, and how many are: for changes that others write."""
        return _AUDIT, msgspec.json.encode(entry), self._entries

    async def owner(self, digest: str) -> tuple[str, float | None] | None:
        """The id of the key whose secret is stored so, and until when it holds; None where it is nobody's."""
        _now, *found = await self.store.run(_FIND, [_secret(digest)], ())
        if not found:
            return None
        key_id, lasting = found
        return key_id.decode(), None if lasting < 0 else time() + lasting / 1000

    async def has_foreign(self) -> bool:
        """Whether keys were brought in that were made elsewhere."""
        _now, *found = await self.store.run(_FIND, [_FOREIGN], ())  # in time, for a request waits for it
        return bool(found)

    async def keys(self, after: str | None = None, team: str | None = None) -> AsyncGenerator[Key, None]:
        """All keys, or those of a team, the newest first, from behind one of them on."""
        async for page in self._pages(Key, _list(Key) if team is None else _members(team), after):
            used = await self._last_used([key.id for key in page])
            for key in page:
                yield msgspec.structs.replace(key, last_used=used.get(key.id))

    async def teams(self, after: str | None = None) -> AsyncGenerator[Team, None]:
        """All teams, the newest first, from behind one of them on."""
        async for page in self._pages(Team, _list(Team), after):
            for team in page:
                yield team

    async def audit(self, limit: int, after: str | None) -> list[AuditEntry]:
        """What has been changed, the latest first, from behind an entry on; 500 at most.

        Raises:
            UnknownRecordError: That is no entry's id.
        """
        if after is not None and not _is_entry_id(after):
            raise UnknownRecordError(f"there is no entry with the id '{quoted_id(after)}'")
        end = f"({after}" if after else "+"
        count = min(max(1, limit), _AT_ONCE)
        found = await self.store.command("XREVRANGE", _AUDIT, end, "-", "COUNT", count)
        return [_entry(where, fields) for where, fields in found or ()]

    async def last_used(self, key_id: str) -> float | None:
        """When a key was last used."""
        return (await self._last_used([key_id])).get(key_id)

    async def note_used(self, used: Mapping[str, float]) -> None:
        """Note when keys were last used."""
        words = [word for key_id, at in used.items() for word in (f"{at:.0f}", key_id)]
        for start in range(0, len(words), 2 * _AT_ONCE):
            await self.store.command("ZADD", _USED, "GT", *words[start : start + 2 * _AT_ONCE])

    async def _last_used(self, key_ids: Sequence[str]) -> dict[str, float]:
        if not key_ids:
            return {}
        found = await self.store.command("ZMSCORE", _USED, *key_ids)
        return {key_id: float(at) for key_id, at in zip(key_ids, found, strict=True) if at is not None}

    async def _pages(
        self, kind: type[_Record], source: str, after: str | None
    ) -> AsyncGenerator[list[_Record], None]:
        """A list's records, so many at a time that each step is short, however long it is."""
        while True:
            start = 0
            if after is not None:
                known = _ID.fullmatch(after) is not None
                rank = await self.store.command("ZREVRANK", source, after) if known else None
                if rank is None:
                    raise _unknown(kind, after)
                start = rank + 1
            ids = [
                each.decode()
                for each in await self.store.command("ZREVRANGE", source, start, start + _PAGE - 1)
            ]
            page = [record for record, _secrets in await self._read(kind, ids)]
            yield page
            if len(ids) < _PAGE:
                await self._forget(source, set(ids) - {record.id for record in page})
                return
            after = ids[-1]
            await self._forget(source, set(ids[:-1]) - {record.id for record in page})

    async def _forget(self, source: str, gone: Iterable[str]) -> None:
        for each in gone:
            await self.store.run(_FORGET, [place(each), source, _USED], [each])

    async def _read(self, kind: type[_Record], ids: Sequence[str]) -> list[tuple[_Record, Secrets]]:
        """Those of the records that there are."""
        own = [each for each in ids if _ID.fullmatch(each) and each.startswith(f"{_name(kind)}_")]
        if not own:
            return []
        _now, *found = await self.store.run(_READ, [place(each) for each in own], ())
        return [_record(kind, *each) for each in found if each is not None]


def place(record_id: str) -> str:
    """Where a record stands in the store; admission looks at its version there."""
    return f"{TAG}:{record_id.partition('_')[0]}:{record_id}"


def _list(kind: type[Record]) -> str:
    return f"{TAG}:{_name(kind)}s"


def _members(team_id: str) -> str:
    return f"{place(team_id)}:keys"


def _secret(digest: str) -> str:
    return f"{TAG}:secret:{digest}"


def _name(kind: type[Record]) -> str:
    return kind.__name__.lower()


def _unknown(kind: type[Record], record_id: str) -> UnknownRecordError:
    return UnknownRecordError(f"there is no {_name(kind)} with the id '{quoted_id(record_id)}'")


def _stored(record: Record) -> bytes:
    """A record as it is kept: its version stands beside it, and when a key was used elsewhere."""
    beside = {"version": 0} if isinstance(record, Team) else {"version": 0, "last_used": None}
    return msgspec.json.encode(msgspec.structs.replace(record, **beside))


def _record(kind: type[_Record], version: int, text: bytes, secrets: bytes | None) -> tuple[_Record, Secrets]:
    record = msgspec.structs.replace(msgspec.json.decode(text, type=kind), version=version)
    return record, msgspec.json.decode(secrets, type=Secrets) if secrets else Secrets()


def _is_entry_id(given: str) -> bool:
    """Whether this can be an entry's id: streams have none of two zeros, and nothing is before it."""
    found = _ENTRY_ID.fullmatch(given)
    halves = [int(half) for half in found.groups()] if found else [0]
    return 0 < max(halves) <= _MOST_OF_AN_ENTRY_ID


def _entry(where: bytes, fields: Any) -> AuditEntry:
    text = fields[b"entry"] if isinstance(fields, dict) else fields[1]
    return msgspec.structs.replace(msgspec.json.decode(text, type=AuditEntry), id=where.decode())
