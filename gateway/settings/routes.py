"""The routes as people write them: a model's name for clients, and the targets that answer for it."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.limits import Limits
from gateway.settings.section import Seconds, Section

Name = Annotated[str, Field(min_length=1)]


class Target(Section):
    """A backend and the name that the model has there."""

    backend: Name = Field(description="Name of an entry of `backends`.")
    model: Name = Field(description="The backend's own name of the model.")
    tier: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Targets of a higher tier are asked when those below are full or fail.",
    )
    weight: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=1.0, description="Its share of its tier's requests, beside the others' weights."
    )
    max_in_flight: int | None = Field(
        default=None, ge=1, description="Most requests in flight there from one worker; then it is full."
    )
    limits: Limits = Field(
        default=Limits(), description="Limits of all requests to this target, on all workers together."
    )


class Sampling(Section):
    """Sampling parameters of requests that do not set them."""

    max_tokens: int | None = Field(default=None, ge=1, description="Most tokens of an answer.")
    temperature: float | None = Field(
        default=None, ge=0, le=5, description="Randomness; 0 is nearly deterministic."
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="Share of probability to sample from.")
    top_k: int | None = Field(default=None, ge=1, description="Number of likeliest tokens to sample from.")
    seed: int | None = Field(default=None, ge=0, description="Seed of the sampling.")
    repetition_penalty: float | None = Field(
        default=None, ge=0, le=2, description="Penalty on repeated tokens."
    )
    frequency_penalty: float | None = Field(
        default=None, ge=-2, le=2, description="Penalty by a token's frequency."
    )
    presence_penalty: float | None = Field(
        default=None, ge=-2, le=2, description="Penalty on tokens already used."
    )


class Queue(Section):
    """Where requests wait while every target is full."""

    max: int = Field(default=100, ge=0, description="Most requests that wait on a worker; 0 for none.")
    wait: Seconds = Field(default=2.0, description="Seconds that one waits before it is refused with 503.")


class Hedge(Section):
    """When a second target is asked for a stream; the first that begins answers, the other one is left."""

    after: Seconds = Field(description="Seconds without a token after which the second one is asked.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05, description="Most requests that are asked twice, as a share: each is paid for twice."
    )


class Shadow(Section):
    """A target that is sent a copy of requests; its answers are thrown away and charged to no key."""

    backend: Name = Field(description="Name of an entry of `backends`.")
    model: Name = Field(description="The backend's own name of the model.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, description="Share of requests.")


class ModelRoute(Section):
    """What answers when a client asks for a model of this name."""

    targets: tuple[Target, ...] = Field(min_length=1, description="Where requests go.")
    balance: Literal["ordered", "weighted", "least_loaded", "fastest", "prefix"] = Field(
        default="ordered",
        description="Which target of a tier is asked first: 'ordered' the first one that can, 'weighted' "
        "each by its weight, 'least_loaded' the one with the fewest requests, 'fastest' the one with the "
        "shortest time to the first token, 'prefix' the one that has seen the conversation before.",
    )
    fallbacks: tuple[Name, ...] = Field(
        default=(), description="Models that answer where no target does, or where a prompt is too long."
    )
    queue: Queue = Field(default=Queue(), description="Where requests wait while every target is full.")
    first_token_timeout: Seconds | None = Field(
        default=None, description="Seconds that a target has for its first token before the next is asked."
    )
    hedge: Hedge | None = Field(
        default=None, description="When a second target is asked for a stream that is slow to begin."
    )
    idle_timeout: Seconds | None = Field(
        default=None, description="Seconds of silence within an answer; by default deadlines.gap."
    )
    continue_streams: bool = Field(
        default=False,
        description="Whether a stream of plain text that breaks off is gone on with by the next target, "
        "where its product can do so exactly: no character repeated or lost, no token more than asked for.",
    )
    defaults: Sampling = Field(
        default=Sampling(), description="Sampling parameters where a request sets none."
    )
    translation: Literal["lenient", "strict"] = Field(
        default="lenient",
        description="What happens to a parameter that the target cannot take: "
        "'lenient' drops and reports it, 'strict' refuses the request.",
    )
    limits: Limits = Field(default=Limits(), description="Limits of all requests for this model together.")
    shadow: Shadow | None = Field(
        default=None,
        description="A target that is sent a copy of requests, after their answers; what it says is thrown "
        "away and charged to no key.",
    )
    tell_way: bool = Field(
        default=True,
        description="Whether answers say which way they came: x-penstock-route, -backend and -attempts.",
    )
