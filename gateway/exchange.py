"""What is known of one exchange, a request with its answer; noted while it goes its way.

Everything that is written about an exchange afterwards (metrics, the access line, later the books) is
written from here.
"""

import os
from collections.abc import Sequence
from time import monotonic, time
from typing import Final, Literal, Protocol

import msgspec

from translators.call import Stamp
from translators.deltas import Delta, Usage

EndedBy = Literal["backend", "client", "gateway"]

# The part of an answer that one read of a backend gave: from there to the client it stays together.
Batch = list[Delta]

_NOT_DRAWN: Final = Stamp(0, "")


class Recipient(Protocol):
    """Who takes an answer as it comes."""

    async def take(self, batch: Batch) -> None:
        """Take the next deltas.

        Raises:
            ApiError: They are a failure, and nothing has been sent.
        """

    def has_begun(self) -> bool:
        """Whether the client has something of the answer."""

    def forget(self) -> None:
        """Forget what was taken, of which the client has nothing: another answer follows."""

    def takes_at_once(self) -> bool:
        """Whether deltas can be taken without waiting."""

    def take_at_once(self, batch: Batch) -> None:
        """Take the next deltas; only where that needs no waiting."""


class Exchange(msgspec.Struct, eq=False):
    """One request and its answer. Times are of `monotonic`, in seconds.

    Attributes:
        request_id: Drawn anew, as the stamp is.
        backend: Who answers, or was asked last; target_model: that one's own name of the model.
        address: Whence the client calls; empty where nobody can tell.
        key: The id of the caller's key; empty where there is none.
        permission: Headers of the answer for the page of another origin that asked.
        standing: The `x-ratelimit-*` headers of the answer, where there are limits.
        route: The route that answered, where the answer is to say which way it came.
    """

    method: str
    path: str
    operation: str = ""
    request_id: str = ""
    stamp: Stamp = _NOT_DRAWN
    started: float = msgspec.field(default_factory=monotonic)
    model: str = ""
    backend: str = ""
    target_model: str = ""
    stream: bool = False
    translation: str = ""
    status: int = 0
    error: str = ""
    attempts: int = 0
    first_token: float | None = None
    usage: Usage | None = None
    ended_by: EndedBy | None = None
    address: str = ""
    key: str = ""
    permission: Sequence[tuple[bytes, bytes]] = ()
    standing: Sequence[tuple[bytes, bytes]] = ()
    route: str = ""

    def __post_init__(self) -> None:
        random = os.urandom(28).hex()  # asked of the system once for both
        self.request_id = f"req_{random[:32]}"
        self.stamp = Stamp(int(time()), random[32:])

    def is_answered_by(self, backend: str, model: str) -> None:
        """Note who is asked, or has won."""
        self.backend, self.target_model = backend, model

    def saw_token(self) -> None:
        """Note the time of the first delta."""
        if self.first_token is None:
            self.first_token = monotonic()
