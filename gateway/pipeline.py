"""The story of one exchange, stage by stage.

Before this the adapter (`api/raw.py`) has checked the key and read the body; after it, it settles: the
metrics and the access line, whatever happened.
"""

from dataclasses import dataclass

from gateway.deadlines import Ticker
from gateway.dispatch import Dispatch
from gateway.exchange import Exchange
from gateway.keys import Keys
from gateway.logs import AccessLog
from gateway.metrics import Metrics
from gateway.overload import Overload
from gateway.relay import Client, relay
from gateway.routing import Routes
from gateway.settings import Settings
from translators.clients import Dialect


@dataclass(frozen=True, slots=True)
class Gateway:
    """What all exchanges of this process share."""

    settings: Settings
    keys: Keys
    routes: Routes
    dispatch: Dispatch
    metrics: Metrics
    log: AccessLog
    ticker: Ticker
    overload: Overload


async def converse(
    gateway: Gateway, exchange: Exchange, dialect: Dialect, body: bytes, client: Client
) -> None:
    """Answer one request.

    Raises:
        ApiError: Nothing of an answer has been sent, and this is to be sent in its place.
    """
    request = dialect.read(body)
    exchange.model, exchange.stream = request.model, request.stream
    plan = gateway.routes.resolve(request.model)
    writer = dialect.writer(request, exchange.stamp)
    answer = relay(exchange, writer, client)
    await gateway.dispatch.answer(exchange, client.watch, plan, request, answer)
    await answer.end()
