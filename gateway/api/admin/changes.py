"""From bodies to the fields of records, and what a merge patch (RFC 7396) makes of those of an old one.

A patch is merged with the fields that it names, and what comes of that is read as a new body would be, so
that one set of rules holds for both. An old field that the patch leaves alone is not looked at: a key may
have expired, and still be given another name.
"""

from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final

import msgspec

from gateway.api.admin.bodies import KeyChanges, LimitsChanges, TeamChanges, TeamFields
from gateway.api.admin.reading import read
from gateway.api.admin.shown import limits_of
from gateway.keys import ConflictError, Key, SetLimits, Team
from gateway.quota import UNLIMITED, Quota
from gateway.settings import Limits
from translators.errors import ApiError

Fields = dict[str, Any]

_MOST_MODELS: Final = 1000  # every worker reads them together

# What a record has where nothing is set.
_CLEARED: Final[Mapping[str, Fields]] = {
    "role": {"role": "inference"},
    "team": {"team": None},
    "models": {"models": None},
    "allowed_ips": {"allowed_ips": None},
    "expires_in": {"expires": None},
    "expires_at": {"expires": None},
    "limits": {"quota": UNLIMITED, "per_model": {}},
    "metadata": {"metadata": {}},
    "tags": {"tags": ()},
    "defaults": {"defaults": {}},
}


def fields_of(body: TeamFields) -> Fields:
    """The fields of a record that a body sets."""
    fields: Fields = {}
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is not None:
            fields.update(_field(name, value))
    return fields


def patched_key(patch: Mapping[str, Any]) -> Callable[[Key], Fields]:
    """What gives the fields of a key that a patch changes, for the key as it is."""
    return lambda key: _patched(KeyChanges, patch, _sent_key(key))


def patched_team(patch: Mapping[str, Any]) -> Callable[[Team], Fields]:
    """The like for a team."""
    return lambda team: _patched(TeamChanges, patch, _sent_team(team))


def patched_limits(
    patch: Mapping[str, Any], check: Callable[[str], None]
) -> Callable[[SetLimits], SetLimits]:
    """What a patch makes of the limits that are set in place of the settings'.

    Args:
        patch: The patch.
        check: Refuses a name that is no model's.

    Raises:
        ApiError: 400 with all that is wrong with it.
    """
    body = read(LimitsChanges, patch)
    for name, own in (body.models or {}).items():
        if own is not None:
            check(name)

    def change(old: SetLimits) -> SetLimits:
        models: Fields = {} if patch.get("models", {}) is None else dict(old.models)
        for name, own in (patch.get("models") or {}).items():
            models[name] = _set(models.get(name, {}), own)
        set_ones = {name: own for name, own in models.items() if own}
        if len(set_ones) > _MOST_MODELS:
            raise ConflictError(
                f"limits can be set for {_MOST_MODELS} models at most: clear some others first"
            )
        return msgspec.structs.replace(
            old, gateway=_set(old.gateway, patch.get("gateway", {})), models=set_ones
        )

    return change


def _set(old: Mapping[str, Any], patch: Mapping[str, Any] | None) -> Fields:
    """Limits that are set, and merged with a patch of them."""
    return {} if patch is None else _without_nulls(merged(dict(old), patch))


def _without_nulls(limits: Mapping[str, Any]) -> Fields:
    """Limits without what only says that nothing is set."""
    inner = {name: _without_nulls(own) if isinstance(own, dict) else own for name, own in limits.items()}
    return {name: own for name, own in inner.items() if own is not None and own != {}}


def merged(old: Any, patch: Any) -> Any:
    """What a merge patch makes of a value; null for what is not there is left, for the reader to judge."""
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    result = dict(old)
    for name, value in patch.items():
        if value is None and name in result:
            del result[name]
        else:
            result[name] = merged(result.get(name), value)
    return result


def quota_of(limits: Limits) -> Quota:
    """The values of limits."""
    return msgspec.convert(limits.model_dump(exclude={"per_model"}), Quota)


def _patched(model: type[TeamFields], patch: Mapping[str, Any], old: Fields) -> Fields:
    given = {name: merged(old.get(name), value) for name, value in patch.items()}
    body = read(model, given)
    fields: Fields = {}
    for name, value in patch.items():
        if value is None:
            fields.update(_cleared(name))
    return {**fields, **fields_of(body)}


def _cleared(name: str) -> Fields:
    if name not in _CLEARED:
        raise ApiError(
            400,
            f"{name}: cannot be cleared. Leave it out to keep it, or set another.",
            code="invalid_value",
            param=name,
        )
    return _CLEARED[name]


def _field(name: str, value: Any) -> Fields:
    match name:
        case "limits":
            per_model = {glob: quota_of(limits) for glob, limits in value.per_model.items()}
            return {"quota": quota_of(value), "per_model": per_model}
        case "expires_in":
            return {"expires": time() + value}
        case "expires_at":
            return {"expires": value}
        case "defaults":
            return {"defaults": value.model_dump(exclude_none=True)}
        case _:
            return {name: value}


def _sent_team(team: Team) -> Fields:
    """The objects of a team as a body would send them."""
    return {"limits": limits_of(team.quota, team.per_model), "metadata": dict(team.metadata)}


def _sent_key(key: Key) -> Fields:
    return {
        "limits": limits_of(key.quota, key.per_model),
        "metadata": dict(key.metadata),
        "defaults": dict(key.defaults),
    }
