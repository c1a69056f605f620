"""What is known of keys and teams, as the store keeps it. Times are seconds since 1970."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.quota import UNLIMITED, Quota

Role = Literal["inference", "read_only", "admin"]


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An issued key.

    Attributes:
        id: `key_` and random characters.
        name: What people call it.
        redacted: What is shown of its secret.
        digest: Under what that is stored.
        role: `inference` may ask models; `read_only` may read what the admin API shows; `admin` may all.
        team: The id of its team.
        expires: From then on it is refused.
        models: Globs of the models that it may use; None: all.
        allowed_ips: Networks from which it may be used; None: all.
        quota: Its limits.
        per_model: Glob -> limits of its use of such models.
        metadata: What people note of it.
        tags: The same, as words to look for.
        defaults: Parameters of requests that do not set them.
        disabled: Whether it is refused for the time being.
        revoked: Since when it is refused for good.
        old_redacted: What is shown of the secret that it had before.
        old_digest: Under what that one is stored.
        old_until: Until when that one is taken as well.
    """

    id: str
    name: str
    redacted: str
    digest: str
    created: float
    role: Role = "inference"
    team: str | None = None
    expires: float | None = None
    models: tuple[str, ...] | None = None
    allowed_ips: tuple[str, ...] | None = None
    quota: Quota = UNLIMITED
    per_model: Mapping[str, Quota] = {}
    metadata: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = {}
    disabled: bool = False
    revoked: float | None = None
    old_redacted: str | None = None
    old_digest: str | None = None
    old_until: float | None = None


class Team(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A team, whose limits its keys share."""

    id: str
    name: str
    created: float
    models: tuple[str, ...] | None = None
    quota: Quota = UNLIMITED
    per_model: Mapping[str, Quota] = {}
    metadata: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    disabled: bool = False
    revoked: float | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the audit log.

    Attributes:
        at: When.
        actor: Who: a key's id, or `master`.
        address: Whence, where that is known.
        action: What was done, such as `key.create`.
        subject: To which record.
        changes: Field -> [before, after]; never a secret.
        id: Where it stands in the log.
    """

    at: float
    actor: str
    action: str
    subject: str
    address: str = ""
    changes: Mapping[str, tuple[Any, Any]] = {}
    id: str = ""
