"""`/admin/v1/teams`: teams, whose limits and models hold for all of their keys together."""

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath

from gateway.api.admin import bodies, shown
from gateway.api.admin.calls import Call, Told
from gateway.api.admin.changes import fields_of, patched_team
from gateway.api.admin.keys import unknown_cursor
from gateway.api.admin.usage import usage
from gateway.keys import UnknownRecordError


@post(
    "/",
    told=Told(
        tag="Teams",
        body=bodies.NewTeam,
        example={"name": "web", "limits": {"tpm": 100000}},
        answer=shown.ShownTeam,
    ),
)
async def create_team(call: Call) -> shown.ShownTeam:
    """Make a team."""
    fields = fields_of(call.body(bodies.NewTeam))
    return shown.shown_team(await call.register.create_team(fields, call.actor))


@get("/", told=Told(tag="Teams", query=bodies.Listing, answer=shown.TeamList))
async def list_teams(call: Call) -> shown.TeamList:
    """List teams, the newest first."""
    asked = call.asked(bodies.Listing)
    try:
        page = await call.register.list_teams(asked.status, asked.q, asked.limit, asked.after)
    except UnknownRecordError as error:
        raise unknown_cursor(error) from None
    following = page.items[-1].id if page.has_more else None
    return shown.TeamList(
        data=[shown.shown_team(team) for team in page.items], has_more=page.has_more, next=following
    )


@get("/{team_id:str}", told=Told(tag="Teams", answer=shown.TeamInUse))
async def get_team(call: Call, team_id: FromPath[str]) -> shown.TeamInUse:
    """Show a team, and how much of its limits is used now."""
    team = await call.register.get_team(team_id)
    return shown.team_in_use(team, await usage(call.store, [team]))


@patch(
    "/{team_id:str}",
    told=Told(tag="Teams", body=bodies.TeamChanges, example={"models": ["small"]}, answer=shown.ShownTeam),
)
async def change_team(call: Call, team_id: FromPath[str]) -> shown.ShownTeam:
    """Change a team. What is absent stays, null clears, objects are merged, lists replaced (RFC 7396)."""
    changes = patched_team(call.patch())
    return shown.shown_team(await call.register.update_team(team_id, changes, call.actor))


@post("/{team_id:str}/disable", status_code=200, told=Told(tag="Teams", answer=shown.ShownTeam))
async def disable_team(call: Call, team_id: FromPath[str]) -> shown.ShownTeam:
    """Refuse all keys of a team for the time being."""
    call.no_body()
    return shown.shown_team(await call.register.disable_team(team_id, call.actor))


@post("/{team_id:str}/enable", status_code=200, told=Told(tag="Teams", answer=shown.ShownTeam))
async def enable_team(call: Call, team_id: FromPath[str]) -> shown.ShownTeam:
    """Take the keys of a team again."""
    call.no_body()
    return shown.shown_team(await call.register.enable_team(team_id, call.actor))


@delete("/{team_id:str}", status_code=200, told=Told(tag="Teams", answer=shown.ShownTeam))
async def delete_team(call: Call, team_id: FromPath[str]) -> shown.ShownTeam:
    """End a team that has no keys any more, a second time without a word."""
    return shown.shown_team(await call.register.delete_team(team_id, call.actor))


TEAMS = Router(
    "/admin/v1/teams",
    route_handlers=[
        create_team, list_teams, get_team, change_team, disable_team, enable_team, delete_team,
    ],
)  # fmt: skip
