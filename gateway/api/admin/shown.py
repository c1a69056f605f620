"""Keys, teams and the audit log as the admin API shows them; no secret but the one of a key just made."""

from collections.abc import Mapping
from time import time
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.admission.used import CountedUnit
from gateway.api.admin.times import written
from gateway.keys import AuditEntry, Key, Role, Status, Team, Verdict
from gateway.limits import Subject
from gateway.quota import Quota

_LIMITS = {"$ref": "#/components/schemas/OwnLimits"}  # as they are sent
_DEFAULTS = {"$ref": "#/components/schemas/Sampling"}
_MOMENT = {"format": "date-time"}

Moment = Annotated[str, Meta(extra_json_schema=_MOMENT)]
Limits = Annotated[Mapping[str, Any], Meta(description="As they are sent.", extra_json_schema=_LIMITS)]
Defaults = Annotated[Mapping[str, Any], Meta(description="As they are sent.", extra_json_schema=_DEFAULTS)]


Of = Literal["key", "team", "gateway", "model", "target"]


class ShownUse(msgspec.Struct, frozen=True, kw_only=True):
    """A limit, and how much of it is used now."""

    of: Annotated[Of, Meta(description="Whose limit it is.")]
    models: Annotated[str | None, Meta(description="Of which models, where not of all.")]
    unit: Annotated[CountedUnit, Meta(description="What is counted.")]
    window: Annotated[str | None, Meta(description="In which time; null for what is in flight at once.")]
    limit: int
    used: int
    remaining: int


class ShownOldSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The secret before a rotation, while it is taken as well."""

    redacted: str
    expires_at: Moment


class ShownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key."""

    id: str
    object: Literal["key"] = "key"
    name: str
    redacted: Annotated[str, Meta(description="What is shown of its secret.")]
    role: Role
    status: Status
    team: Annotated[str | None, Meta(description="Id of its team.")]
    models: list[str] | None
    limits: Limits
    allowed_ips: list[str] | None
    defaults: Defaults
    metadata: Mapping[str, str]
    tags: list[str]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    old_secret: ShownOldSecret | None


class IssuedKey(ShownKey, frozen=True, kw_only=True):
    """A key with its secret, which nobody can read again."""

    key: Annotated[str, Meta(description="The secret; it is shown this once.")]


class KeyInUse(ShownKey, frozen=True, kw_only=True):
    """A key, and how much of its limits is used now."""

    usage: Annotated[list[ShownUse], Meta(description="Its limits and those of its team.")]


class ShownTeam(msgspec.Struct, frozen=True, kw_only=True):
    """A team."""

    id: str
    object: Literal["team"] = "team"
    name: str
    status: Status
    models: list[str] | None
    limits: Limits
    metadata: Mapping[str, str]
    tags: list[str]
    created_at: Moment
    revoked_at: Moment | None


class TeamInUse(ShownTeam, frozen=True, kw_only=True):
    """A team, and how much of its limits is used now."""

    usage: list[ShownUse]


class ShownLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of all requests, or of those for a model, and how much of them is used now."""

    limits: Annotated[
        Mapping[str, Any], Meta(description="Those that hold, as they are sent.", extra_json_schema=_LIMITS)
    ]
    set: Annotated[
        Mapping[str, Any],
        Meta(
            description="Those of them that are set here; the settings say all others.",
            extra_json_schema=_LIMITS,
        ),
    ]
    usage: list[ShownUse]


class LimitsInUse(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of the gateway and its models."""

    object: Literal["limits"] = "limits"
    gateway: Annotated[ShownLimits, Meta(description="Of all requests together.")]
    models: Annotated[
        Mapping[str, ShownLimits], Meta(description="Model -> limits of all requests for it together.")
    ]


