"""Who may answer for a model, as values: targets, and the plan of a route."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from gateway.quota import UNLIMITED, Quota
from translators.backends.openai_server.servers import Served
from translators.backends.workers_ai.catalogue import Facts

MOST_TARGETS: Final = 3  # that are asked for one request

Balance = Literal["ordered", "weighted", "least_loaded", "fastest", "prefix"]


class Target(msgspec.Struct, frozen=True):
    """A backend and the model's own name there, with what is known of it.

    Attributes:
        note: What a client should know of the model: that it is not the one that was asked for.
        room: Tokens that an answer may have, where the backend itself has counted this request's prompt.
        tier: Those of a higher tier are asked where those below are full or fail.
        weight: Its share of its tier's requests, beside the others' weights.
        most: The most requests in flight there from one worker.
        fallback: The other model that answers here in place of the one that was asked for.
        quota: Limits of all requests to it, on all workers together.
    """

    backend: str
    model: str
    facts: Facts | Served
    note: str = ""
    room: int | None = None
    tier: int = 1
    weight: float = 1.0
    most: int | None = None
    fallback: str = ""
    quota: Quota = UNLIMITED


def can_go_on(target: Target) -> bool:
    """Whether it can go on with what another one has begun to say, of the same model."""
    facts = target.facts
    return isinstance(facts, Served) and facts.server.continues is not None and not target.fallback


class Line(msgspec.Struct, frozen=True):
    """Where requests wait while every target is full: how many on a worker, and for how many seconds."""

    most: int = 0
    wait: float = 0.0


class Hedge(msgspec.Struct, frozen=True):
    """When a second target is asked beside one that is slow to begin, and of which share of requests."""

    after: float
    share: float


class Plan(msgspec.Struct, frozen=True):
    """The targets for one request, tier by tier, and how its parameters are treated.

    Attributes:
        route: The name that was asked for.
        balance: Which target of a tier is asked first.
        first_token: Seconds that a target has for its first token before the next one is asked.
        idle: Seconds of silence within an answer, where they are not the gateway's own.
        hedge: When a second target is asked for a stream; None: never.
        goes_on: Whether streams that break off are gone on with elsewhere, where that is exact.
        tells: Whether answers say which way they came.
        shadow: Who is sent copies of requests, and of which share of them.
        alike: Whether the same is known of all targets, so that a request has no reason to choose among them.
    """

    targets: tuple[Target, ...]
    defaults: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strict: bool = False
    route: str = ""
    balance: Balance = "ordered"
    line: Line = Line()
    first_token: float | None = None
    idle: float | None = None
    hedge: Hedge | None = None
    goes_on: bool = False
    tells: bool = True
    shadow: Target | None = None
    shadow_share: float = 0.0
    alike: bool = False

    def __post_init__(self) -> None:
        first = self.targets[0].facts if self.targets else None
        alike = all(each.facts is first or each.facts == first for each in self.targets)
        msgspec.structs.force_setattr(self, "alike", alike)
