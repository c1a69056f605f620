"""What operators may send: one model per body, each field with the sentence that describes it."""

import re
from ipaddress import ip_network
from time import time
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from gateway.api.admin import times
from gateway.settings import Burst, Limits, Sampling

# OpenAI's own bounds of metadata.
_PAIRS: Final = 16
_PAIR_NAME: Final = 64
_PAIR_VALUE: Final = 512

_MOST_GLOBS: Final = 100
_MOST_PER_MODEL: Final = 16  # each of them is a subject of every admission
_BRACKETS: Final = re.compile(r"\[[^\[\]]+\]")

GRACE: Final = "24h"
LONGEST_GRACE: Final = 30 * 86_400  # seconds
_LONGEST_ASIDE: Final = 30 * 86_400  # seconds


class Body(BaseModel):
    """What all bodies and queries have in common: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


def _is_glob(text: str) -> str:
    if not text.isprintable() or text.strip() != text:
        raise ValueError("should be a model's name, or a pattern such as 'llama-*'")
    if set("[]") & set(_BRACKETS.sub("", text)):
        raise ValueError("has a bracket without its other half: '[ab]' stands for 'a' or 'b'")
    return text


def _is_network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError("should be an address or a network, such as '203.0.113.7' or '10.0.0.0/8'") from None


def _is_plain(text: str) -> str:
    if not text.isprintable() or text.strip() != text:
        raise ValueError("should be one line without spaces around it")
    return text


def _is_to_come(at: float) -> float:
    if at <= time():
        raise ValueError("is in the past: name a time to come, or use expires_in")
    return at


def _is_some_time(length: float) -> float:
    if length <= 0:
        raise ValueError("should be more than nothing: 'DELETE' ends a key at once")
    return length


def _is_short(length: float) -> float:
    if length > LONGEST_GRACE:
        raise ValueError("should be 30 days at most: an old secret should end")
    return length


def _is_some_while(length: float) -> float:
    if length <= 0:
        raise ValueError("should be more than nothing: DELETE takes back what is set aside")
    return length


def _is_a_while(length: float) -> float:
    if length > _LONGEST_ASIDE:
        raise ValueError("should be 30 days at most: drain what is to stay away for longer")
    return length


def _without_nulls(data: Any) -> Any:
    """What is set to null is not there."""
    return (
        {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data
    )


def _of_what_is_set(data: Any) -> Any:
    """Limits without those that are set to null: they go back to what the settings say."""
    if not isinstance(data, dict):
        return data
    kept = _without_known_nulls(Limits, data)
    return {**kept, "burst": _without_known_nulls(Burst, kept["burst"])} if "burst" in kept else kept


def _without_known_nulls(model: type[BaseModel], data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return {
        name: value for name, value in data.items() if value is not None or name not in model.model_fields
    }


_LENGTH_SCHEMA: Final = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d+(\.\d+)?[smhd]?$"},
        {"type": "number", "exclusiveMinimum": 0},
    ],
    "examples": ["30d"],
}
_MOMENT_SCHEMA: Final = {"type": "string", "format": "date-time", "examples": ["2027-01-31T12:00:00Z"]}

Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_plain)]
Glob = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_is_glob)]
ModelName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_is_plain)]
Network = Annotated[str, Field(max_length=64), AfterValidator(_is_network)]
Why = Annotated[str, Field(max_length=200), AfterValidator(_is_plain)]
Word = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_is_plain)]
Length = Annotated[
    float, BeforeValidator(times.seconds), AfterValidator(_is_some_time), WithJsonSchema(_LENGTH_SCHEMA)
]
Grace = Annotated[
    float, BeforeValidator(times.seconds), AfterValidator(_is_short), WithJsonSchema(_LENGTH_SCHEMA)
]
While = Annotated[
    float,
    BeforeValidator(times.seconds),
    AfterValidator(_is_some_while),
    AfterValidator(_is_a_while),
    WithJsonSchema(_LENGTH_SCHEMA),
]
Moment = Annotated[
    float, BeforeValidator(times.moment), AfterValidator(_is_to_come), WithJsonSchema(_MOMENT_SCHEMA)
]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=_PAIR_NAME)],
        Annotated[str, Field(max_length=_PAIR_VALUE)],
    ],
    BeforeValidator(_without_nulls),
    Field(max_length=_PAIRS),
]
PerModel = Annotated[dict[Glob, Limits], BeforeValidator(_without_nulls), Field(max_length=_MOST_PER_MODEL)]
SetHere = Annotated[Limits, BeforeValidator(_of_what_is_set)]
Role = Literal["inference", "read_only", "admin"]


class OwnLimits(Limits):
    """Limits of a key or a team, of all models together and of some."""

    per_model: PerModel = Field(
        default={},
        description="Further limits: a pattern of models -> limits of all requests for those. They hold "
        "beside the others.",
    )


class TeamFields(Body):
    """What may be set of a team, and of a key as well."""

    models: list[Glob] | None = Field(
        default=None,
        max_length=_MOST_GLOBS,
        description="Patterns of the models that may be used, such as `@cf/meta/*`; null for all, an empty "
        "list for none.",
    )
    limits: OwnLimits | None = Field(default=None, description="Limits; what is not set is not limited.")
    metadata: Metadata | None = Field(
        default=None, description="Notes: at most 16 pairs, names up to 64 and values up to 512 characters."
    )
    tags: list[Word] | None = Field(default=None, max_length=64, description="Words to find it by.")


class KeyFields(TeamFields):
    """What may be set of a key."""

    role: Role | None = Field(
        default=None,
        description="`inference` may ask models; `read_only` may read this API; `admin` may do all.",
    )
    team: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Id of the team whose limits and models hold beside the key's own."
    )
    expires_in: Length | None = Field(
        default=None, description="How long the key holds from now on: `30s`, `15m`, `24h`, `30d` or seconds."
    )
    expires_at: Moment | None = Field(
        default=None, description="Until when the key holds, as RFC 3339 has it; in place of expires_in."
    )
    allowed_ips: list[Network] | None = Field(
        default=None,
        max_length=_MOST_GLOBS,
        description="Addresses and networks from which the key may be used; null for all.",
    )
    defaults: Sampling | None = Field(
        default=None, description="Parameters of the key's requests that do not set them."
    )

    @model_validator(mode="after")
    def _ends_once(self) -> "KeyFields":
        if self.expires_in is not None and self.expires_at is not None:
            raise ValueError("expires_in stands beside expires_at: set one of the two")
        return self


class NewKey(KeyFields):
    """A key to be made."""

    name: Name = Field(description="What people call it.")


class KeyChanges(KeyFields):
    """A JSON merge patch (RFC 7396) of a key.

    What is absent stays, null clears, objects are merged and lists replaced.
    """

    name: Name | None = Field(default=None, description="What people call it.")


class ForeignKey(NewKey):
    """A key that was made elsewhere, known by the SHA-256 of its secret."""

    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] = Field(
        description="The SHA-256 of the secret, 64 hexadecimal digits, as LiteLLM stores it."
    )
    redacted: Word | None = Field(default=None, description="What may be shown of the secret: `sk-...cdEF`.")


class NewTeam(TeamFields):
    """A team to be made."""

    name: Name = Field(description="What people call it.")


class TeamChanges(TeamFields):
    """A JSON merge patch (RFC 7396) of a team.

    What is absent stays, null clears, objects are merged and lists replaced.
    """

    name: Name | None = Field(default=None, description="What people call it.")


class LimitsChanges(Body):
    """A JSON merge patch (RFC 7396) of the limits that are set here, in place of those of the settings.

    What is absent stays; null, for one limit or for all of them, goes back to what the settings say.
    """

    gateway: SetHere | None = Field(default=None, description="Of all requests together.")
    models: dict[ModelName, SetHere | None] | None = Field(
        default=None, description="A model, as clients ask for it -> limits of all requests for it."
    )


class Rotation(Body):
    """How a key gets a new secret."""

    grace: Grace = Field(
        default=86_400.0,
        description="How long the old secret is taken as well; 0 ends it at once. 24 hours by default.",
        json_schema_extra={"default": GRACE},
    )


class Secret(Body):
    """A key's secret, to be looked at."""

    key: Annotated[str, Field(min_length=1, max_length=512)] = Field(description="The secret.")


