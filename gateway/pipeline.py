"""The story of one exchange, stage by stage.

Before this the adapter (`api/raw.py`) has checked the key and read the body; after it, it settles: the
metrics and the access line, whatever happened.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.admission.door import Doors
from gateway.cors import Cors
from gateway.deadlines import Ticker
from gateway.dispatch import Dispatch
from gateway.exchange import Exchange
from gateway.gauges import gauges_of
from gateway.health.probes import Probe
from gateway.keys import Caller, Keys
from gateway.logs import AccessLog
from gateway.metrics import Metrics
from gateway.origin import Origin
from gateway.overload import Overload
from gateway.relay import Client, relay
from gateway.routing import Routes
from gateway.settings import Settings
from gateway.store import NoStore, Store
from gateway.suspects import Suspects
from gateway.tallies import Counts
from translators.clients import Dialect

# Given the counts of this process, encoded, the metrics of all processes that serve together, as text.
Siblings = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """What all exchanges of this process share."""

    settings: Settings
    store: Store | NoStore
    keys: Keys
    doors: Doors
    origin: Origin
    cors: Cors
    suspects: Suspects
    routes: Routes
    probes: Sequence[Probe]
    dispatch: Dispatch
    metrics: Metrics
    log: AccessLog
    ticker: Ticker
    overload: Overload
    siblings: Siblings

    def counts(self) -> Counts:
        """What this process has counted, and how things stand with it."""
        gauges = gauges_of(self.dispatch.balancer, self.probes, self.settings.models, self.metrics)
        return self.metrics.counts(gauges)


async def converse(  # noqa: PLR0913, PLR0917 - all that an exchange begins with
    gateway: Gateway, exchange: Exchange, caller: Caller, dialect: Dialect, body: bytes, client: Client
) -> None:
    """Answer one request.

    Raises:
        ApiError: Nothing of an answer has been sent, and this is to be sent in its place.
    """
    request = dialect.read(body)
    exchange.model, exchange.stream = request.model, request.stream
    caller.check_model(request.model)
    plan = gateway.routes.resolve(request.model, caller.defaults)
    exchange.route = plan.route if plan.tells else ""
    answer = relay(exchange, partial(dialect.writer, request, exchange.stamp), client)
    door = gateway.doors.door(exchange, caller)
    try:
        await gateway.dispatch.answer(exchange, client.watch, plan, request, answer, gate=door)
        await answer.end()
    finally:
        door.close()
