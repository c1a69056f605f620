"""Chat and text completions, and the translation explained."""

from functools import partial

import msgspec

from gateway.api.raw import Answer, while_connected
from gateway.api.wire import Client, Request
from gateway.pipeline import Gateway, converse
from gateway.translation import explain
from translators.clients import Dialect


async def _converse(dialect: Dialect, gateway: Gateway, request: Request, client: Client) -> None:
    caller = request.holder
    caller.check_inference()
    body = await request.body()
    answer = converse(gateway, request.exchange, caller, dialect, body, client)
    await while_connected(answer, request, client)


def conversation(dialect: Dialect) -> Answer:
    """What answers in a dialect."""
    return partial(_converse, dialect)


async def translate(gateway: Gateway, request: Request, client: Client) -> None:
    """`POST /v1/translate`: the backend's body and the report, nothing sent."""
    body = await request.body()
    caller = await gateway.keys.fresh(request.holder, request.exchange.address)
    explained = explain(gateway.routes, body, caller=caller)
    await client.send_json(200, msgspec.json.encode(explained))