class Listing(Body):
    """What part of a list is asked for."""

    status: Literal["active", "disabled", "expired", "revoked"] | None = Field(
        default=None, description="Only those; without it all that are not revoked."
    )
    q: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Only those with this text in their id, name or tags."
    )
    limit: int = Field(default=20, ge=1, le=100, description="So many at most.")
    after: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Only what comes behind this: the `next` of the answer before."
    )


class KeyListing(Listing):
    """What part of the keys is asked for."""

    team: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Only those of the team with this id."
    )


class AuditListing(Body):
    """What part of the audit log is asked for."""

    limit: int = Field(default=20, ge=1, le=100, description="So many at most.")
    after: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Only what comes behind this: the `next` of the answer before."
    )


class OfBackend(Body):
    """Which part of a backend is meant."""

    model: ModelName | None = Field(
        default=None, description="This model there alone, under the backend's own name; else all of them."
    )


class Drain(OfBackend):
    """What is to get nothing new."""

    why: Why = Field(default="", description="Why, for other operators.")


class SetAside(OfBackend):
    """What is to get nothing new for a while."""

    seconds: While = Field(description="For how long: `30s`, `15m`, `24h` or seconds.")
    why: Why = Field(default="", description="Why, for other operators.")


class Explained(Body):
    """The request whose way is asked for."""

    model: ModelName = Field(description="The model, as a client asks for it.")
    body: dict[str, Any] | None = Field(
        default=None,
        description="The body of a chat request, for what it needs of a target: tools, images, JSON, room "
        "for its prompt, the server that knows its beginning.",
    )


class Nothing(Body):
    """Where nothing can be set or asked for."""
