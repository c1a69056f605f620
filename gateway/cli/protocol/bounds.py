"""What clients may do to connections, and whom these ask and tell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from gateway.api.overloaded import Refuser
from gateway.cli.protocol.familiar import FamiliarHeads
from gateway.outbox import LateOutbox, Outbox
from gateway.settings import Deadlines, Server
from translators.errors import ApiError

# Seconds. Many clients ask again at once, and to refuse ten of them costs what a chat does. With the turn in
# which a request waits to be read, and another one behind it, its refusal is out in twice as much.
_HOLD: Final = 0.02


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client may do to a connection.

    Attributes:
        refusal: Gives the ASGI application that answers a request with an error, and settles it.
        clock: In seconds; tests move it.
        refuser: Asked about each request whether there are too many already.
        outbox: Sends the answers.
        refusals: Sends the refusals where there are too many requests.
        heads: What is known of the heads of requests, for all connections.
    """

    server: Server
    deadlines: Deadlines
    refusal: Callable[[ApiError], Any]
    clock: Callable[[], float] = monotonic
    refuser: Refuser | None = None
    outbox: Outbox = field(default_factory=Outbox)
    refusals: Outbox = field(default_factory=lambda: LateOutbox(_HOLD))
    heads: FamiliarHeads = field(default_factory=FamiliarHeads)
