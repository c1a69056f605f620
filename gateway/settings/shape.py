"""What may be set: one model per section, each field with the sentence that editors show for it.

Scalars arrive as their text (the `document` module says why), so the models read "8080" as a number.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.settings.addresses import http_url
from gateway.settings.backends import BackendForm
from gateway.settings.credentials import Credential
from gateway.settings.limits import Limits
from gateway.settings.routes import ModelRoute, Name
from gateway.settings.section import Seconds, Section, UserPath

MASTER_KEY_LENGTH = 16
MIB = 1024 * 1024


def _is_long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < MASTER_KEY_LENGTH:
        raise PydanticCustomError(
            "master_key",
            "is too short: use at least {least} characters, for example from `openssl rand -hex 24`",
            {"least": MASTER_KEY_LENGTH},
        )
    return secret


def _network(text: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(text), strict=False)
    except ValueError:
        raise PydanticCustomError("network", "should be a network, such as '10.0.0.0/8'") from None


def _is_origin(text: str) -> str:
    if text == "*":
        return text
    origin = http_url(text)
    if urlsplit(origin).path:
        raise PydanticCustomError("origin", "should be an origin without a path, such as 'https://host'")
    # Browsers leave out the port that the scheme implies (WHATWG URL, 4.5).
    return origin.lower().removesuffix(":443" if origin.lower().startswith("https:") else ":80")


_REDIS_SCHEMES = frozenset({
    "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster",
})  # fmt: skip


def _is_redis_url(secret: SecretStr) -> SecretStr:
    scheme, mark, rest = secret.get_secret_value().partition("://")
    if not mark or scheme not in _REDIS_SCHEMES or not rest.strip("/"):
        raise PydanticCustomError(
            "redis_url",
            "should be like 'redis://host:6379/0', 'rediss://...', 'unix:///path/to/socket', "
            "'redis+sentinel://host:26379,host:26379/name' or 'redis+cluster://host:6379'",
        )
    return secret


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where state is kept: `$PENSTOCK_DATA_DIR`, else the XDG data folder of the user, who may have none."""
    if chosen := environ.get("PENSTOCK_DATA_DIR"):
        return Path(chosen)
    if data_home := environ.get("XDG_DATA_HOME"):
        return Path(data_home) / "penstock"
    try:
        home = Path(environ.get("HOME") or Path.home())
    except RuntimeError:  # a user who is in no list, as containers have them
        return Path("/var/lib/penstock")
    return home / ".local" / "share" / "penstock"


_SECRET: Final = {"type": "string", "format": "password", "writeOnly": True}

MasterKey = Annotated[
    Credential,
    AfterValidator(_is_long_enough),
    WithJsonSchema({**_SECRET, "pattern": f"^[!-~]{{{MASTER_KEY_LENGTH},}}$"}),
]
Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(_network),
    WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9.]+)?$"}),
]
HttpOrigin = Annotated[
    str,
    AfterValidator(_is_origin),
    WithJsonSchema({"type": "string", "pattern": r"^(\*|[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\s]+/*)$"}),
]
RedisUrl = Annotated[
    SecretStr,
    AfterValidator(_is_redis_url),
    WithJsonSchema({**_SECRET, "pattern": r"^(unix|rediss?(\+(sentinel|cluster))?)://.*[^/]"}),
]


class Listener(Section):
    """An address of its own."""

    host: Name = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")


class Server(Section):
    """Where and how the gateway listens."""

    host: Name = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    admin: Listener | None = Field(
        default=None,
        description="Where the admin API answers, and then nowhere else; all the rest answers there as well.",
    )
    body_limit: int = Field(default=20 * MIB, ge=1024, description="Largest request body in bytes.")
    url_limit: int = Field(default=8 * 1024, ge=256, description="Longest request target in bytes.")
    header_limit: int = Field(
        default=32 * 1024, ge=1024, description="Most bytes of a request's headers together."
    )
    header_count: int = Field(default=100, ge=10, description="Most headers of a request.")
    # So many streams were measured on one worker, in under 300 MB and each piece relayed within 50 ms.
    max_in_flight: int = Field(
        default=5000,
        ge=1,
        description="Most requests in flight on a worker; more are refused with 503 and retry-after, as are "
        "some of the new ones while its event loop is behind. Each holds two file descriptors.",
    )
    drain: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="Seconds that running answers may go on after the signal to end."
    )
    workers: int = Field(default=1, ge=1, le=256, description="Processes that answer, on one port.")
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description="Networks, such as 10.0.0.0/8, whose X-Forwarded-For or Forwarded header says where a "
        "client calls from; from all others the headers are not believed.",
    )
    cors: tuple[HttpOrigin, ...] = Field(
        default=(),
        description="Origins, such as https://chat.example.com, whose pages may call the gateway from a "
        "browser; '*' for any.",
    )


