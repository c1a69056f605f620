"""What an answer used, as Workers AI reports it."""

from typing import Any, Final

from translators.deltas import Usage

# The largest whole number that all readers of JSON keep exactly (RFC 8259 section 6). JSON itself knows no
# bound, and a sum over what is longer would be none.
_MOST: Final = 2**53 - 1
_NUMBERS: Final = (int, float)

_PROMPT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")
_COMPLETION_DETAILS: Final = ("completion_tokens_details", "output_tokens_details")
_DETAILS: Final = frozenset({*_PROMPT_DETAILS, *_COMPLETION_DETAILS})


def read_usage(value: Any) -> Usage | None:
    """A reported usage; None for what reports nothing. Beside the counts there may be neurons.

    The Responses shape has other names for the same counts.
    """
    if not isinstance(value, dict):
        return None
    prompt = _count(value.get("prompt_tokens", value.get("input_tokens")))
    completion = _count(value.get("completion_tokens", value.get("output_tokens")))
    if prompt is None or completion is None:
        return None
    neurons = _amount(value.get("neurons"))
    if _DETAILS.isdisjoint(value):
        return Usage(prompt, completion, neurons=neurons)
    cached = _detail(value, _PROMPT_DETAILS, "cached_tokens")
    reasoning = _detail(value, _COMPLETION_DETAILS, "reasoning_tokens")
    return Usage(prompt, completion, cached, reasoning, neurons)


def read_neurons(header: str) -> float | None:
    """Neurons as the header `cf-ai-neurons` states them; None for what is no amount."""
    try:
        return _amount(float(header))
    except ValueError:
        return None


def _detail(usage: dict[str, Any], groups: tuple[str, ...], name: str) -> int | None:
    for group in groups:
        if group in usage and isinstance(usage[group], dict):
            return _count(usage[group].get(name))
    return None


def _count(value: Any) -> int | None:
    if type(value) is int and 0 <= value <= _MOST:
        return value
    amount = _amount(value)
    return None if amount is None else int(amount)


def _amount(value: Any) -> float | None:
    """A number that can be an amount: neither negative nor a boolean nor beyond all measure."""
    if value is None:
        return None
    number = isinstance(value, _NUMBERS) and not isinstance(value, bool)
    return float(value) if number and 0 <= value <= _MOST else None
