"""`/admin/v1/backends`: how the backends are doing; they are drained and set aside, and taken up again."""

from time import time
from typing import Any, Final

from litestar import Router, delete, get, post
from litestar.params import FromPath

from gateway.api.admin import bodies, standing
from gateway.api.admin.calls import AdminCall, Call, Told
from gateway.api.admin.times import written
from gateway.health import Aside, Logged
from gateway.keys import ConflictError, quoted_id
from gateway.keys.entries import Changed, entry
from gateway.settings import WorkersAIBackend
from translators.errors import ApiError

ALL_BACKENDS: Final = "/admin/v1/backends"

_TRIES: Final = 8


@get("/", told=Told(tag="Backends", answer=standing.BackendList))
async def list_backends(call: Call) -> standing.BackendList:
    """Show how all backends and the models there are doing, as the worker that answers sees it."""
    return standing.shown_backends(call.gateway, await standing.looked(call.gateway))


@post(
    "/{backend:str}/drain",
    status_code=200,
    told=Told(
        tag="Backends", body=bodies.Drain, example={"why": "a new driver"}, answer=standing.ShownBackend
    ),
)
async def drain_backend(call: Call, backend: FromPath[str]) -> standing.ShownBackend:
    """Send a backend nothing new, on all workers, until it is undrained. What is in flight there goes on."""
    _check_backend(call, backend)
    asked = call.body(bodies.Drain)
    _check_model(call, backend, asked.model)
    drain = Aside(backend, asked.model, why=asked.why)
    return await _change(call, "backend.drain", drain, drain)


@post(
    "/{backend:str}/undrain",
    status_code=200,
    told=Told(
        tag="Backends",
        body=bodies.OfBackend,
        example={"model": "llama"},
        answer=standing.ShownBackend,
    ),
)
async def undrain_backend(call: Call, backend: FromPath[str]) -> standing.ShownBackend:
    """Send a drained backend requests again. What was not drained stays as it is, without a word."""
    _check_backend(call, backend)
    model = call.body(bodies.OfBackend).model
    return await _take_back(call, "backend.undrain", backend, model, drained=True)


@post(
    "/{backend:str}/aside",
    status_code=200,
    told=Told(
        tag="Backends",
        body=bodies.SetAside,
        example={"seconds": "15m", "why": "it restarts"},
        answer=standing.ShownBackend,
    ),
)
async def set_backend_aside(call: Call, backend: FromPath[str]) -> standing.ShownBackend:
    """Send a backend nothing new for a while, on all workers. A route's only target is asked even so."""
    _check_backend(call, backend)
    asked = call.body(bodies.SetAside)
    _check_model(call, backend, asked.model)
    aside = Aside(backend, asked.model, time() + asked.seconds, asked.why)
    return await _change(call, "backend.aside", aside, aside)


@delete(
    "/{backend:str}/aside",
    status_code=200,
    told=Told(tag="Backends", query=bodies.OfBackend, answer=standing.ShownBackend),
)
async def take_backend_back(call: Call, backend: FromPath[str]) -> standing.ShownBackend:
    """Send requests again to what an operator, or its own refusal, has set aside. A drain stays."""
    _check_backend(call, backend)
    model = call.asked(bodies.OfBackend).model
    return await _take_back(call, "backend.take_back", backend, model, drained=False)


def _check_backend(call: AdminCall, backend: str) -> None:
    if backend not in call.gateway.settings.backends:
        raise ApiError(
            404,
            f"There is no backend '{quoted_id(backend)}'. GET /admin/v1/backends lists what there is.",
            code="not_found",
        )


def _check_model(call: AdminCall, backend: str, model: str | None) -> None:
    """See that something is left alone by it: a name with a slip would do nothing, and nobody would know."""
    settings, listed = call.gateway.settings.backends[backend], call.routes.listed_by(backend)
    is_open = settings.catalogue == "open" and (isinstance(settings, WorkersAIBackend) or listed is None)
    if model is None or is_open or (listed is not None and model in listed):
        return
    plans = map(call.routes.resolve, call.gateway.settings.models)
    if not any((backend, model) == (each.backend, each.model) for plan in plans for each in plan.targets):
        raise ApiError(
            400,
            f"model: no route asks '{backend}' for this model, and the backend lists none of this name. A "
            "model stands under the backend's own name.",
            code="invalid_value",
            param="model",
        )


async def _take_back(
    call: AdminCall, action: str, backend: str, model: str | None, *, drained: bool
) -> standing.ShownBackend:
    place = Aside(backend, model, None if drained else 0.0)
    return await _change(call, action, place, None)


async def _change(call: AdminCall, action: str, place: Aside, after: Aside | None) -> standing.ShownBackend:
    """Change what stands at a place, and show what comes of it, with what others have changed before."""
    await _write(call, action, place, after)
    await call.gateway.dispatch.asides.look()
    return standing.shown_backend(call.gateway, place.backend)


async def _write(call: AdminCall, action: str, place: Aside, after: Aside | None) -> None:
    """Change what stands at a place as it is in the store now, whoever else is changing it."""
    asides = call.gateway.dispatch.asides
    for _ in range(_TRIES):
        found = await asides.find(place.place)
        changes = _changes(found.aside, after)
        if not changes:
            return
        subject = place.backend if place.model is None else f"{place.backend} {place.model}"
        made = entry(call.actor, action, subject, changes)
        logged = Logged(*call.register.archive.logged(made))
        if await asides.change(place.place, found, after, logged):
            return
    raise ConflictError(f"{place.backend} is being changed by somebody else all the time: try again")


def _changes(before: Aside | None, after: Aside | None) -> Changed:
    then, now = _fields(before), _fields(after)
    return {
        name: (then.get(name), now.get(name)) for name in {**then, **now} if then.get(name) != now.get(name)
    }


def _fields(aside: Aside | None) -> dict[str, Any]:
    if aside is None:
        return {}
    lasting = {"drained": True} if aside.until is None else {"until": written(aside.until)}
    return {**lasting, "why": aside.why} if aside.why else lasting


BACKENDS = Router(
    ALL_BACKENDS,
    route_handlers=[
        list_backends, drain_backend, undrain_backend, set_backend_aside, take_backend_back,
    ],
)  # fmt: skip