class ShownChange(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the audit log."""

    id: str
    object: Literal["change"] = "change"
    at: Moment
    actor: Annotated[str, Meta(description="Who: a key's id, or `master`.")]
    address: Annotated[str | None, Meta(description="Whence.")]
    action: Annotated[str, Meta(description="What was done, such as `key.create`.")]
    subject: Annotated[str, Meta(description="To what.")]
    changes: Annotated[
        Mapping[str, list[Any]], Meta(description="Field -> before and after, as the record has them.")
    ]


class _List(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    has_more: bool
    next: Annotated[str | None, Meta(description="What to send as `after` for the next part.")]


class KeyList(_List, frozen=True, kw_only=True):
    """Some of the keys, the newest first."""

    data: list[ShownKey]


class TeamList(_List, frozen=True, kw_only=True):
    """Some of the teams, the newest first."""

    data: list[ShownTeam]


class AuditList(_List, frozen=True, kw_only=True):
    """Some of the audit log, the latest first."""

    data: list[ShownChange]


class ShownVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a secret is good."""

    valid: bool
    reason: Annotated[
        Literal["malformed", "unknown", "revoked", "disabled", "team_disabled", "expired"] | None,
        Meta(description="Why it is not."),
    ]
    key: Annotated[ShownKey | None, Meta(description="Whose it is, where it is somebody's.")]


def shown_key(key: Key) -> ShownKey:
    """A key."""
    return ShownKey(**_of_key(key))


def issued_key(key: Key, secret: str) -> IssuedKey:
    """A key just made, or given another secret."""
    return IssuedKey(**_of_key(key), key=secret)


def key_in_use(key: Key, usage: list[ShownUse]) -> KeyInUse:
    """A key, with what it has used."""
    return KeyInUse(**_of_key(key), usage=usage)


def shown_team(team: Team) -> ShownTeam:
    """A team."""
    return ShownTeam(**_of_team(team))


def team_in_use(team: Team, usage: list[ShownUse]) -> TeamInUse:
    """A team, with what its keys have used."""
    return TeamInUse(**_of_team(team), usage=usage)


def shown_limits(subject: Subject, own: Mapping[str, Any], usage: list[ShownUse]) -> ShownLimits:
    """Limits that hold, which of them are set here, and what is used of them."""
    return ShownLimits(limits=limits_of(subject[2], {}), set=own, usage=usage)


def shown_change(entry: AuditEntry) -> ShownChange:
    """A line of the audit log."""
    return ShownChange(
        id=entry.id,
        at=written(entry.at),
        actor=entry.actor,
        address=entry.address or None,
        action=entry.action,
        subject=entry.subject,
        changes={name: list(values) for name, values in entry.changes.items()},
    )


def shown_verdict(verdict: Verdict) -> ShownVerdict:
    """Whether a secret is good."""
    key = shown_key(verdict.key) if verdict.key is not None else None
    return ShownVerdict(valid=verdict.is_valid, reason=verdict.why, key=key)


def limits_of(quota: Quota, per_model: Mapping[str, Quota]) -> dict[str, Any]:
    """Limits as they are sent: what is not limited is absent."""
    limits: dict[str, Any] = msgspec.to_builtins(quota)
    if per_model:
        limits["per_model"] = msgspec.to_builtins(per_model)
    return limits


def at(moment: float | None) -> str | None:
    """A moment, where there is one."""
    return None if moment is None else written(moment)


def _of_both(record: Key | Team) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "status": record.status(time()),
        "models": None if record.models is None else list(record.models),
        "limits": limits_of(record.quota, record.per_model),
        "metadata": record.metadata,
        "tags": list(record.tags),
        "created_at": written(record.created),
        "revoked_at": at(record.revoked),
    }


def _of_key(key: Key) -> dict[str, Any]:
    old = key.rotated
    return {
        **_of_both(key),
        "redacted": key.redacted,
        "role": key.role,
        "team": key.team,
        "allowed_ips": None if key.allowed_ips is None else list(key.allowed_ips),
        "defaults": key.defaults,
        "expires_at": at(key.expires),
        "last_used_at": at(key.last_used),
        "old_secret": old and ShownOldSecret(redacted=old.old_redacted, expires_at=written(old.old_expires)),
    }


def _of_team(team: Team) -> dict[str, Any]:
    return _of_both(team)
