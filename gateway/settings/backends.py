"""The backends as people write them: Cloudflare accounts, and servers of one's own that speak like OpenAI."""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, SecretStr, Tag, model_validator
from pydantic_core import PydanticCustomError

from gateway.settings.addresses import HttpUrl, ProxyUrl, ServerUrl
from gateway.settings.credentials import VISIBLE_ASCII, CredentialForm, CredentialSource, entries
from gateway.settings.section import Seconds, Section, UserPath

Product = Literal[
    "vllm", "sglang", "llama_cpp", "ollama", "tgi", "lmdeploy", "tensorrt_llm", "openai", "generic"
]

# What belongs to the message itself or to the connection, and what the gateway writes.
_OWN_HEADERS = frozenset({
    "host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding", "te",
    "trailer", "upgrade", "expect", "keep-alive", "proxy-connection",
})  # fmt: skip


def _is_header_name(name: str) -> str:
    name = name.lower()
    if not name or not all(sign.isascii() and (sign.isalnum() or sign in "!#$%&'*+-.^_`|~") for sign in name):
        raise PydanticCustomError("header_name", "should be the name of an HTTP header")
    if name in _OWN_HEADERS:
        raise PydanticCustomError("own_header", "is a header that the gateway writes itself")
    return name


def _is_header_value(secret: SecretStr) -> SecretStr:
    if not VISIBLE_ASCII.fullmatch("".join(secret.get_secret_value().split(" "))):
        raise PydanticCustomError("header_value", "should be visible ASCII characters")
    return secret


def _is_readable(path: Path) -> Path:
    try:
        path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PydanticCustomError("unreadable", "cannot be read: {reason}", {"reason": reason}) from None
    return path


def _has_certificates(path: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError:
        raise PydanticCustomError("certificates", "holds no certificates in PEM form") from None
    return path


HeaderName = Annotated[str, AfterValidator(_is_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_is_header_value)]
ReadableFile = Annotated[UserPath, AfterValidator(_is_readable)]
Certificates = Annotated[ReadableFile, AfterValidator(_has_certificates)]


class Tls(Section):
    """How a backend is trusted over https, and how it can trust us."""

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"key": ["cert"]}})

    ca: Certificates | None = Field(
        default=None, description="File with the certificates of those who may sign the backend's."
    )
    cert: ReadableFile | None = Field(default=None, description="File with our certificate, and its chain.")
    key: ReadableFile | None = Field(
        default=None, description="File with that certificate's key, where it is not in the same file."
    )

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.key is not None and self.cert is None:
            raise PydanticCustomError("tls_key", "has a 'key', which goes with a 'cert'")
        try:
            self._show_ours(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        except OSError:
            raise PydanticCustomError(
                "tls_cert",
                "has a 'cert' that cannot be used: it and its 'key' are to be in PEM form, go together, and "
                "the key is not to be encrypted",
            ) from None
        return self

    def context(self) -> ssl.SSLContext:
        """What connections are secured with, by these files as they are now.

        Raises:
            OSError: One of them cannot be read any more, or used.
        """
        context = ssl.create_default_context(cafile=self.ca)
        self._show_ours(context)
        return context

    def _show_ours(self, context: ssl.SSLContext) -> None:
        if self.cert is not None:
            # With a password, for else OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self.cert, self.key, password="")


class Breaker(Section):
    """When a backend that fails is left alone for a while."""

    failures: int = Field(default=5, ge=1, description="Failures in a row that open it.")
    ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="Share of failures that opens it, among 20 or more attempts of the last 10 seconds.",
    )
    wait: Seconds = Field(
        default=1.0, description="Seconds until it is tried again with one request; doubled up to 30."
    )
    slow_start: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="Seconds in which a backend that has come back gets its full share again."
    )


class BackendSection(Section):
    """What all kinds of backends have in common."""

    headers: Mapping[HeaderName, HeaderValue] = Field(
        default={}, description="Headers that are sent with every request; their values are not shown."
    )
    tls: Tls = Field(default=Tls(), description="Certificates, for an https address.")
    proxy: ProxyUrl | None = Field(default=None, description="HTTP proxy through which it is reached.")
    max_in_flight: int | None = Field(
        default=None, ge=1, description="Most requests in flight there from one worker; then it is full."
    )
    breaker: Breaker = Field(
        default=Breaker(), description="When a backend that fails is left alone for a while."
    )


