"""What clients may do to connections, and whom these ask and tell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from gateway.api.overloaded import Refuser
from gateway.cli.protocol.familiar import FamiliarHeads
from gateway.outbox import Outbox
from gateway.settings import Deadlines, Server
from translators.errors import ApiError


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client may do to a connection.

    Attributes:
        refusal: Gives the ASGI application that answers a request with an error, and settles it.
        clock: In seconds; tests move it.
        refuser: Asked about each request whether there are too many already.
        outbox: Sends the answers.
        heads: What is known of the heads of requests, for all connections.
    """

    server: Server
    deadlines: Deadlines
    refusal: Callable[[ApiError], Any]
    clock: Callable[[], float] = monotonic
    refuser: Refuser | None = None
    outbox: Outbox = field(default_factory=Outbox)
    heads: FamiliarHeads = field(default_factory=FamiliarHeads)
