"""A prompt that is longer than the model's context, in the one sentence that every agent knows.

Agents shorten their conversation and ask again when they see certain words of an error: "maximum context
length", "reduce the length of the messages", "token", and since openai-python 3 shows nothing but the
message, the code as well. So the sentence is ours, whatever the backend's was; the numbers are read out of
the backend's.

The numbers also say what the catalogue may have wrong, the model's true window, and how much room the
prompt leaves in it. They are believed only where the text begins as an engine's does: a backend may repeat
words of the request, and one client's words must not narrow the window of all.
"""

import re
from typing import Final

from translators.errors import ApiError

_CODE: Final = "context_length_exceeded"
_COUNT: Final = r"([0-9][0-9,]{0,14})"

_SIGNS: Final = re.compile(
    r"maximum context length|longer than the model's context|exceeds? the (?:model's |available )?context"
    r"|context_length_exceeded|exceed_context_size|supports at most [0-9]+ completion tokens"
    r"|.inputs. must have less than [0-9]+ tokens|.inputs. tokens \+ .max_new_tokens. must be",
    re.IGNORECASE,
)
# How vLLM (three forms), SGLang and llama.cpp begin. TGI's two are signs alone.
_ENGINE: Final = re.compile(
    r"(?:'?max_(?:completion_)?tokens'? is too large|This model's maximum context length"
    r"|Requested token count exceeds|The input \(|the request \()",
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
_MOST: Final = re.compile(rf"supports at most {_COUNT} completion tokens", re.IGNORECASE)
# vLLM stops counting where the answer has no room any more.
_AT_LEAST: Final = re.compile(rf"at least {_COUNT} input tokens", re.IGNORECASE)
_TOTAL: Final = re.compile(rf"requested (?:a total of )?{_COUNT} tokens", re.IGNORECASE)


class WindowError(ApiError):
    """The error, with what may be learnt from it.

    Attributes:
        window: The model's window in tokens, prompt and answer together; None where it is not told.
        prompt: The prompt in tokens, as the backend counted it; None where it is not told.
    """

    window: int | None = None
    prompt: int | None = None

    @property
    def room(self) -> int | None:
        """What the prompt leaves for the answer, where both are told; not above 0 where it does not fit."""
        return None if self.window is None or self.prompt is None else self.window - self.prompt

    def unquoted(self) -> "WindowError":
        """The same: the sentence is ours."""
        return self


def tells_of_overflow(text: str) -> bool:
    """Whether a backend's text says that prompt and answer are longer than the model's context."""
    return _SIGNS.search(text) is not None


def overflow(text: str) -> WindowError:
    """The error for a backend's text about a context that is too small, with what numbers it holds."""
    window, answer, most = _count(_WINDOW, text), _count(_ANSWER, text), _count(_MOST, text)
    error = _too_much_asked(most, answer) if most else _too_long(text, window, answer)
    if _ENGINE.match(text):
        exact = "" if _AT_LEAST.search(text) else _count(_PROMPT, text)
        error.window = int(window or most) if window or most else None
        error.prompt = int(exact) if exact else None
    return error


def _too_long(text: str, window: str, answer: str) -> WindowError:
    used = _count(_PROMPT, text) or _count(_TOTAL, text)
    sentence = f"{_what(window, used)} Please reduce the length of the messages. ({_CODE})"
    if answer:
        sentence += f" The {answer} tokens asked for as the answer count too: a smaller max_tokens may do."
    return WindowError(400, sentence, code=_CODE)


def _too_much_asked(most: str, answer: str) -> WindowError:
    """An answer that could not be as long as asked for, whatever the prompt."""
    asked = f", and {answer} were asked for" if answer else ""
    sentence = f"This model's answers have at most {most} tokens{asked}. Send a smaller 'max_tokens'."
    return WindowError(400, sentence, code="invalid_value", param="max_tokens")


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