class Keys(Section):
    """Who may call the gateway."""

    master: MasterKey | None = Field(
        default=None,
        description="The operator's key, for administration and inference, at least 16 characters. "
        "Without one, the first key that `penstock serve` makes, an admin's, is shown once.",
    )
    pepper: MasterKey | None = Field(
        default=None,
        description="Secret that issued keys are stored under, the same on all replicas, at least 16 "
        "characters. Required with redis_url; else one is made and kept in data_dir.",
    )
    stale: Annotated[float, Field(ge=0)] = Field(
        default=600.0,
        description="Seconds that a key seen before keeps working while the store is away; 0 refuses it.",
    )
    audit_entries: Annotated[int, Field(ge=100)] = Field(
        default=100_000,
        description="How many changes the audit log keeps, or some more; the oldest go first.",
    )


class Store(Section):
    """How the store is used."""

    timeout: Seconds = Field(default=0.1, description="Most seconds that a request waits for the store.")
    lease: Annotated[float, Field(ge=1)] = Field(
        default=45.0,
        description="Seconds after which what a dead worker held, requests in flight and reserved tokens, is "
        "free again. Living workers renew theirs.",
    )
    appendfsync: Literal["everysec", "always"] = Field(
        default="everysec",
        description="How often the server that the gateway starts itself writes to disk: 'everysec' may lose "
        "two seconds in a crash of the machine, 'always' nothing, at the price of a disk write per change.",
    )


# Seconds; 16,384 tokens at 60 a second take nearly as long, and clients on Node give up after 300.
_MADE = 290.0


class Deadlines(Section):
    """How long each step may take, in seconds."""

    connect: Seconds = Field(default=5.0, description="Connecting to a backend.")
    first_byte: Seconds = Field(
        default=60.0, description="From sending a request to the first byte of its answer."
    )
    whole_answer: Seconds | None = Field(
        default=None,
        description="The like of first_byte for an answer that is not streamed, whose first byte comes when "
        "all of it is made; where it is not set, first_byte if that is, else 290.",
    )
    gap: Seconds = Field(default=30.0, description="Silence between two pieces of an answer.")
    total: Seconds = Field(default=600.0, description="A whole exchange.")
    write_stall: Seconds = Field(default=20.0, description="A client that takes nothing of its answer.")
    header: Seconds = Field(
        default=5.0, description="From a connection's start, or a request's first byte, to its headers' end."
    )
    body_idle: Seconds = Field(default=10.0, description="Silence of a client that is sending its body.")
    keep_alive: Seconds = Field(
        default=75.0, description="How long a connection may be idle between two requests."
    )
    hold_headers: Seconds = Field(
        default=15.0,
        description="How long the answer's headers wait for its first piece; then comments keep it alive.",
    )

    @cached_property  # every request asks
    def made(self) -> float:
        """How long a backend may take to make a whole answer."""
        if self.whole_answer is not None:
            return self.whole_answer
        return self.first_byte if "first_byte" in self.model_fields_set else _MADE


class Errors(Section):
    """What clients are told about failures."""

    quote_backends: bool = Field(
        default=True,
        description="Quote a backend's sentence about a bad request, cleared of addresses and keys.",
    )


class Settings(Section):
    """All settings of a gateway."""

    server: Server = Field(default=Server(), description="Where and how the gateway listens.")
    keys: Keys = Field(default=Keys(), description="Who may call the gateway.")
    redis_url: RedisUrl | None = Field(
        default=None,
        description="Redis or Valkey, 7.0 or newer: redis://, rediss:// or unix://, "
        "redis+sentinel://host:port,host:port/name, or redis+cluster://host:port. "
        "Without one, `penstock serve` starts a server of its own and keeps its data in data_dir.",
    )
    store: Store = Field(default=Store(), description="How the store is used.")
    limits: Limits = Field(default=Limits(), description="Limits of all requests together.")
    data_dir: UserPath = Field(
        default_factory=lambda: default_data_dir(os.environ),
        description="Folder for what the gateway keeps; default $PENSTOCK_DATA_DIR or the XDG data folder.",
    )
    backends: dict[Name, BackendForm] = Field(min_length=1, description="The backends, each under its name.")
    models: dict[Name, ModelRoute] = Field(
        default={}, description="Model names for clients, and what answers them."
    )
    deadlines: Deadlines = Field(default=Deadlines(), description="How long each step may take, in seconds.")
    errors: Errors = Field(default=Errors(), description="What clients are told about failures.")
