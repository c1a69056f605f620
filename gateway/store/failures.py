"""Why the store did not do what it was asked, and what an operator should look at then."""

from collections.abc import Mapping
from typing import Final, Literal

from redis import exceptions

Reason = Literal[
    "away", "timeout", "refused", "late", "full", "read_only", "loading", "busy", "denied", "moved",
    "forbidden", "wrong_type", "pool", "broken",
]  # fmt: skip

WORDS: Final[Mapping[Reason, str]] = {
    "away": "the store does not answer: look at redis_url and at the server there",
    "timeout": "the store does not answer in time: look at its load and the network, or raise store.timeout",
    "refused": "no connection to the store: look at redis_url, and whether the server there runs",
    "late": "the store was asked too late: look at its load and at the network",
    "full": "the store cannot take any more: give its server more memory (maxmemory) or room on its disk",
    "read_only": "the store cannot be written to: does redis_url lead to a replica? Name the master",
    "loading": "the store's server is starting: it still reads its data",
    "busy": "the store's server has other work that it does not leave: look at what else uses it",
    "denied": "the store wants another user or password: look at redis_url",
    "forbidden": "the store's user may not do what is needed: allow it our keys, scripts, INFO and PUBLISH",
    "moved": "the store's cluster has no server for our keys: look at its CLUSTER INFO",
    "wrong_type": "another program writes under our keys in the store: give Penstock a database of its own",
    "pool": "all connections to the store are taken: look at its load",
    "broken": "the store does not know what it was asked: use Redis 7.0 or newer, or Valkey",
}

# The more particular ones first.
_CLASSES: Final[tuple[tuple[type[Exception], Reason], ...]] = (
    (TimeoutError, "timeout"),
    (exceptions.TimeoutError, "timeout"),
    (exceptions.BusyLoadingError, "loading"),
    (exceptions.MaxConnectionsError, "pool"),
    (exceptions.AuthenticationError, "denied"),
    (exceptions.NoPermissionError, "forbidden"),
    (exceptions.ConnectionError, "refused"),
    (OSError, "refused"),
    (exceptions.ReadOnlyError, "read_only"),
    (exceptions.OutOfMemoryError, "full"),
    (exceptions.AskError, "moved"),
    (exceptions.TryAgainError, "moved"),
    (exceptions.ClusterDownError, "moved"),
)
# Codes of replies that the library has no class for.
_CODES: Final[Mapping[str, Reason]] = {
    "WRONGTYPE": "wrong_type",
    "DENIED": "denied",  # its protected mode: it takes nobody from elsewhere without a password
    "BUSY": "busy",
    "MISCONF": "full",  # its disk is, or cannot be written to
    "NOREPLICAS": "read_only",  # fewer than its min-replicas-to-write
    "UNKILLABLE": "busy",
}


class StoreAwayError(Exception):
    """The store did not answer in time, or not as it should: what was asked counts as not done.

    Attributes:
        reason: `away`: it was not asked, for it is known not to answer. `late`: it was asked too late.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Final = reason


def reason_of(error: Exception) -> Reason:
    """What a failure means."""
    if isinstance(error, StoreAwayError):
        return error.reason
    known = next((reason for kind, reason in _CLASSES if isinstance(error, kind)), None)
    return known or _CODES.get(str(error).partition(" ")[0], "broken")
