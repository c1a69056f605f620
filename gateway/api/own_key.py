"""`GET /v1/key`: what the holder of a key may know of it, under OpenRouter's names where they fit."""

from collections.abc import Iterator
from time import time
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.admission.general import General
from gateway.api.admin.shown import Moment, ShownUse, at
from gateway.api.admin.usage import Limited, limited, limited_in_general, used_of
from gateway.api.wire import Client, Request
from gateway.errors import store_away
from gateway.keys import Caller, Role, Status
from gateway.pipeline import Gateway
from gateway.store import StoreAwayError

_MASTER: Final = "master key"


class OwnTeam(msgspec.Struct, frozen=True, kw_only=True):
    """The team of a key."""

    id: str
    name: str
    models: Annotated[list[str] | None, Meta(description="Patterns of the models that it may use.")]


class OwnKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as its holder may see it."""

    id: str
    label: Annotated[str, Meta(description="What is shown of the secret that was sent.")]
    name: str
    role: Role
    is_management_key: Annotated[bool, Meta(description="Whether it may use the admin API.")]
    status: Status
    team: OwnTeam | None
    models: Annotated[
        list[str] | None, Meta(description="Patterns of the models that it may use; null for all.")
    ]
    allowed_ips: list[str] | None
    created_at: Moment | None
    expires_at: Annotated[
        Moment | None, Meta(description="When the secret that was sent ends: with the key, or by a rotation.")
    ]
    limits: Annotated[
        list[ShownUse],
        Meta(
            description="All limits that bind it, with what is used and remains now: its own, its team's, "
            "the gateway's, and those of the models that it may use."
        ),
    ]
    limit: Annotated[float | None, Meta(description="How much money it may spend; null where that is open.")]
    limit_remaining: float | None


class OwnKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /v1/key` answers."""

    data: OwnKey


async def own_key(gateway: Gateway, request: Request, client: Client) -> None:
    """`GET /v1/key`; the key itself is all that is needed."""
    caller = await gateway.keys.fresh(request.holder, request.exchange.address)
    try:
        limits = await used_of(gateway.store, list(_binding(caller, gateway.doors.general)))
    except StoreAwayError:
        raise store_away() from None
    answer = OwnKeyAnswer(data=_own(caller, limits))
    await client.send_json(200, msgspec.json.encode(answer))


def _binding(caller: Caller, general: General) -> Iterator[Limited]:
    for record in (caller.key, caller.team):
        if record is not None:
            yield from limited(record)
    for of, model, subject in limited_in_general(general):
        if model is None or caller.may_use(model):
            yield of, model, subject


def _own(caller: Caller, limits: list[ShownUse]) -> OwnKey:
    key, team = caller.key, caller.team
    ends = [each for each in (caller.until, key.expires if key else None) if each is not None]
    return OwnKey(
        id=caller.id,
        label=_label(caller),
        name=key.name if key else _MASTER,
        role=key.role if key else "admin",
        is_management_key=caller.may_read,
        status=key.status(time()) if key else "active",
        team=OwnTeam(id=team.id, name=team.name, models=_listed(team.models)) if team else None,
        models=_listed(key.models) if key else None,
        allowed_ips=_listed(key.allowed_ips) if key else None,
        created_at=at(key.created) if key else None,
        expires_at=at(min(ends, default=None)),
        limits=limits,
        limit=None,
        limit_remaining=None,
    )


def _label(caller: Caller) -> str:
    """What is shown of the secret that was sent: the key's, or the one before its rotation."""
    if caller.held is None:
        return _MASTER
    key, _team, until = caller.held
    return key.redacted if until is None or key.rotated is None else key.rotated.old_redacted


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)
