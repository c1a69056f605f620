"""`penstock keys`: issued keys, over the admin API of a gateway that runs.

`client` asks the gateway, `fields` makes of options what it is sent, `words` what is printed of its answers:
all three for `penstock teams` and `penstock limits` as well.
`importing` takes over what `litellm` reads of LiteLLM's keys, and `litellm_settings` of its configuration, as
`plans`.
"""

from typing import Any

import rich_click as click

from gateway.cli.console import WRONG_USE, examples, fail, stderr
from gateway.cli.keys.client import Gateway, Json, Place, answer_options, asking
from gateway.cli.keys.fields import (
    CLEARED,
    both_patches,
    clear_option,
    cleared_fields,
    key_fields,
    key_id,
    key_options,
    team_id,
)
from gateway.cli.keys.importing import import_
from gateway.cli.keys.words import COLUMNS, cells, handed_over, in_full, moment, print_found, print_json
from gateway.cli.tables import show_table

key_argument = click.argument("key")
_STATUSES = click.Choice(["active", "disabled", "expired", "revoked"])

EXAMPLES = (
    "penstock keys create --name ci --rpm 60 --expires 30d",
    "penstock keys list",
    "penstock keys rotate ci --grace 24h",
    "penstock keys import keys.json --dry-run",
)


@click.command(epilog=examples(
    "penstock keys create --name ci",
    "penstock keys create --name batch --models '@cf/meta/*' --expires 30d",
    "penstock keys create --name web --team site --rpm 60 --tpm 100000",
        "penstock keys create --name me --role admin --json | jq -r .key",
))  # fmt: skip
@click.option("--name", required=True, metavar="NAME", help="What people call it.")
@key_options
@answer_options
def create(as_json: bool, place: Place, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Make a key and show it this once, with lines to copy for who gets it."""
    with asking(place) as gateway:
        key = gateway.ask("POST", "keys", key_fields(gateway, options))
        _hand_over(
            gateway, key, f"The key '{key['name']}' ({key['id']}) is shown this once:", as_json=as_json
        )


@click.command(name="list", epilog=examples(
    "penstock keys list --search ci", "penstock keys list --status revoked --json",
))  # fmt: skip
@click.option("--team", metavar="TEAM", help="Only those of a team, by name or id.")
@click.option("--status", type=_STATUSES, help="Only those. Default: all that are not revoked.")
@click.option(
    "--search", metavar="TEXT", help="Only those with this in their name, id, tags or shown secret."
)
@answer_options
def list_(
    team: str | None,
    status: str | None,
    search: str | None,
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Show the keys, the newest first."""
    with asking(place) as gateway:
        of = team_id(gateway, team) if team is not None else None
        keys = list(gateway.every("keys", team=of, status=status, q=search))
    if as_json:
        print_json(keys)
    elif keys:
        show_table(COLUMNS, [cells(key) for key in keys])
    else:
        stderr().print("There are no such keys. `penstock keys create --name NAME` makes one.", markup=False)


@click.command(epilog=examples("penstock keys show ci", "penstock keys show key_0123456789abcdef --json"))
@key_argument
@answer_options
def show(key: str, as_json: bool, place: Place) -> None:  # noqa: FBT001
    """Show KEY, named by its name or id, and how much of its limits is used now."""
    with asking(place) as gateway:
        found = gateway.ask("GET", f"keys/{key_id(gateway, key)}")
    print_found(found, in_full, as_json=as_json)


@click.command(epilog=examples(
    "penstock keys update ci --rpm 120 --expires 2030-01-31",
    "penstock keys update ci --name nightly --clear models --clear tpm",
))  # fmt: skip
@key_argument
@click.option("--name", metavar="NAME", help="What people shall call it.")
@key_options
@clear_option(CLEARED)
@answer_options
def update(
    key: str,
    cleared: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
    place: Place,
    **options: Any,
) -> None:
    """Change KEY, named by its name or id. What is not given stays; it is obeyed at the next request."""
    with asking(place) as gateway:
        patch = both_patches(cleared_fields(cleared), key_fields(gateway, options))
        if not patch:
            fail("nothing is to be changed: name a field, or --clear one", WRONG_USE)
        found = gateway.ask("PATCH", f"keys/{key_id(gateway, key)}", patch)
    print_found(found, in_full, as_json=as_json)


@click.command(epilog=examples("penstock keys rotate ci", "penstock keys rotate ci --grace 0"))
@key_argument
@click.option(
    "--grace", default="24h", show_default=True, metavar="TIME", help="How long the old one is taken."
)
@answer_options
def rotate(
    key: str,
    grace: str,
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Give KEY another secret and show that this once. Both are one key, with the same limits."""
    with asking(place) as gateway:
        turned = gateway.ask("POST", f"keys/{key_id(gateway, key)}/rotate", {"grace": grace})
        old = turned["old_secret"]
        until = f"is taken until {moment(old['expires_at'])}" if old else "is not taken any more"
        words = f"The old secret of '{turned['name']}' {until}. The new one is shown this once:"
        _hand_over(gateway, turned, words, as_json=as_json)


@click.command(epilog=examples("penstock keys revoke ci", "penstock keys revoke key_0123456789abcdef --yes"))
@key_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@answer_options
def revoke(
    key: str,
    yes: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Refuse KEY for good, from its next request on."""
    with asking(place) as gateway:
        found = gateway.ask("GET", f"keys/{key_id(gateway, key)}")
        if not yes:
            click.confirm(f"Revoke '{found['name']}' ({found['redacted']}) for good?", abort=True, err=True)
        revoked = gateway.ask("DELETE", f"keys/{found['id']}")
    if as_json:
        print_json(revoked)
    else:
        click.echo(f"'{revoked['name']}' ({revoked['id']}) is revoked.")


@click.group(commands=[create, list_, show, update, rotate, revoke, import_], epilog=examples(*EXAMPLES))
def keys() -> None:
    """Issue, change and end keys of a running gateway.

    An admin key is needed: in PENSTOCK_ADMIN_KEY, or kept with the gateway's settings. KEY is a key's name or
    id, never its secret.
    """


def _hand_over(gateway: Gateway, key: Json, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(key)
        return
    models = gateway.models() if key["role"] == "inference" else []
    click.echo(f"{words}\n\n{handed_over(key, gateway.base_url, models)}")
