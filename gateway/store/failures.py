"""Why the store did not do what it was asked."""

from typing import Final, Literal

from redis import exceptions

Reason = Literal["away", "timeout", "refused", "late", "full", "read_only", "loading", "pool", "broken"]

# The more particular ones first.
_REASONS: Final[tuple[tuple[type[Exception], Reason], ...]] = (
    (TimeoutError, "timeout"),
    (exceptions.TimeoutError, "timeout"),
    (exceptions.BusyLoadingError, "loading"),
    (exceptions.MaxConnectionsError, "pool"),
    (exceptions.ConnectionError, "refused"),
    (OSError, "refused"),
    (exceptions.ReadOnlyError, "read_only"),
    (exceptions.OutOfMemoryError, "full"),
)


class StoreAwayError(Exception):
    """The store did not answer in time, or not as it should: what was asked counts as not done.

    Attributes:
        reason: `away`: it was not asked, for it is known not to answer. `late`: it was asked too late.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Final = reason


def reason_of(error: Exception) -> Reason:
    """What a failure of the client library means."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "broken")
