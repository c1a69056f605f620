"""A prompt that is longer than the model's context, in the one sentence that every agent knows.

Agents shorten their conversation and ask again when they see certain words of an error: "maximum context
length", "reduce the length of the messages", "token", and since openai-python 3 shows nothing but the
message, the code as well. So the sentence is ours, whatever the backend's was; the numbers are read out of
the backend's.
"""

import re
from typing import Final

from translators.errors import ApiError

_CODE: Final = "context_length_exceeded"
_COUNT: Final = r"([0-9][0-9,]{0,14})"

_SIGNS: Final = re.compile(
    r"maximum context length|longer than the model's context|exceeds? the (?:model's |available )?context"
    r"|context_length_exceeded|exceed_context_size",
    re.IGNORECASE,
)
# vLLM (two forms), SGLang, llama.cpp.
_WINDOW: Final = re.compile(rf"context (?:length|size|window)(?: is| of)? ?\(?{_COUNT}", re.IGNORECASE)
_PROMPT: Final = re.compile(
    rf"{_COUNT} (?:tokens from the input|input tokens|tokens in the messages|in the messages|prompt tokens)"
    rf"|(?:resulted in|the input \(|request \() ?{_COUNT} tokens",
    re.IGNORECASE,
)
_ANSWER: Final = re.compile(
    rf"{_COUNT} (?:tokens for the completion|output tokens|in the completion)|is too large: {_COUNT}",
    re.IGNORECASE,
)
_TOTAL: Final = re.compile(rf"requested (?:a total of )?{_COUNT} tokens", re.IGNORECASE)


def tells_of_overflow(text: str) -> bool:
    """Whether a backend's text says that prompt and answer are longer than the model's context."""
    return _SIGNS.search(text) is not None


def overflow(text: str) -> ApiError:
    """The error for a backend's text about a context that is too small, with what numbers it holds."""
    window, answer = _count(_WINDOW, text), _count(_ANSWER, text)
    used = _count(_PROMPT, text) or _count(_TOTAL, text)
    sentence = f"{_what(window, used)} Please reduce the length of the messages. ({_CODE})"
    if answer:
        sentence += f" The {answer} tokens asked for as the answer count too: a smaller max_tokens may do."
    return ApiError(400, sentence, code=_CODE)


def _what(window: str, used: str) -> str:
    if not window:
        told = f"your messages resulted in {used} tokens" if used else "your messages have too many tokens"
        return f"This model's maximum context length is exceeded: {told}."
    told = f"{used} tokens" if used else "more tokens"
    return (
        f"This model's maximum context length is {window} tokens. However, your messages resulted in {told}."
    )


def _count(form: re.Pattern[str], text: str) -> str:
    found = form.search(text)
    return next(filter(None, found.groups())).replace(",", "") if found else ""
