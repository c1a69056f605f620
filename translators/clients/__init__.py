"""The dialects that clients speak to us: how a body is read, and how an answer is written."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from translators.call import Stamp
from translators.chat import ChatRequest
from translators.clients import openai_completions
from translators.clients.openai_chat import read as openai_chat_read
from translators.clients.openai_chat.write import ChatWriter
from translators.deltas import Completion, Delta


class Writer(Protocol):
    """Writes one answer, whole or streamed. One writer lives as long as one answer."""

    def stream(self, deltas: Iterable[Delta]) -> bytes:
        """The events of some deltas; those of `Failed` end the stream."""

    def end(self) -> bytes:
        """What closes a stream that has not failed."""

    def whole(self, completion: Completion) -> bytes:
        """The body of a whole answer."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A client dialect. `operation` is its name in metrics (OpenTelemetry's `gen_ai.operation.name`)."""

    operation: str
    read: Callable[[bytes], ChatRequest]
    writer: Callable[[ChatRequest, Stamp], Writer]


OPENAI_CHAT: Final = Dialect("chat", openai_chat_read.read, ChatWriter)
OPENAI_COMPLETIONS: Final = Dialect(
    "text_completion", openai_completions.read, openai_completions.CompletionWriter
)