class WorkersAIBackend(BackendSection):
    """The Workers AI of a Cloudflare account."""

    kind: Literal["workers_ai"] = Field(description="What the backend is.")
    account_id: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="Id of the Cloudflare account.")
    api_token: CredentialForm = Field(
        description="API token with the permission 'Workers AI: Read': the text itself, or where it is read "
        "from, {env: NAME}, {file: PATH} or {exec: [COMMAND, ...]}; or a list of several, which take turns."
    )
    base_url: HttpUrl = Field(
        default="https://api.cloudflare.com/client/v4",
        description="Root of the Cloudflare API, or of a simulator.",
    )
    catalogue: Literal["open", "listed"] = Field(
        default="open", description="'open' serves any @cf/... model id, 'listed' only what `models` lists."
    )
    dialect: Literal["native", "openai"] = Field(
        default="native",
        description="How models are asked: by Workers AI's own schema (/ai/run), which reaches all that "
        "they can, or by Cloudflare's OpenAI-shaped endpoint (/ai/v1).",
    )
    gateway_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Id of the AI Gateway of the account that requests go through; its own settings are "
        "headers, such as cf-aig-cache-ttl.",
    )
    rate_limits: Literal["keep", "ignore"] | None = Field(
        default=None,
        description="Whether to keep to Cloudflare's own limits, 300 requests a minute of a model and 20 of "
        "a paid one, on all replicas together. By default where base_url is Cloudflare's.",
    )

    @property
    def credentials(self) -> Sequence[str | CredentialSource]:
        """Each API token: the text itself, or where it is read from."""
        return entries(self.api_token)

    @property
    def keeps_rate_limits(self) -> bool:
        """Whether the account's own limits are to be kept to."""
        if self.rate_limits is not None:
            return self.rate_limits == "keep"
        return (urlsplit(self.base_url).hostname or "").endswith(".cloudflare.com")


class OpenAIBackend(BackendSection):
    """A server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, Ollama and others."""

    kind: Literal["openai"] = Field(description="What the backend is.")
    server: Product = Field(
        default="generic", description="Which product it is: what it takes and how it answers depends on it."
    )
    base_url: ServerUrl = Field(description="Root of its API, such as http://gpu-1:8000/v1.")
    api_key: CredentialForm | None = Field(
        default=None,
        description="Key that the server asks for: the text itself, or where it is read from, {env: NAME}, "
        "{file: PATH} or {exec: [COMMAND, ...]}; or a list of several, which take turns.",
    )
    allow: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Further parameters of requests that are passed on to it as they are."
    )
    catalogue: Literal["open", "listed"] = Field(
        default="open",
        description="'open' serves all models that the server lists under their own names, 'listed' only "
        "what `models` lists.",
    )
    probe: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="Seconds between two looks at its health, load and models; 0 for none."
    )
    window: int | None = Field(
        default=None, ge=1, description="Context window in tokens, where the server does not tell it."
    )
    lacks: tuple[Literal["tools", "vision", "json"], ...] = Field(
        default=(), description="What its models cannot do: requests for that go to other targets."
    )

    @property
    def credentials(self) -> Sequence[str | CredentialSource]:
        """Each key: the text itself, or where it is read from."""
        return () if self.api_key is None else entries(self.api_key)


# The places of mistakes name these beside keys of the file: as which kind a backend was read.
_TAGS = {"workers_ai": "<workers_ai>", "openai": "<openai>"}
KINDS = frozenset(_TAGS.values())


def _kind(value: Any) -> str:
    """As which kind a backend is read; where it names none that there is, as the one that it looks like."""
    if isinstance(value, BackendSection):
        return _TAGS["workers_ai" if isinstance(value, WorkersAIBackend) else "openai"]
    fields = value if isinstance(value, dict) else {}
    kind = fields.get("kind")
    if isinstance(kind, str) and kind in _TAGS:
        return _TAGS[kind]
    return _TAGS["openai" if {"server", "api_key", "allow"}.intersection(fields) else "workers_ai"]


Backend = WorkersAIBackend | OpenAIBackend
BackendForm = Annotated[
    Annotated[WorkersAIBackend, Tag(_TAGS["workers_ai"])] | Annotated[OpenAIBackend, Tag(_TAGS["openai"])],
    Discriminator(_kind),
]
