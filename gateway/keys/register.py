"""The register of keys, teams and set limits: made, read, changed and ended, all in the audit log.

Each change is one script, which writes the record, what leads to it and the log's entry together, and only
if nobody has changed the record since it was read. The version that goes up with it is what admission
compares, so a change is obeyed at the next request; the announcement only makes it quicker where nothing is
admitted.
"""

import secrets
from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final, TypeVar

import msgspec

from gateway.keys.archive import (
    ENTRIES,
    FOR_GOOD,
    NO_MORE,
    Archive,
    KeyChange,
    Secrets,
    Store,
    UnknownRecordError,
)
from gateway.keys.entries import Actor, Changed, changed_fields, changed_limits, entry
from gateway.keys.pages import Page, is_asked_for, page_of
from gateway.keys.records import AuditEntry, Key, Rotated, SetLimits, Status, Team
from gateway.keys.secrets import (
    digest,
    foreign_digest,
    is_ours,
    is_well_formed,
    new_secret,
    redacted,
    stored_digest,
)
from gateway.keys.verdicts import Held, Verdict, flaw

_TRIES: Final = 8
_CHANGED: Final = "changed"


class ConflictError(Exception):
    """What is asked for does not go together with what there is; the text says why and what to do."""


_Record = TypeVar("_Record", Key, Team)
Changes = Mapping[str, Any] | Callable[[_Record], Mapping[str, Any]]


