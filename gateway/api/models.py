"""The list of models."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from gateway.api.wire import Client, Request
from gateway.errors import unknown_model, unknown_url
from gateway.pipeline import Gateway
from gateway.routing import Routes
from translators.backends.openai_server.servers import Served
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.request import is_model_id
from translators.clients.models import Model, write_list, write_model

_SOMETIME: Final = "2024-10-01"  # when a model came is not published for all; clients want a number


def list_models(routes: Routes) -> Iterator[Model]:
    """All models that a client can ask for by a name known beforehand."""
    return (_model(name, facts) for name, facts in routes.models())


async def models(gateway: Gateway, request: Request, client: Client) -> None:
    """`GET /v1/models` and `GET /v1/models/{id}`, the id raw or percent-encoded."""
    rest = unquote(request.exchange.path.partition("/models")[2])
    if rest and not rest.startswith("/"):  # a mount takes any path that begins as it does
        raise unknown_url(request.exchange.method, request.exchange.path)
    name = rest.strip("/")
    caller = await gateway.keys.fresh(request.holder, request.exchange.address)
    if not name:
        listed = (model for model in list_models(gateway.routes) if caller.may_use(model.id))
        await client.send_json(200, write_list(listed))
        return
    if any(not character.isprintable() for character in name):
        raise unknown_model("")
    caller.check_model(name)
    await client.send_json(200, write_model(_model(name, gateway.routes.facts(name))))


def _model(name: str, facts: Facts | Served) -> Model:
    return Model(
        id=name,
        created=int(datetime.fromisoformat(facts.released or _SOMETIME).replace(tzinfo=UTC).timestamp()),
        owned_by=name.split("/")[1] if is_model_id(name) else "penstock",
        context_length=facts.window,
        capabilities=tuple(sorted(facts.can)),
        efforts=facts.efforts,
        effort=facts.effort,
        price=facts.price,
        neurons=facts.neurons,
        retires=facts.retires,
    )
