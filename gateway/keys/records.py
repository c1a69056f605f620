"""What is known of keys, teams and set limits, as the store keeps it. Times are seconds since 1970.

No record holds a secret or what one is stored under, so each may be shown as it is.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Literal

import msgspec

from gateway.quota import UNLIMITED, Quota

Role = Literal["inference", "read_only", "admin"]
Status = Literal["active", "disabled", "expired", "revoked"]


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The secret that a key had before, while that one is taken as well.

    Attributes:
        old_redacted: What is shown of it.
        old_expires: From then on it is refused.
    """

    old_redacted: str
    old_expires: float


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An issued key.

    Attributes:
        id: `key_` and random characters.
        name: What people call it.
        redacted: What is shown of its secret.
        created: When it was made.
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
        rotated: The secret before this one, while it is taken as well.
        last_used: When it was last used, to the minute.
        version: Goes up with every change; 1 at first.
    """

    id: str
    name: str
    redacted: str
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
    rotated: Rotated | None = None
    last_used: float | None = None
    version: int = 0

    def __post_init__(self) -> None:
        """Look at what msgspec knows no type for.

        Raises:
            ValueError: A network is none; where msgspec reads a key, its ValidationError.
        """
        for network in self.allowed_ips or ():
            ip_network(network, strict=False)

    def status(self, now: float) -> Status:
        """What becomes of it, its team left aside."""
        if self.revoked is not None:
            return "revoked"
        if self.disabled:
            return "disabled"
        return "expired" if self.expires is not None and now >= self.expires else "active"


class Team(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A team, whose limits its keys share. The attributes are a key's."""

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
    version: int = 0

    def status(self, now: float) -> Status:
        """What becomes of its keys; time alone changes nothing."""
        del now
        if self.revoked is not None:
            return "revoked"
        return "disabled" if self.disabled else "active"


class SetLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of the gateway and its models that were set while it runs; the settings say all others.

    Attributes:
        gateway: Field of a quota -> value, of all requests together.
        models: Model -> the same of all requests for it.
        version: Goes up with every change; 0: nothing was ever set.
    """

    gateway: Mapping[str, Any] = {}
    models: Mapping[str, Mapping[str, Any]] = {}
    version: int = 0


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the audit log.

    Attributes:
        id: Where it stands in the log.
        at: When.
        actor: Who: a key's id, or `master`.
        address: Whence, where that is known.
        action: What was done, such as `key.create`.
        subject: To which record.
        changes: Field -> [before, after]; never a secret.
    """

    at: float
    actor: str
    action: str
    subject: str
    address: str = ""
    changes: Mapping[str, tuple[Any, Any]] = {}
    id: str = ""
