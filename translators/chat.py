"""The common request: OpenAI's chat parameters over turns.

Every client dialect reads its body into a `ChatRequest`, every backend dialect writes its body from one, and
none knows another. A turn keeps the order of its parts, because Anthropic's blocks and the Responses API's
items have one.

Values are checked for their type by the client dialect; their range is the backend's affair, since
backends differ there. Parameters that no dialect here knows stay in `extra` as they were decoded.

What is made anew with every request is a msgspec struct and not a frozen dataclass, which takes eight times
as long to make: for this one request that would be a tenth of all that the gateway does. What is in nearly
every request has no part in garbage collection either, for nothing in it can lead back to it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from translators.report import Entry

CallKind = Literal["function", "custom"]


class Text(msgspec.Struct, frozen=True, gc=False):
    """Plain text."""

    text: str


class Image(msgspec.Struct, frozen=True):
    """An image by URL (`data:` or http) with OpenAI's `detail`."""

    url: str
    detail: str | None = None


class Audio(msgspec.Struct, frozen=True):
    """Input audio, base64."""

    data: str
    format: str


class File(msgspec.Struct, frozen=True):
    """An attached file: inline data or an id."""

    filename: str | None = None
    data: str | None = None
    id: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """The model's thinking, replayed; the signature belongs to the backend that made it."""

    text: str
    signature: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The model's refusal to answer."""

    text: str


class Call(msgspec.Struct, frozen=True):
    """A tool call of the assistant. `arguments` is JSON text, or free text where `kind` is custom."""

    id: str
    name: str
    arguments: str
    kind: CallKind = "function"


class Result(msgspec.Struct, frozen=True):
    """What a tool answered. `call_id` is None only in OpenAI's old function role, which has a name."""

    text: str
    call_id: str | None = None
    name: str | None = None


Part = Text | Image | Audio | File | Reasoning | Refusal | Call | Result
Role = Literal["system", "developer", "user", "assistant", "tool"]


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One message. `place` says where it stood in the client's body, for errors: `messages[3]`."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    place: str = ""


class Tool(msgspec.Struct, frozen=True):
    """A tool that the client offers; `parameters` is its JSON Schema (None: takes nothing)."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    kind: CallKind = "function"
    strict: bool = False
    format: Mapping[str, Any] | None = None
    place: str = ""


class ToolChoice(msgspec.Struct, frozen=True):
    """Which tools the model may or must call.

    `allowed` narrows the offered tools to these names; `named` forces one of them.
    """

    mode: Literal["auto", "none", "required", "named"] = "auto"
    named: str | None = None
    allowed: frozenset[str] | None = None


AUTO = ToolChoice()


SCHEMA_PLACE: Final = "response_format.json_schema.schema"  # where OpenAI has the schema of a format


class ResponseFormat(msgspec.Struct, frozen=True):
    """Structured output: any JSON object, or JSON after a schema.

    The description says what it is for, `place` where the schema stood in the client's body, for errors.
    """

    type: Literal["json_object", "json_schema"]
    schema: Mapping[str, Any] | None = None
    name: str | None = None
    strict: bool = False
    description: str | None = None
    place: str = SCHEMA_PLACE


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One question to a model, free of any dialect.

    Attributes:
        model: What the client asked for; a route or a model id.
        turns: The dialogue; empty where `prompts` is given.
        prompts: Texts to complete, from the completions endpoint.
        max_tokens: The most tokens that an answer may have; None: the client did not say.
        usual_max_tokens: What the endpoint takes where nobody says; None: what suits the model.
        choices: How many answers (OpenAI's `n`).
        stop: Strings at which an answer ends; they are not part of it.
        stream: Whether the client wants a stream.
        include_usage: Whether a stream is to end with the usage.
        echo: Whether a completion is to begin with its prompt.
        parameters: Further OpenAI parameters that the client sent, by their common name: checked scalars,
            and objects that no gateway needs to understand.
        extra: Fields that OpenAI has no name for, as decoded.
        sent: The client's name of each parameter whose fate the backend decides -> its common name.
        settled: The fates that the client dialect decided itself, by the client's name.
        left_out: Common name of a parameter -> what of it the common request has no place for.
        counts_along: Whether the backend is to say with every piece of a stream how much it has used.
        continues: Whether the last turn is the beginning of the answer, to be gone on with.
    """

    model: str
    turns: tuple[Turn, ...] = ()
    prompts: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = AUTO
    parallel_calls: bool = True
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    usual_max_tokens: int | None = None
    choices: int = 1
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    echo: bool = False
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)
    sent: Mapping[str, str] = msgspec.field(default_factory=dict)
    settled: Mapping[str, Entry] = msgspec.field(default_factory=dict)
    left_out: Mapping[str, str] = msgspec.field(default_factory=dict)
    counts_along: bool = False
    continues: bool = False
