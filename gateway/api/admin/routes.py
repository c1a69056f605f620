"""`/admin/v1/routes/explain`: which targets a request would be put to, in which order, and why not others."""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from litestar import post

from gateway.api.admin import bodies, standing
from gateway.api.admin.calls import AdminCall, Call, Told
from gateway.api.admin.shown import ShownUse
from gateway.api.admin.usage import Limited, used_of
from gateway.balance import NOTHING, Needs, Obstacle, Outlook, needs_of
from gateway.health import place_of
from gateway.limits import duration
from gateway.routing import MOST_TARGETS, Plan, Target
from gateway.store import StoreAwayError
from gateway.translation import translate_for
from translators.call import Stamp
from translators.chat import ChatRequest
from translators.clients import OPENAI_CHAT
from translators.errors import ApiError

EXPLAIN: Final = "/admin/v1/routes/explain"

_STAMP: Final = Stamp(0, "0" * 24)  # nothing is sent
_LACKS: Final = {
    "tools": "has no tools, which the request needs",
    "vision": "sees no images, and the request has some",
    "json": "cannot be held to JSON, which the request asks for",
    "window": "has no room for the prompt",
}


@post(
    EXPLAIN,
    status_code=200,
    told=Told(
        tag="Routes",
        body=bodies.Explained,
        example={"model": "small", "body": {"messages": [{"role": "user", "content": "Hi"}]}},
        answer=standing.Explanation,
    ),
)
async def explain_route(call: Call) -> standing.Explanation:
    """Show which targets a request would be put to, in which order, and why not others. Nothing is sent."""
    asked = call.body(bodies.Explained)
    request = None if asked.body is None else _read(asked.model, asked.body)
    plan = call.routes.resolve(asked.model)
    unread = await standing.looked(call.gateway)
    asides = standing.by_place(call.gateway.dispatch.asides.all())
    needs = _needs(plan, request)
    usage = await _usage(call, plan, unread)
    targets: list[standing.ShownTarget] = []
    others: list[standing.ShownTarget] = []
    for outlook in call.gateway.dispatch.balancer.outlook(plan, needs):
        limits = usage.get((outlook.target.backend, outlook.target.model), [])
        obstacle = _obstacle(outlook, limits, asides)
        place = len(targets) + 1 if obstacle is None else None
        is_asked = place is not None and place <= MOST_TARGETS
        refusal = _refusal(plan, outlook.target, request) if is_asked else None
        (targets if place else others).append(_shown(outlook, place, obstacle, refusal, limits))
    return standing.Explanation(
        model=asked.model,
        balance=plan.balance,
        most_targets=MOST_TARGETS,
        needs=sorted(needs.can),
        tokens=needs.tokens,
        worker=standing.worker_name(),
        unread=unread,
        targets=targets + others,
    )


def _read(model: str, body: Mapping[str, Any]) -> ChatRequest:
    """The request of a chat body, as a client would send it for this model.

    Raises:
        ApiError: 400, as the client would get it.
    """
    return OPENAI_CHAT.read(msgspec.json.encode({**body, "model": model}))


def _needs(plan: Plan, request: ChatRequest | None) -> Needs:
    if request is None:
        return NOTHING
    return needs_of(request, with_opening=plan.balance == "prefix")


async def _usage(
    call: AdminCall, plan: Plan, unread: list[standing.Unread]
) -> Mapping[tuple[str, str], list[ShownUse]]:
    """The own limits of each target, and how much of them is used; none where the store does not tell."""
    usage: dict[tuple[str, str], list[ShownUse]] = {}
    for target in plan.targets:
        limits: list[Limited] = [("target", target.model, each) for each in call.doors.of_target(target)]
        try:
            usage[target.backend, target.model] = await used_of(call.store, limits)
        except StoreAwayError:
            unread.append("limits")
            return {}
    return usage


def _refusal(plan: Plan, target: Target, request: ChatRequest | None) -> str | None:
    """Why a request cannot be translated for a target."""
    if request is None:
        return None
    try:
        translate_for(plan, target, request, _STAMP)
    except ApiError as error:
        return error.message
    return None


def _obstacle(
    outlook: Outlook, limits: list[ShownUse], asides: standing.Asides
) -> standing.ShownObstacle | None:
    found, target = outlook.obstacle, outlook.target
    if found is not None:
        why = cast(standing.Why, found.why)
        return standing.ShownObstacle(why=why, seconds=found.wait, words=_words(found, target, asides))
    if outlook.place is None:
        return standing.ShownObstacle(why="listed_twice", seconds=None, words="stands further up already")
    used_up = next((each for each in limits if not each.remaining), None)
    if used_up is None:
        return None
    window = f" in {used_up.window}" if used_up.window else ""
    words = f"has used up its limit of {used_up.limit} {used_up.unit}{window}"
    return standing.ShownObstacle(why="limit", seconds=None, words=words)


def _words(obstacle: Obstacle, target: Target, asides: standing.Asides) -> str:
    match obstacle.why:
        case "drained":
            return f"is drained{_reason(target, asides, drained=True)}"
        case "aside":
            return f"is set aside for {duration(obstacle.wait or 0)}{_reason(target, asides, drained=False)}"
        case "open":
            when = f"in {duration(obstacle.wait)}" if obstacle.wait else "just now"
            return f"failed too often: {when} a request looks whether it is well again"
        case "full":
            return "is full: as much is in flight there as may be"
        case lack:
            return _LACKS[lack]


def _reason(target: Target, asides: standing.Asides, *, drained: bool) -> str:
    """Why the backend, or the model there, is left alone, where that was said."""
    places = (place_of(target.backend, model, drained=drained) for model in (None, target.model))
    said = [asides[place].why for place in places if place in asides]
    return f": {said[0]}" if said and said[0] else ""


def _shown(
    outlook: Outlook,
    place: int | None,
    obstacle: standing.ShownObstacle | None,
    refusal: str | None,
    usage: list[ShownUse],
) -> standing.ShownTarget:
    target = outlook.target
    return standing.ShownTarget(
        place=place,
        asked=place is not None and place <= MOST_TARGETS,
        tier=target.tier,
        backend=target.backend,
        model=target.model,
        fallback=target.fallback or None,
        weight=target.weight,
        why=None if place is None else outlook.why,
        obstacle=obstacle,
        refusal=refusal,
        usage=usage,
    )
