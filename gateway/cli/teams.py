"""`penstock teams`: teams of issued keys, over the admin API, as `penstock keys` asks and shows it."""

from typing import Any

import rich_click as click

from gateway.cli.console import WRONG_USE, examples, fail, stderr
from gateway.cli.keys.client import Place, answer_options, asking
from gateway.cli.keys.fields import (
    CLEARED_OF_TEAMS,
    both_patches,
    clear_option,
    cleared_fields,
    team_fields,
    team_id,
    team_options,
)
from gateway.cli.keys.words import TEAM_COLUMNS, print_found, print_json, team_cells, team_in_full
from gateway.cli.tables import show_table

team_argument = click.argument("team")
_STATUSES = click.Choice(["active", "disabled", "revoked"])

EXAMPLES = (
    "penstock teams create --name web --tpm 100000",
    "penstock keys create --name site --team web",
    "penstock teams show web",
)


@click.command(epilog=examples(
    "penstock teams create --name web", "penstock teams create --name batch --models '@cf/meta/*' --rpd 900",
))  # fmt: skip
@click.option("--name", required=True, metavar="NAME", help="What people call it.")
@team_options
@answer_options
def create(as_json: bool, place: Place, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Make a team. Its limits and models hold for all of its keys together, beside their own."""
    with asking(place) as gateway:
        made = gateway.ask("POST", "teams", team_fields(options))
    print_found(made, team_in_full, as_json=as_json)


@click.command(name="list", epilog=examples(
    "penstock teams list --search web", "penstock teams list --status revoked --json",
))  # fmt: skip
@click.option("--status", type=_STATUSES, help="Only those. Default: all that are not deleted.")
@click.option("--search", metavar="TEXT", help="Only those with this in their name, id or tags.")
@answer_options
def list_(
    status: str | None,
    search: str | None,
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Show the teams, the newest first."""
    with asking(place) as gateway:
        teams = list(gateway.every("teams", status=status, q=search))
    if as_json:
        print_json(teams)
    elif teams:
        show_table(TEAM_COLUMNS, [team_cells(team) for team in teams])
    else:
        stderr().print(
            "There are no such teams. `penstock teams create --name NAME` makes one.", markup=False
        )


@click.command(epilog=examples("penstock teams show web", "penstock teams show team_0123456789abcdef --json"))
@team_argument
@answer_options
def show(team: str, as_json: bool, place: Place) -> None:  # noqa: FBT001
    """Show TEAM, named by its name or id, and how much of its limits is used now."""
    with asking(place) as gateway:
        found = gateway.ask("GET", f"teams/{team_id(gateway, team)}")
    print_found(found, team_in_full, as_json=as_json)


@click.command(epilog=examples(
    "penstock teams update web --tpm 200000", "penstock teams update web --name site --clear models",
))  # fmt: skip
@team_argument
@click.option("--name", metavar="NAME", help="What people shall call it.")
@team_options
@clear_option(CLEARED_OF_TEAMS)
@answer_options
def update(
    team: str,
    cleared: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
    place: Place,
    **options: Any,
) -> None:
    """Change TEAM, named by its name or id. What is not given stays; it is obeyed at the next request."""
    patch = both_patches(cleared_fields(cleared), team_fields(options))
    if not patch:
        fail("nothing is to be changed: name a field, or --clear one", WRONG_USE)
    with asking(place) as gateway:
        found = gateway.ask("PATCH", f"teams/{team_id(gateway, team)}", patch)
    print_found(found, team_in_full, as_json=as_json)


@click.command(
    epilog=examples("penstock teams delete web", "penstock teams delete team_0123456789abcdef --yes")
)
@team_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@answer_options
def delete(
    team: str,
    yes: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """End TEAM for good. One that has keys is not ended: move them to another or revoke them first."""
    with asking(place) as gateway:
        found = gateway.ask("GET", f"teams/{team_id(gateway, team)}")
        if not yes:
            click.confirm(f"Delete the team '{found['name']}' for good?", abort=True, err=True)
        deleted = gateway.ask("DELETE", f"teams/{found['id']}")
    if as_json:
        print_json(deleted)
    else:
        click.echo(f"The team '{deleted['name']}' ({deleted['id']}) is deleted.")


@click.group(commands=[create, list_, show, update, delete], epilog=examples(*EXAMPLES))
def teams() -> None:
    """Make, change and end teams of a running gateway, whose keys share limits and models.

    An admin key is needed, as for `penstock keys`. TEAM is a team's name or id.
    """
