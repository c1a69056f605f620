"""The keys and teams in the store: made, read, changed, and every change in the audit log.

Each change is one script, which writes the record, what leads to it and the log's entry together, and only
if nobody has changed the record since it was read. The version that goes up with it is what admission
compares, so a change is obeyed at the next request; the announcement only makes it quicker where nothing is
admitted.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from time import time
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

import msgspec

from gateway.keys.records import Entry, Key, Team
from gateway.keys.secrets import digest, new_secret, redacted
from gateway.store import TAG, Script

CHANGES: Final = "ps:changes"  # the channel on which a changed record's id is announced
FOREIGN: Final = f"{TAG}:foreign"  # set once keys without our checksum have been brought in
AUDIT: Final = f"{TAG}:audit"

_WRITE: Final = Script("write")
_READ: Final = Script("read")
_FIND: Final = Script("find")

_TRIES: Final = 8
_PAGE: Final = 100
_FOR_GOOD: Final = 0
_NO_MORE: Final = -1

_NOT_LOGGED: Final = frozenset({"digest", "old_digest"})


class UnknownRecordError(Exception):
    """There is no such key or team; the text says which was asked for."""


class ConflictError(Exception):
    """What is asked for does not go together with what there is; the text says why and what to do."""


class Store(Protocol):
    """The part of the store that this room uses."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> list[Any]:
        """Run a script; StoreAwayError where it does not answer."""

    async def command(self, *words: bytes | str | int) -> Any:
        """Give a plain command; StoreAwayError where it does not answer."""


class Actor(msgspec.Struct, frozen=True):
    """Who changes something: a key's id or `master`, and whence."""

    id: str
    address: str = ""


Record = Key | Team
_Record = TypeVar("_Record", Key, Team)


