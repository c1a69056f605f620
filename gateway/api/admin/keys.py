"""`/admin/v1/keys`: keys made, listed, shown, changed, given another secret, and ended."""

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath

from gateway.api.admin import bodies, shown
from gateway.api.admin.calls import AdminCall, Call, Told
from gateway.api.admin.changes import fields_of, patched_key
from gateway.api.admin.usage import usage
from gateway.keys import Key, Team, UnknownRecordError, quoted_id
from translators.errors import ApiError


@post(
    "/",
    told=Told(
        tag="Keys",
        body=bodies.NewKey,
        example={"name": "ci", "models": ["@cf/meta/*"], "expires_in": "30d", "limits": {"rpm": 60}},
        answer=shown.IssuedKey,
    ),
)
async def create_key(call: Call) -> shown.IssuedKey:
    """Make a key. Its secret is in the answer, and nowhere else ever again."""
    fields = fields_of(call.body(bodies.NewKey))
    await _check_team(call, fields.get("team"))
    return shown.issued_key(*await call.register.create_key(fields, call.actor))


@post(
    "/import",
    told=Told(
        tag="Keys",
        body=bodies.ForeignKey,
        example={"name": "old", "sha256": "<64 hexadecimal digits>", "redacted": "sk-...cdEF"},
        answer=shown.ShownKey,
    ),
)
async def import_key(call: Call) -> shown.ShownKey:
    """Take in a key that was made elsewhere, so that its holders need not change it."""
    body = call.body(bodies.ForeignKey)
    fields = fields_of(body)
    await _check_team(call, fields.get("team"))
    redacted = body.redacted or f"(imported, {body.sha256[:8]}...)"
    return shown.shown_key(await call.register.import_secret(fields, body.sha256, redacted, call.actor))


@post(
    "/verify",
    status_code=200,
    told=Told(tag="Keys", body=bodies.Secret, example={"key": "sk-ps-..."}, answer=shown.ShownVerdict),
)
async def verify_key(call: Call) -> shown.ShownVerdict:
    """Tell whether a secret is good, and if not, why. It counts as no use of the key."""
    return shown.shown_verdict(await call.register.verify(call.body(bodies.Secret).key))


@get("/", told=Told(tag="Keys", query=bodies.KeyListing, answer=shown.KeyList))
async def list_keys(call: Call) -> shown.KeyList:
    """List keys, the newest first. A key made meanwhile moves nothing in what is still to come."""
    asked = call.asked(bodies.KeyListing)
    await _check_team(call, asked.team)
    try:
        page = await call.register.list_keys(asked.team, asked.status, asked.q, asked.limit, asked.after)
    except UnknownRecordError as error:
        raise unknown_cursor(error) from None
    following = page.items[-1].id if page.has_more else None
    return shown.KeyList(
        data=[shown.shown_key(key) for key in page.items], has_more=page.has_more, next=following
    )


@get("/{key_id:str}", told=Told(tag="Keys", answer=shown.KeyInUse))
async def get_key(call: Call, key_id: FromPath[str]) -> shown.KeyInUse:
    """Show a key, and how much of its limits is used now."""
    key = await call.register.get_key(key_id)
    records: list[Key | Team] = [key]
    if key.team is not None:
        records.append(await call.register.get_team(key.team))
    return shown.key_in_use(key, await usage(call.store, records))


@patch(
    "/{key_id:str}",
    told=Told(
        tag="Keys",
        body=bodies.KeyChanges,
        example={"limits": {"rpm": 120, "tpm": None}, "models": None},
        answer=shown.ShownKey,
    ),
)
async def change_key(call: Call, key_id: FromPath[str]) -> shown.ShownKey:
    """Change a key. What is absent stays, null clears, objects are merged, lists replaced (RFC 7396)."""
    changes = call.patch()
    await call.register.get_key(key_id)
    if isinstance(team := changes.get("team"), str):
        await _check_team(call, team)
    return shown.shown_key(await call.register.update_key(key_id, patched_key(changes), call.actor))


@post(
    "/{key_id:str}/rotate",
    status_code=200,
    told=Told(tag="Keys", body=bodies.Rotation, example={"grace": "24h"}, answer=shown.IssuedKey),
)
async def rotate_key(call: Call, key_id: FromPath[str]) -> shown.IssuedKey:
    """Give a key another secret. The old one is taken as well until the grace is over."""
    grace = call.body(bodies.Rotation).grace
    return shown.issued_key(*await call.register.rotate_key(key_id, grace, call.actor))


@post("/{key_id:str}/disable", status_code=200, told=Told(tag="Keys", answer=shown.ShownKey))
async def disable_key(call: Call, key_id: FromPath[str]) -> shown.ShownKey:
    """Refuse a key for the time being."""
    call.no_body()
    return shown.shown_key(await call.register.disable_key(key_id, call.actor))


@post("/{key_id:str}/enable", status_code=200, told=Told(tag="Keys", answer=shown.ShownKey))
async def enable_key(call: Call, key_id: FromPath[str]) -> shown.ShownKey:
    """Take a key again."""
    call.no_body()
    return shown.shown_key(await call.register.enable_key(key_id, call.actor))


@delete("/{key_id:str}", status_code=200, told=Told(tag="Keys", answer=shown.ShownKey))
async def revoke_key(call: Call, key_id: FromPath[str]) -> shown.ShownKey:
    """Refuse a key for good, a second time without a word. Its record is shown for 90 days more."""
    return shown.shown_key(await call.register.revoke_key(key_id, call.actor))


async def _check_team(call: AdminCall, team: str | None) -> None:
    """See that a team is there.

    Raises:
        ApiError: 400 naming it.
    """
    if team is None:
        return
    try:
        found = await call.register.get_team(team)
    except UnknownRecordError:
        found = None
    if found is None or found.revoked is not None:
        raise ApiError(
            400,
            f"team: there is no team with the id '{quoted_id(team)}'. GET /admin/v1/teams lists them.",
            code="invalid_value",
            param="team",
        )


def unknown_cursor(error: UnknownRecordError) -> ApiError:
    """400 for a list that is to go on behind what is not there."""
    return ApiError(
        400,
        f"after: {error}. Send the `next` of the answer before, or leave it out to begin anew.",
        code="invalid_value",
        param="after",
    )


KEYS = Router(
    "/admin/v1/keys",
    route_handlers=[
        create_key, import_key, verify_key, list_keys, get_key, change_key, rotate_key, disable_key,
        enable_key, revoke_key,
    ],
)  # fmt: skip
