"""`penstock keys import`: LiteLLM's keys brought in, and its configuration written anew as ours."""

from pathlib import Path
from typing import Any, Final

import msgspec
import rich_click as click
import yaml
from click.exceptions import Exit

from gateway.cli.console import PROBLEM, WRONG_USE, examples, fail
from gateway.cli.keys.client import Gateway, Json, Place, asking, gateway_options
from gateway.cli.keys.fields import team_id
from gateway.cli.keys.litellm import NotLiteLLMError, plan_of
from gateway.cli.keys.plans import Line, Plan
from gateway.cli.keys.words import print_json

_THERE_ALREADY: Final = 409
_MOST: Final = 64 * 1024 * 1024  # bytes of a file

EXAMPLES = (
    'curl "$LITELLM/key/list?return_full_object=true&size=100" \\',
    '  -H "Authorization: Bearer $LITELLM_MASTER_KEY" > keys.json',
    "penstock keys import keys.json --dry-run",
    "penstock keys import keys.json --team 3f2a=web",
    "penstock keys import litellm.yaml > penstock.yaml",
)


@click.command(name="import", epilog=examples(*EXAMPLES))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--team",
    "teams",
    multiple=True,
    metavar="ID=TEAM",
    help="Put the keys of LiteLLM's team into a team here, named by its name or id; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@gateway_options
def import_(
    file: Path,
    teams: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001 - click passes by name
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Take over from LiteLLM: FILE is its list of keys (JSON) or its configuration (YAML).

    Keys are brought in by the SHA-256 that LiteLLM stores: their holders go on using them, with the same
    limits and models. What a team may use is not in the list: make it here, and name it with --team. A
    configuration becomes a penstock.yaml, printed to standard output; no gateway is
    needed for that. What was taken over and what was not is told line by line.
    """
    try:
        plan = plan_of(_content(file), dict(map(_team, teams)))
    except NotLiteLLMError as error:
        fail(f"{file}: {error}", WRONG_USE)
    refused = 0
    if plan.keys and not dry_run:
        with asking(place) as gateway:
            refused = _bring_in(gateway, plan)
    if as_json:
        keys = [planned.body for planned in plan.keys]
        print_json({"settings": plan.settings, "keys": keys, "lines": [_line(line) for line in plan.lines]})
    else:
        _tell(plan, dry_run=dry_run)
    if refused:
        raise Exit(PROBLEM)


def _bring_in(gateway: Gateway, plan: Plan) -> int:
    """Bring the keys in; one that is refused holds up none of the others, and is counted.

    Those that are here already were brought in before: to do it again is no mistake.
    """
    refused = 0
    named = dict.fromkeys(planned.body["team"] for planned in plan.keys if "team" in planned.body)
    teams = {name: team_id(gateway, name) for name in named}
    for planned in plan.keys:
        team = {"team": teams[planned.body["team"]]} if "team" in planned.body else {}
        refusal = gateway.attempt("keys/import", {**planned.body, **team})
        if refusal is not None:
            line = plan.lines[planned.line]
            plan.lines[planned.line] = Line(line.what, refusal.words, taken=False)
            refused += refusal.status != _THERE_ALREADY
    return refused


def _team(given: str) -> tuple[str, str]:
    """The id of a team of LiteLLM's, and what it is called here."""
    there, mark, here = given.partition("=")
    if not (there and mark and here):
        fail(f"'{given}' is no pair of teams: it should be like --team 3f2a=web", WRONG_USE)
    return there, here


def _tell(plan: Plan, *, dry_run: bool) -> None:
    if plan.settings:
        click.echo(yaml.safe_dump(plan.settings, sort_keys=False, allow_unicode=True), nl=False)
    for line in plan.lines:
        click.echo(str(line), err=True)
    taken = sum(line.taken for line in plan.lines)
    words = "would be taken over" if dry_run else "taken over"
    click.echo(f"{taken} {words}, {len(plan.lines) - taken} not.", err=True)


def _content(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MOST + 1)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", WRONG_USE)
    if len(raw) > _MOST:
        fail(f"{file} is over 64 MiB: this is neither a configuration nor a list of keys", WRONG_USE)
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        pass
    try:
        return yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        fail(f"{file} is neither JSON nor YAML: {str(error).partition(chr(10))[0]}", WRONG_USE)


def _line(line: Line) -> Json:
    return {"what": line.what, "taken": line.taken, "words": line.words}
