"""Log probabilities in the chat endpoint's form, with all that OpenAI's specification asks for in it.

Backends leave out what says nothing to them: Ollama `top_logprobs` where none were asked for, TGI `bytes`,
most of them `refusal`. A client that checks what it gets takes no answer without these.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

_UNLIKELY: Final = -9999.0  # OpenAI's, where a token is not among the likeliest; vLLM's streams leave it out


class Scored(msgspec.Struct):
    """A token with its log probability."""

    token: str
    logprob: float = _UNLIKELY
    octets: list[int] | None = msgspec.field(name="bytes", default=None)


class Token(Scored):
    """A token of the answer, with those that might have stood in its place."""

    top_logprobs: list[Scored] = []


class ChatLogprobs(msgspec.Struct):
    """Those of some text."""

    content: list[Token] | None = None
    refusal: list[Token] | None = None


_chat: Final = msgspec.json.Decoder(ChatLogprobs)


def chat_logprobs(pieces: Iterable[msgspec.Raw]) -> ChatLogprobs | None:
    """Those of several pieces of text as one; None where there are none in this form."""
    read = [content for content in map(_read, pieces) if content is not None]
    return ChatLogprobs([token for content in read for token in content]) if read else None


def _read(raw: msgspec.Raw) -> list[Token] | None:
    try:
        return _chat.decode(raw).content
    except msgspec.DecodeError:
        return None
