"""What the end of an attempt says: of the backend's health, and whether others may do better."""

from typing import Final

import msgspec

from gateway.exchange import Batch
from gateway.health import Sign
from gateway.routing import Plan, Target
from translators.deltas import Failed
from translators.errors import INVALID_OUTPUT, ApiError
from translators.overflow import WindowError

# Refusals of a model that an account lacks or may not use; another target's account may have it.
_OF_THE_ACCOUNT: Final = frozenset({"model_not_available", "model_not_found"})

# What the next target, which has the same model and no more time, does no better.
_OF_THE_EXCHANGE: Final = frozenset({"deadline_total", INVALID_OUTPUT})

# Of the gateway's own errors, those of attempts that a backend has not begun to work for.
_BEFORE_WORK: Final = frozenset({
    "backend_unreachable", "deadline_connect", "upstream_auth", "upstream_dns", "upstream_tls",
})  # fmt: skip

_UNREACHABLE: Final = frozenset({"backend_unreachable", "deadline_connect", "upstream_dns", "upstream_tls"})

_TO_COME_AGAIN: Final = frozenset({429, 503})


def failure_of(batch: Batch) -> ApiError | None:
    """The error with which a batch ends, if it does."""
    last = batch[-1] if batch else None
    return last.error if isinstance(last, Failed) else None


def may_go_better(error: ApiError) -> bool:
    """Whether another target may do better: the backend or its account is in trouble, the request is not."""
    if error.code in _OF_THE_EXCHANGE:
        return False
    return error.status == 429 or error.status >= 500 or error.code in _OF_THE_ACCOUNT


def has_cost_work(error: ApiError) -> bool:
    """Whether a backend may have worked for an attempt that failed so; what it refused has cost nothing."""
    refused = error.status in _TO_COME_AGAIN or error.status < 500
    return not refused and error.code not in _BEFORE_WORK


def was_unreachable(error: ApiError) -> bool:
    """Whether the backend did not even hear of the attempt."""
    return error.code in _UNREACHABLE


def is_busy(error: ApiError) -> bool:
    """Whether a backend refuses for a while only."""
    return error.status in _TO_COME_AGAIN


def with_room(target: Target, plan: Plan, batch: Batch) -> Target | None:
    """The target, to be asked once more for an answer that has room beside the prompt; or None."""
    error = failure_of(batch)
    if not isinstance(error, WindowError) or error.window is None or target not in plan.targets:
        return None
    if error.room is not None:
        return msgspec.structs.replace(target, room=error.room) if error.room > 0 else None
    # How long the prompt is was not told: our own estimate decides, where the window was news to us.
    facts = msgspec.structs.replace(target.facts, window=error.window)
    return None if facts == target.facts else msgspec.structs.replace(target, facts=facts)


def outcome_of(error: ApiError) -> str:
    """The attempt's outcome in the metrics."""
    match error.status:
        case 429:
            return "rate_limited"
        case 502 if error.code == "bad_backend_answer":
            return "invalid"
        case status if status < 500:
            return "http_4xx"
        case 504:
            return "timeout"
        case _:
            return "http_5xx"


def sign_of(outcome: str, error: ApiError | None) -> Sign:
    """What an attempt's outcome says of the health of a backend."""
    if outcome in {"ok", "http_4xx"}:
        return "well"
    if outcome in {"cancelled", "exhausted"}:
        return "unknown"
    return "refused" if error is not None and is_busy(error) else "failed"
