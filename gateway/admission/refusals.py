"""What a client is told that a limit refused, as OpenAI words it, and where it stands with its limits."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from gateway.errors import LimitError
from gateway.limits import SLOTS, Lease, Window

# Where waiting takes longer, SDKs that ask again by themselves do not wait so long, and ask in vain.
_WORTH_WAITING = 60.0  # seconds


def refused_by_window(
    window: Window, cost: int, used: int, wait: float | None, headers: Mapping[str, str] | None = None
) -> LimitError:
    """429: a window has no room.

    Args:
        window: The one.
        cost: What was asked of it.
        used: What it holds.
        wait: Seconds until it has room; None: it never will.
        headers: Where the client stands with its limits.
    """
    figures = (
        f"{window.subject} on {window.unit} per {window.span} ({_short(window)}): "
        f"Limit {window.limit}, Used {used}, Requested {cost}."
    )
    if wait is None:
        advice = (
            "No request is allowed."
            if window.limit == 0
            else "Ask for fewer tokens at once: lower max_tokens."
        )
        message = f"Request too large for {figures} {advice}"
        return LimitError(message, window.unit, window.subject, is_hopeless=True, standing=headers)
    message = f"Rate limit reached for {figures} Please try again in {duration(wait)}."
    is_hopeless = wait > _WORTH_WAITING
    return LimitError(
        message, window.unit, window.subject, retry_after=wait, is_hopeless=is_hopeless, standing=headers
    )


def refused_by_lease(lease: Lease, used: int, headers: Mapping[str, str] | None = None) -> LimitError:
    """429: too many requests are in flight."""
    advice = "Please try again when one of them has ended." if lease.limit else "No request is allowed."
    message = (
        f"Rate limit reached for {lease.subject} on concurrent requests: "
        f"Limit {lease.limit}, Used {used}, Requested 1. {advice}"
    )
    return LimitError(
        message,
        "requests",
        lease.subject,
        retry_after=1.0 if lease.limit else None,
        is_hopeless=lease.limit == 0,
        standing=headers,
    )


def standing(windows: Sequence[Window], rest: Sequence[int]) -> Mapping[str, str]:
    """The `x-ratelimit-*` headers.

    Args:
        windows: Those of a bill.
        rest: Of the requests and of the tokens, which window has the least left, from 1 on, and how much; 0
            where there is none.
    """
    headers: dict[str, str] = {}
    for place in range(0, len(rest), 2):
        number, left = rest[place], rest[place + 1]
        if number:
            window = windows[number - 1]
            limit, remaining, reset = _HEADERS[window.unit]
            headers[limit] = str(window.limit)
            headers[remaining] = str(max(0, left))
            headers[reset] = _reset(window.slot)
    return headers


_HEADERS: Final = {
    unit: tuple(f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset"))
    for unit in ("requests", "tokens")
}


@lru_cache(256)
def _reset(slot: int) -> str:
    """When a window is as new: once all its slots have gone by."""
    return duration((SLOTS + 1) * slot / 1000)


def duration(seconds: float) -> str:
    """A time as OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `23h59m1s`."""
    if seconds < 1:
        return f"{max(1, math.ceil(seconds * 1000))}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def _short(window: Window) -> str:
    """RPM, TPD, ... as OpenAI abbreviates them."""
    return f"{window.unit[0]}p{window.span[0]}".upper() if window.span in {"min", "day"} else "burst"
