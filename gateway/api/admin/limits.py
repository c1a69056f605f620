"""`/admin/v1/limits`: the limits of the gateway and its models, which the settings say, and what is used."""

from litestar import get

from gateway.api.admin import shown
from gateway.api.admin.calls import Call, Told
from gateway.api.admin.usage import Limited, used_of


@get("/admin/v1/limits", told=Told(tag="Limits", answer=shown.LimitsInUse))
async def show_limits(call: Call) -> shown.LimitsInUse:
    """Show the limits of the gateway and of its models, and how much of each is used now.

    They are set in the gateway's settings, and not here: other methods are answered with 405.
    """
    of_all, of_models = call.doors.of_all, call.doors.of_models
    limited: list[Limited] = [("gateway", None, of_all)]
    limited += [("model", model, subject) for model, subject in of_models.items()]
    used: dict[str | None, list[shown.ShownUse]] = {}
    for use in await used_of(call.store, limited):
        used.setdefault(use.models, []).append(use)
    return shown.LimitsInUse(
        gateway=shown.shown_limits(of_all, used.get(None, [])),
        models={
            model: shown.shown_limits(subject, used.get(model, [])) for model, subject in of_models.items()
        },
    )
