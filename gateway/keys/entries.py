"""Entries of the audit log: who changed something, whence, and what it was before and after."""

from collections.abc import Mapping
from time import time
from typing import Any

import msgspec

from gateway.keys.records import AuditEntry, Key, SetLimits, Team

Changed = Mapping[str, tuple[Any, Any]]  # field -> before and after


class Actor(msgspec.Struct, frozen=True):
    """Who changes something: a key's id or `master`, and whence."""

    id: str
    address: str = ""


def changed_fields(before: Key | Team | None, after: Key | Team) -> Changed:
    """The fields of a record that differ."""
    then = msgspec.to_builtins(before) if before is not None else {}
    return _differing(then, msgspec.to_builtins(after))


def changed_limits(before: SetLimits, after: SetLimits) -> Changed:
    """The limits that differ: the gateway's, and those of each model."""
    return _differing(_by_place(before), _by_place(after))


def entry(actor: Actor, action: str, subject: str, changes: Changed) -> AuditEntry:
    """An entry of now."""
    return AuditEntry(
        at=time(), actor=actor.id, address=actor.address, action=action, subject=subject, changes=changes
    )


def _by_place(limits: SetLimits) -> Mapping[str, Any]:
    return {"gateway": limits.gateway, **{f"models.{name}": own for name, own in limits.models.items()}}


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> Changed:
    return {
        name: (then.get(name), now.get(name)) for name in {**then, **now} if then.get(name) != now.get(name)
    }
