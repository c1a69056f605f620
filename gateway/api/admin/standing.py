"""How the backends are doing and which way a request would take, as the admin API shows both.

What is in flight, the breakers and the times are those of the worker that answers; what is drained or set
aside holds on all workers. All this is told also while the store is away, with what could not be read there.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Annotated, Literal, TypedDict

import msgspec
from msgspec import Meta

from gateway.api.admin.shown import Moment, ShownUse
from gateway.api.admin.times import written
from gateway.health import Aside, Breaker, Condition, place_of
from gateway.health.breaker import State
from gateway.health.probes import Probe
from gateway.pipeline import Gateway
from gateway.settings import Backend, OpenAIBackend
from gateway.store import StoreAwayError

ProbeState = Literal["up", "down", "unknown", "off"]
Why = Literal[
    "drained", "aside", "open", "full", "limit", "tools", "vision", "json", "window", "listed_twice"
]
Asides = Mapping[str, Aside]  # by their places
Unread = Literal["asides", "limits"]

WorkerName = Annotated[
    str,
    Meta(
        description="The worker that answers: what is in flight, breakers, loads and times are as this one "
        "sees them; drains and what is set aside hold on all."
    ),
]
NotRead = Annotated[
    list[Unread],
    Meta(
        description="What the store does not tell now: `asides`, what is drained and set aside, which is "
        "shown as this worker last knew it; `limits`, how much of the targets' own limits is used, which is "
        "left out."
    ),
]
Seconds = Annotated[float, Meta(description="In seconds.")]


class ShownBreaker(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps requests away where attempts fail."""

    state: Annotated[State, Meta(description="`half_open`: one request looks whether it is well again.")]
    seconds: Annotated[float | None, Meta(description="Until one may look; null while it is closed.")]


class ShownDrain(msgspec.Struct, frozen=True, kw_only=True):
    """That it gets nothing new until that is taken back."""

    why: str


class ShownAside(msgspec.Struct, frozen=True, kw_only=True):
    """That it gets nothing new for a while."""

    until: Moment
    why: Annotated[str, Meta(description="An operator's words, or the error that the backend told.")]
    may_look: Annotated[
        bool, Meta(description="Whether nobody said for how long, and so a request looks now and then.")
    ]


class ShownCondition(msgspec.Struct, frozen=True, kw_only=True):
    """How something is doing."""

    in_flight: int
    breaker: ShownBreaker
    drained: ShownDrain | None
    aside: ShownAside | None
    first_token: Annotated[
        float | None, Meta(description="Seconds to the first token lately; null where nobody has asked.")
    ]


class ShownModel(ShownCondition, frozen=True, kw_only=True):
    """How a model at a backend is doing, apart from the others there."""

    model: str


class ShownLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of its own load."""

    requests: Annotated[int, Meta(description="In work and waiting, of all who ask it.")]
    saturation: Annotated[float, Meta(description="How full its memory of keys and values is, from 0 to 1.")]


class ShownBackend(ShownCondition, frozen=True, kw_only=True):
    """A backend, and the models that were asked for there."""

    object: Literal["backend"] = "backend"
    name: str
    worker: WorkerName
    kind: Literal["workers_ai", "openai"]
    server: Annotated[str | None, Meta(description="Which product it is, of a server of one's own.")]
    max_in_flight: Annotated[int | None, Meta(description="Of one worker; null for any number.")]
    probe: Annotated[
        ProbeState | None,
        Meta(
            description="What the last look at its health found; `off` where none is wanted, null where "
            "none is possible."
        ),
    ]
    load: Annotated[ShownLoad | None, Meta(description="As it was last told; null where it was not.")]
    lists: Annotated[int | None, Meta(description="How many models it lists; null where that is not known.")]
    models: list[ShownModel]


class BackendList(msgspec.Struct, frozen=True, kw_only=True):
    """All backends."""

    object: Literal["list"] = "list"
    worker: WorkerName
    unread: NotRead
    data: list[ShownBackend]


class ShownObstacle(msgspec.Struct, frozen=True, kw_only=True):
    """Why a target would not be asked."""

    why: Annotated[
        Why,
        Meta(
            description="`open` is its breaker, `limit` its own limit; `tools`, `vision`, `json` and "
            "`window` are what the request needs and it has not."
        ),
    ]
    seconds: Annotated[float | None, Meta(description="Until that may be over; null where nobody knows.")]
    words: Annotated[str, Meta(description="The same for people.")]


class ShownTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target, and how it stands for a request of now."""

    place: Annotated[int | None, Meta(description="When it is asked, while those before it fail.")]
    asked: Annotated[bool, Meta(description="Whether its place is among those that one request asks.")]
    tier: int
    backend: str
    model: str
    fallback: Annotated[str | None, Meta(description="The other model that answers here in its place.")]
    weight: float
    why: Annotated[str | None, Meta(description="What gave it its place.")]
    obstacle: ShownObstacle | None
    refusal: Annotated[
        str | None, Meta(description="Why this body cannot be put to it, which the client would be told.")
    ]
    usage: Annotated[list[ShownUse], Meta(description="Its own limits, and how much of each is used.")]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Which way a request of now would take."""

    object: Literal["route.explanation"] = "route.explanation"
    model: str
    balance: Annotated[str, Meta(description="By what a target is chosen among those of its tier.")]
    most_targets: Annotated[int, Meta(description="How many are asked for one request at most.")]
    needs: Annotated[list[str], Meta(description="What the body needs of a target.")]
    tokens: Annotated[int, Meta(description="The least that its prompt has.")]
    worker: WorkerName
    unread: NotRead
    targets: Annotated[
        list[ShownTarget], Meta(description="In the order in which they are asked; then those that are not.")
    ]


def worker_name() -> str:
    """What tells this worker from others."""
    return f"{platform.node()}:{os.getpid()}"


async def looked(gateway: Gateway) -> list[Unread]:
    """See what others have drained and set aside; where the store does not answer, that this is not known."""
    try:
        await gateway.dispatch.asides.look()
    except StoreAwayError:
        return ["asides"]
    return []


def by_place(asides: Iterable[Aside]) -> Asides:
    """What is drained and set aside, to be found."""
    return {each.place: each for each in asides}


def shown_backends(gateway: Gateway, unread: list[Unread]) -> BackendList:
    """All backends as they are now."""
    shown = [shown_backend(gateway, name) for name in gateway.dispatch.balancer.health.backends]
    return BackendList(worker=worker_name(), unread=unread, data=shown)


def shown_backend(gateway: Gateway, name: str) -> ShownBackend:
    """A backend as it is now."""
    settings, health = gateway.settings.backends[name], gateway.dispatch.balancer.health
    condition = health.backends[name]
    asides = by_place(gateway.dispatch.asides.all())
    listed = gateway.routes.listed_by(name)
    told = condition.told
    own = _condition(condition, name, None, asides)
    return ShownBackend(
        **own,
        name=name,
        worker=worker_name(),
        kind=settings.kind,
        server=settings.server if isinstance(settings, OpenAIBackend) else None,
        max_in_flight=condition.most,
        probe=_probe(settings, {each.name: each for each in gateway.probes}.get(name)),
        load=None if told is None else ShownLoad(requests=told.requests, saturation=told.saturation),
        lists=None if listed is None else len(listed),
        models=[
            ShownModel(**_condition(each, name, model, asides), model=model)
            for model, each in sorted(health.models_of(name).items())
        ],
    )


def _probe(settings: Backend, probe: Probe | None) -> ProbeState | None:
    if probe is None or not isinstance(settings, OpenAIBackend):
        return None
    if not settings.probe:
        return "off"
    return "unknown" if probe.is_up is None else "up" if probe.is_up else "down"


class _Fields(TypedDict):
    in_flight: int
    breaker: ShownBreaker
    drained: ShownDrain | None
    aside: ShownAside | None
    first_token: float | None


def _condition(condition: Condition, backend: str, model: str | None, asides: Asides) -> _Fields:
    drain = asides.get(place_of(backend, model, drained=True))
    return {
        "in_flight": condition.in_flight,
        "breaker": _breaker(condition.breaker),
        "drained": ShownDrain(why=drain.why) if drain else None,
        "aside": _aside(asides.get(place_of(backend, model, drained=False))),
        "first_token": condition.speed.seconds,
    }


def _breaker(breaker: Breaker) -> ShownBreaker:
    now = monotonic()
    seconds = None if breaker.until is None else max(0.0, breaker.until - now)
    return ShownBreaker(state=breaker.state(now), seconds=seconds)


def _aside(aside: Aside | None) -> ShownAside | None:
    if aside is None or aside.until is None:
        return None
    return ShownAside(until=written(aside.until), why=aside.why, may_look=aside.may_look)
