"""Builds the application: one composition root, one table of endpoints."""

import asyncio
import gc
import os
import platform
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from litestar import Litestar, asgi
from litestar.exceptions import HTTPException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from gateway import catalogue
from gateway.admission import Admission
from gateway.admission.door import Doors
from gateway.api import operations
from gateway.api.admin import admin, document, page
from gateway.api.conversations import conversation, translate
from gateway.api.models import models
from gateway.api.nowhere import Nowhere
from gateway.api.openapi import openapi
from gateway.api.own_key import own_key
from gateway.api.raw import HTTP, Answer, Endpoint
from gateway.balance import Balancer
from gateway.cors import Cors
from gateway.credentials import Credentials
from gateway.deadlines import Ticker
from gateway.dispatch import Dispatch
from gateway.dispatch.shadows import Shadows
from gateway.health import CHANGES as ASIDE_CHANGES
from gateway.health import Asides, Health
from gateway.health.probes import Probe
from gateway.health.reach import Reach
from gateway.keys import CHANGES, Keys, Register
from gateway.logs import AccessLog
from gateway.memory import Memory
from gateway.metrics import Metrics, written
from gateway.origin import Origin
from gateway.overload import ROOM, Overload
from gateway.pipeline import Gateway, Siblings
from gateway.routing import Routes
from gateway.settings import Backend, Deadlines, OpenAIBackend, Settings, WorkersAIBackend
from gateway.store import NoStore, Store
from gateway.suspects import Suspects
from gateway.tallies import decode
from gateway.upstream import Address, Upstream
from translators.backends.openai_server.servers import SERVERS
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS

# Clients are given a base_url with /v1, without it, and with a second one that they append themselves.
_PREFIXES: Final = ("/v1", "", "/v1/v1")

_FIRST_LOOKS: Final = 1.0  # seconds

_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000
_YOUNG_COLLECTIONS_BETWEEN_OLD: Final = 100  # Python's own mark is ten


@dataclass(frozen=True, slots=True)
class State:
    """Where shared state is kept, and what issued keys are stored under there."""

    url: str = field(repr=False)
    pepper: bytes = field(repr=False)


def create_app(settings: Settings, master_key: str) -> "Application":
    """The gateway as an ASGI application, without a store: issued keys and limits need `build` and one."""
    return application(build(settings, master_key))


def application(gateway: Gateway) -> "Application":
    """The ASGI application of a gateway whose rooms are wanted beside it: all of it."""
    return _application(gateway, [*_handlers(gateway), *_admin_handlers(gateway, spared=False)], lives=True)


def applications(gateway: Gateway) -> tuple["Application", "Application"]:
    """The same without the admin API, and all of it, for another address; the first one is what lives."""
    return (
        _application(gateway, _handlers(gateway), lives=True),
        _application(gateway, [*_handlers(gateway), *_admin_handlers(gateway, spared=True)], lives=False),
    )


