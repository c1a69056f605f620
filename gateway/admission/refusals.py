"""What a client is told that a limit refused, as OpenAI words it."""

from gateway.errors import LimitError, Standing
from gateway.limits import Lease, Window, duration

# Where waiting takes longer, SDKs that ask again by themselves do not wait so long, and ask in vain.
_WORTH_WAITING = 60.0  # seconds


def refused_by_window(
    window: Window, cost: int, used: int, wait: float | None, headers: Standing = ()
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


def refused_by_lease(lease: Lease, used: int, headers: Standing = ()) -> LimitError:
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


def _short(window: Window) -> str:
    """RPM, TPD, ... as OpenAI abbreviates them."""
    return f"{window.unit[0]}p{window.span[0]}".upper() if window.span in {"min", "day"} else "burst"
