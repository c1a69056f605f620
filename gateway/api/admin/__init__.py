"""The operators' API under `/admin`: keys, teams, limits, backends and the audit log, its document and page.

`keys`, `teams`, `limits`, `backends`, `routes` and `audit` are the operations, on Litestar's own handlers;
`calls` is what each of them gets. `bodies` is what may be sent, `reading` tells all that is wrong with it,
`changes` makes fields of records of it. `shown` is what is answered, with `usage`, and `standing` the same of
backends; `times` how both write times, `refusals` why not.

What every endpoint of the gateway has, this has from the adapter: request ids, access lines, metrics, keys
and slowed-down guesses of them, deadlines, OpenAI's envelope. Here is the way from there to Litestar.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from litestar import Litestar, Response
from litestar import Request as Asked
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import HTTPScope, Message

from gateway import errors
from gateway.api.admin.audit import list_changes
from gateway.api.admin.backends import ALL_BACKENDS, BACKENDS
from gateway.api.admin.calls import CALL, AdminCall, given_call
from gateway.api.admin.keys import KEYS
from gateway.api.admin.limits import LIMITS
from gateway.api.admin.refusals import check_role, refusal_of, store_away
from gateway.api.admin.routes import EXPLAIN, explain_route
from gateway.api.admin.teams import TEAMS
from gateway.api.raw import Answer
from gateway.api.wire import JSON, Client, Request
from gateway.keys import Actor
from gateway.pipeline import Gateway
from translators.clients.openai_error import envelope

_MOST: Final = 64 * 1024  # bytes of a body
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_FAILED: Final = "penstock.failed"


def admin() -> Mapping[str, Answer]:
    """Method -> what answers it, for everything under `/admin/v1`."""
    litestar = operations()

    async def answer(gateway: Gateway, request: Request, client: Client) -> None:
        await _answer(litestar, gateway, request, client)

    return dict.fromkeys(_METHODS, answer)


def operations() -> Litestar:
    """The operations, each found by its path and method."""
    return Litestar(
        route_handlers=[KEYS, TEAMS, LIMITS, BACKENDS, explain_route, list_changes],
        dependencies={"call": Provide(given_call, sync_to_thread=False)},
        exception_handlers={Exception: _note},
        openapi_config=None,
        logging_config=None,
    )


async def _answer(litestar: Litestar, gateway: Gateway, request: Request, client: Client) -> None:
    exchange, keys = request.exchange, gateway.keys
    reads = exchange.method in {"GET", "HEAD"}
    explains = exchange.path == EXPLAIN
    # What changes others' keys is not done on the word of a key that may have ended a moment ago. What this
    # worker itself knows is told without the store, when operators need it most.
    ask = keys.fresh if explains or (reads and exchange.path == ALL_BACKENDS) else keys.refresh
    caller = await ask(request.holder, exchange.address)
    check_role(caller, reads=reads or explains)
    if keys.register is None:
        raise store_away()
    if not explains:  # that takes what a chat does
        request.body_limit = min(request.body_limit, _MOST)
    sent = b"" if reads else await request.body()
    actor = Actor(caller.id, exchange.address)
    call = AdminCall(keys.register, gateway, actor, sent, request.query)
    asked = _Asked(request, call)
    await litestar(asked.scope, request.receive, asked.send)
    if asked.failure is None:
        await client.send_whole(asked.status, JSON, asked.body)
    else:
        await _fail(asked.failure, request, client)


class _Asked:
    """A call on its way through Litestar, and what came of it."""

    def __init__(self, request: Request, call: AdminCall) -> None:
        method, path = request.exchange.method, request.exchange.path
        state: dict[str, Any] = {CALL: call}
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET" if method == "HEAD" else method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "client": None,
            "server": None,
            "extensions": {},
            "state": state,
        }
        self.scope: HTTPScope = scope  # type: ignore[assignment]  # Litestar adds what is its own
        self.status = 0
        self.body = b""
        self._state = state

    @property
    def failure(self) -> Exception | None:
        """What an operation raised."""
        failed: Exception | None = self._state.get(_FAILED)
        return failed

    async def send(self, message: Message) -> None:
        """Take the answer in."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message["body"]


def _note(asked: Asked[Any, Any, Any], error: Exception) -> Response[None]:
    """Leave an error to the adapter, which answers those of all endpoints."""
    asked.scope["state"][_FAILED] = error
    return Response(None)


async def _fail(error: Exception, request: Request, client: Client) -> None:
    if isinstance(error, HTTPException):
        await _fail_to_find(error, request, client)
        return
    refusal = refusal_of(error)
    if refusal is None:
        raise error
    raise refusal from None


async def _fail_to_find(error: HTTPException, request: Request, client: Client) -> None:
    exchange = request.exchange
    if error.status_code != 405:
        raise errors.unknown_url(exchange.method, exchange.path)
    methods = (error.headers or {}).get("allow", "").split(", ")
    allowed = ", ".join(sorted(set(methods) - {"OPTIONS"}))
    refusal = errors.method_not_allowed(exchange.method, allowed)
    exchange.error, exchange.ended_by = refusal.code or "", "gateway"
    await client.send_whole(405, JSON, envelope(refusal), {"allow": allowed})