def _application(gateway: Gateway, handlers: Iterable[ASGIRouteHandler], *, lives: bool) -> "Application":
    conversations = _conversations(gateway)
    litestar = Litestar(
        route_handlers=[*handlers, *(_handler([path], each) for path, each in conversations.items())],
        lifespan=[lambda _app: _running(gateway)] if lives else [],
        exception_handlers={HTTPException: lambda request, _error: Nowhere(gateway, request.method)},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    return Application(conversations, litestar)


class Application:
    """The conversations at once, everything else through Litestar.

    Litestar would look at every message that they send, for errors that `api/raw` lets none through: with a
    stream's every event that is a twentieth of the cost.
    """

    def __init__(self, conversations: Mapping[str, Endpoint], litestar: Litestar) -> None:
        self._conversations = conversations
        self._litestar = litestar

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live as long as the server does."""
        endpoint = self._conversations.get(scope["path"]) if scope["type"] == HTTP else None
        await (endpoint or self._litestar)(scope, receive, send)


def routes_of(settings: Settings) -> Routes:
    """The routes alone, for commands that send nothing."""
    return Routes(settings, catalogue.load(settings.data_dir))


async def alone(counts: bytes) -> bytes:
    """The metrics of all processes that serve together, where there is but one.

    They are written piece by piece, and in between the event loop goes on. A thread beside it would not do:
    it gives up the interpreter every 5 ms only, and for so long each stream would wait again and again.
    """
    text = bytearray()
    for piece in written(decode(counts)):
        text += piece
        await asyncio.sleep(0)
    return bytes(text)


def build(
    settings: Settings, master_key: str | None, state: State | None = None, siblings: Siblings = alone
) -> Gateway:
    """All rooms of one process, joined.

    Args:
        settings: What is set.
        master_key: The operator's key; None where that is an issued one.
        state: Where shared state is kept; without it what needs some is refused, as in an outage.
        siblings: Gives the metrics of all processes that serve together.
    """
    store = Store(state.url, settings.store.timeout) if state else NoStore()
    entries = settings.keys.audit_entries
    register = Register(store, state.pepper, entries) if state and isinstance(store, Store) else None
    keys = Keys(master_key, register, state.pepper if state else b"", settings.keys.stale)
    worker = f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}"
    admission = Admission(store, worker, settings.store.lease)
    routes = routes_of(settings)
    metrics = Metrics(_names(settings, routes))
    memory = Memory()
    overload = Overload(settings.server.max_in_flight, room=partial(memory.room, ROOM))

    def woke(lag: float) -> None:
        overload.tick(lag)
        overload.memory(memory.share())
        metrics.loop_lag(lag)
        if isinstance(store, Store):
            metrics.store(store.failures.items(), is_away=store.is_away)

    upstreams = {
        name: _upstream(name, backend, settings.deadlines, metrics)
        for name, backend in settings.backends.items()
    }
    health = Health(settings.backends, metrics)
    asides = Asides(health, store if isinstance(store, Store) else None)
    probes = [
        Probe(
            name,
            backend,
            SERVERS[backend.server],
            health.backends[name],
            upstreams[name].credentials,
            routes.found,
            metrics,
        )
        for name, backend in settings.backends.items()
        if isinstance(backend, OpenAIBackend)
    ]
    return Gateway(
        settings=settings,
        store=store,
        keys=keys,
        doors=Doors(admission, keys, settings, metrics),
        origin=Origin(settings.server.trusted_proxies),
        cors=Cors(settings.server.cors),
        suspects=Suspects(),
        routes=routes,
        probes=probes,
        dispatch=Dispatch(
            upstreams,
            metrics,
            routes,
            Balancer(health),
            asides,
            Shadows(upstreams, metrics),
            settings.errors.quote_backends,
        ),
        metrics=metrics,
        log=AccessLog(metrics.lost_lines),
        ticker=Ticker(settings.deadlines, woke=woke),
        overload=overload,
        siblings=siblings,
    )


def _names(settings: Settings, routes: Routes) -> Iterator[str]:
    """The models that are known from the start: as clients may ask for them, and as targets have them."""
    yield from (name for name, _facts in routes.models())
    for name in settings.models:
        yield from (target.model for target in routes.resolve(name).targets)


def _upstream(name: str, backend: Backend, deadlines: Deadlines, metrics: Metrics) -> Upstream:
    credentials = Credentials(name, metrics.credential_read).add(backend.credentials)
    return Upstream(_address(backend), credentials, deadlines.connect)


def _address(backend: Backend) -> Address:
    headers = {name: value.get_secret_value() for name, value in backend.headers.items()}
    address = Address(backend.base_url, headers=headers, tls=backend.tls, proxy=backend.proxy)
    if isinstance(backend, OpenAIBackend):
        return replace(address, keep_alive=SERVERS[backend.server].keep_alive)
    if backend.gateway_id is not None:
        address = replace(address, headers={"cf-aig-gateway-id": backend.gateway_id, **headers})
    under = ("ai", "v1") if backend.dialect == "openai" else ()
    return replace(address, prefix=("accounts", backend.account_id, *under))


def _conversations(gateway: Gateway) -> dict[str, Endpoint]:
    """Path -> what answers there, of the endpoints that do the work."""
    under_v1 = {
        "/chat/completions": Endpoint(gateway, "chat", {"POST": conversation(OPENAI_CHAT)}),
        "/completions": Endpoint(gateway, "text_completion", {"POST": conversation(OPENAI_COMPLETIONS)}),
        "/translate": Endpoint(gateway, "translate", {"POST": translate}),
    }
    return {prefix + path: each for path, each in under_v1.items() for prefix in _PREFIXES}


def _handlers(gateway: Gateway) -> list[ASGIRouteHandler]:
    def endpoint(operation: str, methods: Mapping[str, Answer], *, keyed: bool = True) -> Endpoint:
        return Endpoint(gateway, operation, methods, keyed=keyed)

    listed = endpoint("models", {"GET": models})
    own = endpoint("key", {"GET": own_key})
    at_root = {
        "/healthz": endpoint("health", {"GET": operations.health}, keyed=False),
        "/readyz": endpoint("health", {"GET": operations.ready}, keyed=False),
        "/metrics": endpoint("metrics", {"GET": operations.metrics}, keyed=False),
        "/openapi.json": endpoint("openapi", {"GET": openapi}, keyed=False),
    }
    return [
        # A mount takes ids with slashes, raw and encoded.
        *(_handler([f"{prefix}/models"], listed, is_mount=True) for prefix in _PREFIXES),
        _handler([f"{prefix}/key" for prefix in _PREFIXES], own),
        *(_handler([path], each) for path, each in at_root.items()),
    ]


def _admin_handlers(gateway: Gateway, *, spared: bool) -> list[ASGIRouteHandler]:
    pages = {
        "/admin/openapi.json": Endpoint(gateway, "openapi", {"GET": document.openapi}, keyed=False),
        "/admin/docs": Endpoint(gateway, "docs", {"GET": page.docs}, keyed=False),
        **{
            f"/admin/docs.{kind}": Endpoint(gateway, "docs", {"GET": page.beside(kind)}, keyed=False)
            for kind in ("css", "js", "svg")
        },
    }
    return [
        _handler(["/admin/v1"], Endpoint(gateway, "admin", admin(), spared=spared), is_mount=True),
        *(_handler([path], each) for path, each in pages.items()),
    ]


def _handler(paths: list[str], each: Endpoint, *, is_mount: bool = False) -> ASGIRouteHandler:
    return asgi(paths, is_mount=is_mount, copy_scope=False)(each.__call__)  # it changes nothing there


def _calm_the_collector() -> None:
    """Have the garbage collector look at what requests leave behind, and not at each of them.

    What start-up made lives as long as the process: walking it again and again took a tenth of the time of
    all requests. A request makes some hundred objects that no cycle holds; 700, Python's own mark, is two.
    What is older than one collection is looked at rarely: with thousands of streams open that takes 100 ms,
    and all of them wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, _YOUNG_COLLECTIONS_BETWEEN_OLD)


