"""What each series means that is no view of the tallies, and its labels."""

from collections.abc import Mapping
from typing import Final

from gateway.tallies import Labels

Names = Mapping[str, tuple[str, Labels]]

# Where a `model` may be empty, the series is of the backend itself.
_PLACE: Final = ("backend", "model")

# Those without labels show from the start.
COUNTERS: Final[Names] = {
    "penstock_upstream_attempts_total": ("Calls to backends by outcome.", ("backend", "outcome")),
    "penstock_further_attempts_total": (
        (
            "Attempts after a request's first one, by what they are: retry (the same target again), failover "
            "(another target), fallback (another model), hedge (beside one that is slow), continued (of a "
            "stream that broke off)."
        ),
        ("backend", "kind"),
    ),
    "penstock_retry_refusals_total": ("Further attempts that the retry budget did not allow.", ()),
    "penstock_breaker_openings_total": (
        "Times that a worker's breaker opened; looks in vain while it is open are not counted.",
        _PLACE,
    ),
    "penstock_set_asides_total": (
        "Times that a worker set a backend or a model there aside, for it said that it was busy.",
        _PLACE,
    ),
    "penstock_probe_failures_total": (
        "Looks at servers in vain, by what was asked for: health, load, models.",
        ("backend", "what"),
    ),
    "penstock_shadow_requests_total": (
        "Copies of requests to shadow targets by outcome: ok, failed, left_out.",
        ("backend", "outcome"),
    ),
    "penstock_limit_refusals_total": (
        "Requests that a limit refused, by whose it is (gateway, model, team, key, target) and its unit.",
        ("subject", "unit"),
    ),
    "penstock_admitted_without_store_total": ("Requests that were admitted while the store was away.", ()),
    "penstock_store_failures_total": ("Calls to the store that failed, by reason.", ("reason",)),
    "penstock_credential_refreshes_total": (
        "Readings of backends' credentials by outcome: new, failed.",
        ("backend", "outcome"),
    ),
    "penstock_deadlines_total": ("Deadlines that passed, by reason.", ("reason",)),
    "penstock_unread_requests_total": (
        "Requests that were refused before they were read, by reason.",
        ("reason",),
    ),
    "penstock_shed_requests_total": (
        "Requests that were refused because there were too many, by reason: in_flight, loop_lag, memory.",
        ("reason",),
    ),
    "penstock_lost_access_lines_total": ("Access lines that standard output did not take.", ()),
    "penstock_auth_failures_total": (
        "Requests without a valid key, by reason: missing, wrong, slowed, disabled, expired, address.",
        ("reason",),
    ),
    "penstock_worker_restarts_total": ("Workers that ended and were started again.", ()),
}

BREAKER_STATE: Final = "penstock_breaker_state"

GAUGES: Final[Names] = {
    "penstock_backend_up": (
        "Whether the last look at a server found it well; with several workers, whether any one's did.",
        ("backend",),
    ),
    "penstock_backend_inflight_requests": (
        "Requests that are in flight to a backend, from all workers.",
        ("backend",),
    ),
    "penstock_backend_reported_requests": (
        (
            "Requests that a server says it has, running and waiting, of all who ask it; of several workers' "
            "readings the greatest."
        ),
        ("backend",),
    ),
    "penstock_backend_reported_kv_usage_ratio": (
        (
            "How full a server says that its memory of keys and values is, from 0 to 1; of several workers' "
            "readings the greatest."
        ),
        ("backend",),
    ),
    "penstock_backend_set_aside": (
        "Whether a backend, or a model there, is set aside for a while; of several workers, by any.",
        _PLACE,
    ),
    "penstock_backend_drained": (
        "Whether a backend, or a model there, takes nothing new, for an operator has drained it.",
        _PLACE,
    ),
    BREAKER_STATE: (
        (
            "How many workers have the breaker of a backend, or of a model there, in this state: closed, "
            "open, half_open (the next request, or the one under way, looks whether it is well again). "
            "Models show while they are left alone."
        ),
        (*_PLACE, "state"),
    ),
    "penstock_queued_requests": (
        "Requests that wait while every target of their route is full, on all workers.",
        ("route",),
    ),
    "penstock_retry_budget_used": (
        "Requests that have asked once more, within the retry budget, and have no answer yet.",
        (),
    ),
}
