"""The legacy answer: `response`, `tool_calls`, `usage`, whole or one event after another.

A whole answer is read as a stream of one event, so the two agree (law 4). The wire has no finish_reason:
it is derived.
"""

from typing import Any, Final

import msgspec

from translators.backends.workers_ai.calls import Calls
from translators.call import Stamp
from translators.deltas import Arguments, Delta, Finish, Reason, Text, Usage

_CHARACTERS_PER_TOKEN: Final = 4
_NULL: Final = msgspec.Raw(b"null")

# Some streams carry a finish_reason all the same; these are the words seen.
_REASONS: Final[dict[str, Reason]] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class Payload(msgspec.Struct):
    """One event, or the `result` of a whole answer. Unknown fields (`p`, the padding) fall away."""

    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tool_calls: Any = msgspec.UNSET
    usage: Any = None
    finish_reason: Any = None
    errors: Any = None
    error: Any = None

    @property
    def says_nothing(self) -> bool:
        """Whether no field of an answer is there."""
        nothing = self.response is msgspec.UNSET and self.tool_calls is msgspec.UNSET
        return nothing and self.usage is None and self.finish_reason is None


class LegacyAnswer:
    """One answer in progress.

    Args:
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out this is, for the ids; the deltas themselves say choice 0.
        max_tokens: What was asked for: as many tokens mean that the answer was cut.
        prompt_estimate: The prompt in tokens, for when the backend reports nothing.
    """

    def __init__(self, stamp: Stamp, choice: int, max_tokens: int, prompt_estimate: int) -> None:
        self._calls = Calls(stamp, choice)
        self._max_tokens = max_tokens
        self._prompt_estimate = prompt_estimate
        self._characters = 0
        self._usage: Usage | None = None
        self._reason: Reason | None = None

    @property
    def ended(self) -> bool:
        """Whether the backend has said something that comes only at the end."""
        return self._usage is not None or self._reason is not None

    def take(self, payload: Payload) -> list[Delta]:
        """The deltas of one event."""
        out: list[Delta] = []
        text = "" if payload.response is msgspec.UNSET else _text(payload.response)
        if text:
            self._characters += len(text)
            out.append(Text(0, text))
        if payload.tool_calls:
            calls = self._calls.take(payload.tool_calls)
            self._characters += sum(len(delta.text) for delta in calls if isinstance(delta, Arguments))
            out += calls
        if payload.usage is not None:
            self._usage = _usage(payload.usage) or self._usage
        if isinstance(payload.finish_reason, str) and payload.finish_reason:
            self._reason = _REASONS.get(payload.finish_reason, "stop")
        return out

    def end(self) -> list[Delta]:
        """What follows the last event: the finish and the usage."""
        return [*self._calls.end(), Finish(0, self._finish()), self.usage()]

    def usage(self) -> Usage:
        """What the backend reported, or else what we counted so far."""
        if self._usage is not None:
            return self._usage
        completion = -(-self._characters // _CHARACTERS_PER_TOKEN)
        return Usage(self._prompt_estimate, completion, estimated=True)

    def _finish(self) -> Reason:
        if self._calls and self._reason in (None, "stop"):
            return "tool_calls"
        if self._reason is not None:
            return self._reason
        cut = self._usage is not None and self._usage.completion >= self._max_tokens
        return "length" if cut else "stop"


def _text(response: msgspec.Raw) -> str:
    """`response` as text: a token that is a number, or JSON mode's object, comes as such, not as a string."""
    raw = bytes(response)
    if raw.startswith(b'"'):
        return msgspec.json.decode(raw, type=str)
    return "" if raw == b"null" else raw.decode()


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    neurons = value.get("neurons")
    return Usage(
        prompt,
        completion,
        cached=_count(_detail(value, "prompt_tokens_details", "cached_tokens")),
        reasoning=_count(_detail(value, "completion_tokens_details", "reasoning_tokens")),
        neurons=float(neurons) if isinstance(neurons, int | float) else None,
    )


def _detail(usage: dict[str, Any], details: str, name: str) -> Any:
    value = usage.get(details)
    return value.get(name) if isinstance(value, dict) else None


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else None