async def _first_looks(probes: Sequence[Probe]) -> None:
    """Learn which models there are before anybody asks; who does not answer is looked at again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_LOOKS):
            await asyncio.gather(*(each.look_once() for each in probes if each.settings.probe))


def _reaches(gateway: Gateway) -> Iterator[Reach]:
    """What looks at the backends that have no page of their health."""
    conditions = gateway.dispatch.balancer.health.backends
    for name, backend in gateway.settings.backends.items():
        if isinstance(backend, WorkersAIBackend):
            yield Reach(backend, conditions[name])


@asynccontextmanager
async def _running(gateway: Gateway) -> AsyncIterator[None]:
    """The connections and the ticker live as long as the application."""
    credentials = [upstream.credentials for upstream in gateway.dispatch.upstreams.values()]
    await asyncio.gather(*(each.load() for each in credentials))
    tasks = [asyncio.create_task(gateway.ticker.run())]
    tasks += [asyncio.create_task(each.run()) for each in credentials if each.may_change]
    await _first_looks(gateway.probes)
    tasks += [asyncio.create_task(each.run()) for each in gateway.probes]
    tasks += [asyncio.create_task(each.run()) for each in _reaches(gateway)]
    store, admission = gateway.store, gateway.doors.admission
    if isinstance(store, Store):
        await store.start()
        store.when_back(admission.returned)
        store.listen(CHANGES, gateway.doors.changed)
        await gateway.doors.general.look()
        tasks.append(asyncio.create_task(gateway.doors.general.run()))
        tasks.append(asyncio.create_task(admission.run()))
        tasks.append(asyncio.create_task(gateway.keys.run()))
        store.listen(ASIDE_CHANGES, gateway.dispatch.asides.changed)
        tasks.append(asyncio.create_task(gateway.dispatch.asides.run()))
    _calm_the_collector()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.dispatch.shadows.stop()
        if isinstance(store, Store):
            await admission.stop()
            await store.stop()
        gateway.log.close()
        for upstream in gateway.dispatch.upstreams.values():
            await upstream.stop()
