"""`/admin/v1/limits`: the limits of the gateway and its models, set in place of the settings', and used."""

from litestar import Router, get, patch

from gateway.api.admin import bodies, shown
from gateway.api.admin.calls import AdminCall, Call, Told
from gateway.api.admin.changes import patched_limits
from gateway.api.admin.usage import limited_in_general, used_of
from translators.errors import ApiError


@get("/", told=Told(tag="Limits", answer=shown.LimitsInUse))
async def show_limits(call: Call) -> shown.LimitsInUse:
    """Show the limits of the gateway and of its models, and how much of each is used now."""
    await call.doors.general.refresh()
    return await _in_use(call)


@patch(
    "/",
    told=Told(
        tag="Limits",
        body=bodies.LimitsChanges,
        example={"gateway": {"rpm": 6000}, "models": {"small": {"tpm": 500000, "rpm": None}}},
        answer=shown.LimitsInUse,
    ),
)
async def change_limits(call: Call) -> shown.LimitsInUse:
    """Set limits in place of those of the settings. Null goes back to the settings, what is absent stays."""
    change = patched_limits(call.patch(), lambda model: _check_model(call, model))
    await call.doors.general.change(call.register, change, call.actor)
    return await _in_use(call)


def _check_model(call: AdminCall, model: str) -> None:
    try:
        call.routes.resolve(model)
    except ApiError:
        raise ApiError(
            400,
            f"models.{model}: there is no such model. GET /v1/models lists what there is.",
            code="invalid_value",
            param=f"models.{model}",
        ) from None


async def _in_use(call: AdminCall) -> shown.LimitsInUse:
    general = call.doors.general
    used: dict[str | None, list[shown.ShownUse]] = {}
    for use in await used_of(call.store, list(limited_in_general(general))):
        used.setdefault(use.models, []).append(use)
    return shown.LimitsInUse(
        gateway=shown.shown_limits(general.gateway, general.known.gateway, used.get(None, [])),
        models={
            model: shown.shown_limits(subject, general.known.models.get(model, {}), used.get(model, []))
            for model, subject in general.models.items()
        },
    )


LIMITS = Router("/admin/v1/limits", route_handlers=[show_limits, change_limits])