class Register:
    """All keys and teams.

    Args:
        store: Where they are.
        pepper: What secrets are stored under.
        entries: How many changes the audit log keeps, or some more; the oldest go first.
    """

    def __init__(self, store: Store, pepper: bytes, entries: int = ENTRIES) -> None:
        self.archive: Final = Archive(store, entries)
        self._pepper = pepper

    async def create_key(self, fields: Mapping[str, Any], actor: Actor) -> tuple[Key, str]:
        """Make a key.

        Args:
            fields: A key's, as far as people set them; the name is all that is needed.
            actor: Who makes it.

        Returns:
            It, and its secret, which nobody can read again.

        Raises:
            UnknownRecordError: There is no such team.
            msgspec.ValidationError: A field is not what it should be.
            StoreAwayError: The store does not answer; these two the same for all that follows.
        """
        secret = new_secret(fields.get("role", "inference"))
        key = new_key(fields, redacted(secret))
        return await self._add_key(key, digest(self._pepper, secret), actor), secret

    async def import_secret(self, fields: Mapping[str, Any], sha256: str, shown: str, actor: Actor) -> Key:
        """Make a key whose secret was made elsewhere, where the SHA-256 of it was stored.

        Args:
            fields: As for a new key.
            sha256: 64 hexadecimal digits.
            shown: What may be shown of the secret.
            actor: Who brings it in.

        Raises:
            ConflictError: There is a key with this secret, or that is no SHA-256.
            UnknownRecordError: There is no such team.
        """
        if len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef"):
            raise ConflictError(
                "a key made elsewhere is brought in by the SHA-256 of its secret: 64 hex digits"
            )
        key = new_key(fields, shown)
        return await self._add_key(key, foreign_digest(self._pepper, sha256), actor, foreign=True)

    async def _add_key(self, key: Key, stored: str, actor: Actor, *, foreign: bool = False) -> Key:
        made = entry(actor, "key.import" if foreign else "key.create", key.id, changed_fields(None, key))
        for _ in range(_TRIES):
            change = KeyChange(
                before=None,
                after=key,
                secrets=Secrets(stored),
                digests={stored: FOR_GOOD},
                joined=await self._open_team(key.team),
                foreign=foreign,
            )
            why = await self.archive.write_key(change, made)
            if not why:
                return msgspec.structs.replace(key, version=1)
            if why == "taken":
                raise ConflictError(f"a key with the secret {key.redacted} is here already")
        raise _restless(key.id)

    async def get_key(self, key_id: str) -> Key:
        """The key with this id.

        Raises:
            UnknownRecordError: There is none.
        """
        key, _secrets = await self.archive.key(key_id)
        return msgspec.structs.replace(key, last_used=await self.archive.last_used(key_id))

    async def list_keys(
        self,
        team: str | None = None,
        status: Status | None = None,
        query: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Key]:
        """Keys, the newest first.

        Args:
            team: Only those of the team with this id.
            status: Only those; None: all that are not revoked.
            query: Only those with this text in their id, name, tags or what is shown of their secret.
            limit: So many at most.
            after: Only those behind the one with this id.

        Raises:
            UnknownRecordError: There is none behind which others could be.
        """
        # A revoked key is on no team's list, so that the team can end.
        listed = self.archive.keys(after, team if status != "revoked" else None)

        def shown(key: Key) -> bool:
            return (team is None or key.team == team) and is_asked_for(key, status, query, key.redacted)

        return await page_of(listed, shown, limit)

    async def update_key(self, key_id: str, changes: Changes[Key], actor: Actor) -> Key:
        """Change fields of a key; what is absent stays as it is.

        Args:
            key_id: Which.
            changes: The fields, or what gives them for the key as it is when it is changed.
            actor: Who changes it.

        Raises:
            UnknownRecordError: There is none, or no such team.
            ConflictError: It is revoked, or somebody else keeps changing it.
        """
        return await self._change_key(key_id, "key.update", actor, _given(changes))

    async def disable_key(self, key_id: str, actor: Actor) -> Key:
        """Refuse a key for the time being."""
        return await self._change_key(key_id, "key.disable", actor, lambda _key: {"disabled": True})

    async def enable_key(self, key_id: str, actor: Actor) -> Key:
        """Take a key again."""
        return await self._change_key(key_id, "key.enable", actor, lambda _key: {"disabled": False})

    async def rotate_key(self, key_id: str, grace_seconds: float, actor: Actor) -> tuple[Key, str]:
        """Give a key a new secret; the old one is taken for so many seconds more.

        One that was still taken from an earlier rotation is not taken any more.

        Returns:
            The key, and its new secret, which nobody can read again.
        """
        key, _secrets = await self.archive.key(key_id)
        secret = new_secret(key.role)
        new = digest(self._pepper, secret)
        grace = max(0, int(grace_seconds * 1000))

        def fields(key: Key) -> Mapping[str, Any]:
            old = Rotated(old_redacted=key.redacted, old_expires=time() + grace / 1000) if grace else None
            return {"redacted": redacted(secret), "rotated": old}

        def turn(held: Secrets) -> tuple[Secrets, Mapping[str, int]]:
            older = {held.old: NO_MORE} if held.old else {}
            turned = Secrets(new, held.digest if grace else "")
            return turned, {**older, held.digest: grace or NO_MORE, new: FOR_GOOD}

        return await self._change_key(key_id, "key.rotate", actor, fields, turn), secret

    async def revoke_key(self, key_id: str, actor: Actor) -> Key:
        """Refuse a key for good, a second time without a word. Its record is kept for 90 days."""
        key = await self.get_key(key_id)
        if key.revoked is not None:
            return key

        def turn(held: Secrets) -> tuple[Secrets, Mapping[str, int]]:
            return Secrets(), {each: NO_MORE for each in (held.digest, held.old) if each}

        return await self._change_key(
            key_id, "key.revoke", actor, lambda _key: {"revoked": time(), "rotated": None}, turn
        )

    async def verify(self, secret: str) -> Verdict:
        """Whether a secret is good, and why not."""
        given = secret.encode(errors="replace")
        if is_ours(given) and not is_well_formed(given):
            return Verdict("malformed")
        held = await self.held(stored_digest(self._pepper, given))
        if held is None:
            return Verdict("unknown")
        return Verdict(flaw(held, time()), held.key)

    async def held(self, stored: str) -> Held | None:
        """Who holds the secret that is stored so; None where nobody does."""
        owner = await self.archive.owner(stored)
        if owner is None:
            return None
        key_id, until = owner
        try:
            key, _secrets = await self.archive.key(key_id)
            team = None if key.team is None else await self.archive.team(key.team)
        except UnknownRecordError:
            return None
        return Held(key, team, until)

    async def create_team(self, fields: Mapping[str, Any], actor: Actor) -> Team:
        """Make a team; the name is all that is needed."""
        team = msgspec.convert({**fields, "id": f"team_{secrets.token_hex(8)}", "created": time()}, Team)
        made = entry(actor, "team.create", team.id, changed_fields(None, team))
        await self.archive.write_team(None, team, made)
        return msgspec.structs.replace(team, version=1)

    async def get_team(self, team_id: str) -> Team:
        """The team with this id.

        Raises:
            UnknownRecordError: There is none.
        """
        return await self.archive.team(team_id)

    async def list_teams(
        self,
        status: Status | None = None,
        query: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Team]:
        """Teams; as keys are listed."""
        return await page_of(self.archive.teams(after), lambda team: is_asked_for(team, status, query), limit)

    async def update_team(self, team_id: str, changes: Changes[Team], actor: Actor) -> Team:
        """Change fields of a team; as for a key."""
        return await self._change_team(team_id, "team.update", actor, _given(changes))

    async def disable_team(self, team_id: str, actor: Actor) -> Team:
        """Refuse all keys of a team for the time being."""
        return await self._change_team(team_id, "team.disable", actor, lambda _team: {"disabled": True})

    async def enable_team(self, team_id: str, actor: Actor) -> Team:
        """Take the keys of a team again."""
        return await self._change_team(team_id, "team.enable", actor, lambda _team: {"disabled": False})

    async def delete_team(self, team_id: str, actor: Actor) -> Team:
        """End a team that has no keys any more, a second time without a word.

        Raises:
            ConflictError: It has some.
        """
        team = await self.get_team(team_id)
        if team.revoked is not None:
            return team
        return await self._change_team(team_id, "team.delete", actor, lambda _team: {"revoked": time()})

    async def limits(self) -> SetLimits:
        """The limits of the gateway and its models that were set while it runs."""
        return await self.archive.limits()

    async def change_limits(self, change: Callable[[SetLimits], SetLimits], actor: Actor) -> SetLimits:
        """Set some of them, or go back to what the settings say, whoever else does so.

        Raises:
            ConflictError: Somebody else keeps changing them.
        """
        for _ in range(_TRIES):
            before = await self.archive.limits()
            after = change(before)
            changes = changed_limits(before, after)
            if not changes:
                return before
            if await self.archive.write_limits(
                before, after, entry(actor, "limits.update", "limits", changes)
            ):
                return msgspec.structs.replace(after, version=before.version + 1)
        raise _restless("the record of limits")

    async def audit(self, limit: int, after: str | None = None) -> list[AuditEntry]:
        """What has been changed, the latest first, from behind an entry on; 500 at most.

        Raises:
            UnknownRecordError: That is no entry's id.
        """
        return await self.archive.audit(limit, after)

    async def _change_key(
        self,
        key_id: str,
        action: str,
        actor: Actor,
        fields: Callable[[Key], Mapping[str, Any]],
        turn: Callable[[Secrets], tuple[Secrets, Mapping[str, int]]] = lambda held: (held, {}),
    ) -> Key:
        """Change a key as it is now, whoever else is changing it."""
        for _ in range(_TRIES):
            before, held = await self.archive.key(key_id)
            after, changes = _changed(before, fields(before))
            turned, digests = turn(held)
            if not changes and not digests:
                return before
            change = KeyChange(
                before=before,
                after=after,
                secrets=turned,
                digests=digests,
                joined=await self._open_team(after.team) if after.team != before.team else None,
            )
            if not await self.archive.write_key(change, entry(actor, action, after.id, changes)):
                return msgspec.structs.replace(after, version=before.version + 1)
        raise _restless(key_id)

    async def _change_team(
        self, team_id: str, action: str, actor: Actor, fields: Callable[[Team], Mapping[str, Any]]
    ) -> Team:
        for _ in range(_TRIES):
            before = await self.archive.team(team_id)
            after, changes = _changed(before, fields(before))
            if not changes:
                return before
            why = await self.archive.write_team(before, after, entry(actor, action, after.id, changes))
            if not why:
                return msgspec.structs.replace(after, version=before.version + 1)
            if why != _CHANGED:
                raise ConflictError(
                    f"the team has keys, such as {why}: move them to another team or revoke them first"
                )
        raise _restless(team_id)

    async def _open_team(self, team_id: str | None) -> Team | None:
        """A team that keys may join."""
        if team_id is None:
            return None
        team = await self.archive.team(team_id)
        if team.revoked is not None:
            raise UnknownRecordError(f"the team {team_id} is deleted")
        return team


def _given(changes: Changes[_Record]) -> Callable[[_Record], Mapping[str, Any]]:
    return changes if callable(changes) else lambda _record: changes


def new_key(fields: Mapping[str, Any], shown: str) -> Key:
    """A key that nobody has written yet."""
    own = {"id": f"key_{secrets.token_hex(8)}", "created": time(), "redacted": shown}
    return msgspec.convert({**fields, **own}, Key)


def _changed(before: _Record, fields: Mapping[str, Any]) -> tuple[_Record, Changed]:
    """A record with other fields, and what that changes."""
    if before.revoked is not None:
        raise ConflictError(f"{before.id} is revoked and cannot be changed: make a new one")
    after = msgspec.convert({**msgspec.structs.asdict(before), **fields}, type(before))
    return after, changed_fields(before, after)


def _restless(record_id: str) -> ConflictError:
    return ConflictError(f"{record_id} is being changed by somebody else all the time: try again")