class Register:
    """All keys and teams.

    Args:
        store: Where they are.
        pepper: What secrets are stored under.
    """

    def __init__(self, store: Store, pepper: bytes) -> None:
        self._store = store
        self._pepper = pepper

    def digest(self, secret: bytes) -> str:
        """Under what a secret is stored."""
        return digest(self._pepper, secret)

    async def create_key(self, fields: Mapping[str, Any], actor: Actor) -> tuple[Key, str]:
        """Make a key.

        Returns:
            It, and its secret, which nobody can read again.

        Raises:
            UnknownRecordError: Its team.
            StoreAwayError: The store does not answer; the same for all that follows.
        """
        secret = new_secret(admin=fields.get("role") == "admin")
        stored = {"redacted": redacted(secret), "digest": self.digest(secret.encode())}
        return await self._add_key({**fields, **stored}, actor, "key.create"), secret

    async def import_key(self, fields: Mapping[str, Any], foreign: str, shown: str, actor: Actor) -> Key:
        """Take in a key that was made elsewhere, under the digest that is stored of it.

        Raises:
            ConflictError: There is one with this secret.
        """
        if await self.find(foreign) is not None:
            raise ConflictError(f"a key with the secret {shown} is here already")
        await self._store.command("SET", FOREIGN, 1)
        return await self._add_key({**fields, "redacted": shown, "digest": foreign}, actor, "key.import")

    async def _add_key(self, fields: Mapping[str, Any], actor: Actor, action: str) -> Key:
        if fields.get("team") is not None:
            await self.team(fields["team"])
        key = msgspec.convert({**fields, "id": f"key_{secrets.token_hex(8)}", "created": time()}, Key)
        await self._write(key, 0, actor, action, _changes(None, key), {key.digest: _FOR_GOOD})
        return key

    async def key(self, key_id: str) -> Key:
        """The key with this id.

        Raises:
            UnknownRecordError: There is none.
        """
        return (await self.read_key(key_id))[0]

    async def read_key(self, key_id: str) -> tuple[Key, int]:
        """The key with this id, and its version."""
        return await self._read(key_id, Key)

    async def read_team(self, team_id: str) -> tuple[Team, int]:
        """The team with this id, and its version."""
        return await self._read(team_id, Team)

    async def team(self, team_id: str) -> Team:
        """The team with this id.

        Raises:
            UnknownRecordError: There is none.
        """
        return (await self.read_team(team_id))[0]

    async def find(self, *digests: str) -> tuple[str, float | None] | None:
        """Whose a secret is, by the digests under which it may be stored.

        Returns:
            The key's id, and until when this secret holds; None where it is nobody's.
        """
        _now, *found = await self._store.run(_FIND, [_secret(each) for each in digests], ())
        if not found:
            return None
        lasting = found[1]
        return found[0].decode(), None if lasting < 0 else time() + lasting / 1000

    async def has_foreign(self) -> bool:
        """Whether there are keys that were made elsewhere."""
        return bool(await self._store.command("EXISTS", FOREIGN))

    async def update_key(self, key_id: str, changes: Mapping[str, Any], actor: Actor) -> Key:
        """Change fields of a key.

        Raises:
            UnknownRecordError: There is none, or no such team.
            ConflictError: It is revoked, or somebody else keeps changing it.
        """
        if changes.get("team") is not None:
            await self.team(changes["team"])
        return await self._change(key_id, Key, lambda _key: changes, actor, "key.update")

    async def rotate_key(self, key_id: str, grace: float, actor: Actor) -> tuple[Key, str]:
        """Give a key a new secret; the old one is taken for so many seconds more.

        One that was still taken from an earlier rotation is not taken any more.
        """
        secret = new_secret(admin=(await self.key(key_id)).role == "admin")
        new = self.digest(secret.encode())

        def rotated(key: Key) -> Mapping[str, Any]:
            return {
                "redacted": redacted(secret),
                "digest": new,
                "old_redacted": key.redacted if grace else None,
                "old_digest": key.digest if grace else None,
                "old_until": time() + grace if grace else None,
            }

        def digests(key: Key) -> Mapping[str, int]:
            older = {key.old_digest: _NO_MORE} if key.old_digest else {}
            return {**older, key.digest: int(grace * 1000) or _NO_MORE, new: _FOR_GOOD}

        return await self._change(key_id, Key, rotated, actor, "key.rotate", digests), secret

    async def set_disabled(self, key_id: str, actor: Actor, *, disabled: bool) -> Key:
        """Refuse a key for the time being, or take it again."""
        action = "key.disable" if disabled else "key.enable"
        return await self._change(key_id, Key, lambda _key: {"disabled": disabled}, actor, action)

    async def revoke_key(self, key_id: str, actor: Actor) -> Key:
        """Refuse a key for good. A second time changes nothing."""
        key, _version = await self.read_key(key_id)
        if key.revoked is not None:
            return key

        def digests(key: Key) -> Mapping[str, int]:
            return {each: _NO_MORE for each in (key.digest, key.old_digest) if each}

        return await self._change(key_id, Key, lambda _key: {"revoked": time()}, actor, "key.revoke", digests)

    async def create_team(self, fields: Mapping[str, Any], actor: Actor) -> Team:
        """Make a team."""
        team = msgspec.convert({**fields, "id": f"team_{secrets.token_hex(8)}", "created": time()}, Team)
        await self._write(team, 0, actor, "team.create", _changes(None, team))
        return team

    async def update_team(self, team_id: str, changes: Mapping[str, Any], actor: Actor) -> Team:
        """Change fields of a team; as for a key."""
        return await self._change(team_id, Team, lambda _team: changes, actor, "team.update")

    async def revoke_team(self, team_id: str, actor: Actor) -> Team:
        """End a team that has no keys any more.

        Raises:
            ConflictError: It has some.
        """
        async for key in self.all_keys():
            if key.team == team_id and key.revoked is None:
                raise ConflictError(
                    f"the team has keys, such as {key.id} ('{key.name}'): move them to another team or "
                    "revoke them first"
                )
        return await self._change(team_id, Team, lambda _team: {"revoked": time()}, actor, "team.delete")

    async def all_keys(self, after: str | None = None) -> AsyncIterator[Key]:
        """All keys, the newest first, from behind one of them on."""
        async for key in self._all(Key, after):
            yield key

    async def all_teams(self, after: str | None = None) -> AsyncIterator[Team]:
        """All teams, the newest first, from behind one of them on."""
        async for team in self._all(Team, after):
            yield team

    async def audit(self, limit: int, after: str | None = None) -> list[Entry]:
        """What has been changed, the latest first, from behind an entry on."""
        end = f"({after}" if after else "+"
        found = await self._store.command("XREVRANGE", AUDIT, end, "-", "COUNT", limit)
        return [_entry(where, fields) for where, fields in found or ()]

    async def _all(self, kind: type[_Record], after: str | None) -> AsyncIterator[_Record]:
        """Records of a kind, a page at a time, so that a list of any length is read in bounded steps."""
        start = 0
        if after is not None:
            rank = await self._store.command("ZREVRANK", _list(kind), after)
            start = 0 if rank is None else rank + 1
        while True:
            ids = await self._store.command("ZREVRANGE", _list(kind), start, start + _PAGE - 1)
            for each in ids:
                with suppress(UnknownRecordError):
                    yield (await self._read(each.decode(), kind))[0]
            if len(ids) < _PAGE:
                return
            start += _PAGE

    async def _read(self, record_id: str, kind: type[_Record]) -> tuple[_Record, int]:
        _now, *found = await self._store.run(_READ, [place(record_id)], ())
        if not found or not record_id.startswith(f"{_name(kind)}_"):
            raise UnknownRecordError(f"there is no {_name(kind)} with the id '{record_id[:64]}'")
        version, record = found
        return msgspec.json.decode(record, type=kind), version

    async def _change(  # noqa: PLR0913, PLR0917 - what a change is made of
        self,
        record_id: str,
        kind: type[_Record],
        change: Callable[[_Record], Mapping[str, Any]],
        actor: Actor,
        action: str,
        digests: Callable[[_Record], Mapping[str, int]] = lambda _record: {},
    ) -> _Record:
        """Change a record as it is now, whoever else is changing it."""
        for _ in range(_TRIES):
            before, version = await self._read(record_id, kind)
            if before.revoked is not None:
                raise ConflictError(f"{record_id} is revoked and cannot be changed: make a new one")
            after = msgspec.convert({**msgspec.structs.asdict(before), **change(before)}, kind)
            changes = _changes(before, after)
            if not changes and not digests(before):
                return before
            if await self._write(after, version, actor, action, changes, digests(before)):
                return after
        raise ConflictError(f"{record_id} is being changed by somebody else all the time: try again")

    async def _write(  # noqa: PLR0913, PLR0917 - what the script takes
        self,
        record: Record,
        version: int,
        actor: Actor,
        action: str,
        changes: Mapping[str, tuple[Any, Any]],
        digests: Mapping[str, int] = MappingProxyType({}),
    ) -> bool:
        """Whether the record was written: nobody had changed it."""
        entry = Entry(
            at=time(),
            actor=actor.id,
            address=actor.address,
            action=action,
            subject=record.id,
            changes=changes,
        )
        keys = [place(record.id), _list(type(record)), AUDIT, *(_secret(each) for each in digests)]
        encode = msgspec.json.encode
        args: list[bytes | str | int] = [
            version,
            encode(record),
            record.id,
            repr(record.created),
            encode(entry),
            *digests.values(),
        ]
        _now, written = await self._store.run(_WRITE, keys, args)
        return bool(written)


def place(record_id: str) -> str:
    """Where a record stands in the store; admission looks at its version there."""
    return f"{TAG}:{record_id}"


def _list(kind: type[Record]) -> str:
    return f"{TAG}:{_name(kind)}s"


def _name(kind: type[Record]) -> str:
    return kind.__name__.lower()


def _secret(stored: str) -> str:
    return f"{TAG}:secret:{stored}"


def _changes(before: Record | None, after: Record) -> Mapping[str, tuple[Any, Any]]:
    """Field -> before and after, of those that differ and may be seen."""
    then = msgspec.to_builtins(before) if before is not None else {}
    now = msgspec.to_builtins(after)
    fields = [name for name in {**then, **now} if name not in _NOT_LOGGED]
    return {name: (then.get(name), now.get(name)) for name in fields if then.get(name) != now.get(name)}


def _entry(where: bytes, fields: Any) -> Entry:
    text = fields[b"entry"] if isinstance(fields, dict) else fields[1]
    return msgspec.structs.replace(msgspec.json.decode(text, type=Entry), id=where.decode())
