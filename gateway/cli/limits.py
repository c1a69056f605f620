"""`penstock limits`: the limits of a running gateway and its models, over the admin API."""

from collections.abc import Iterator
from typing import Any, Final

import rich_click as click

from gateway.cli.console import WRONG_USE, examples, fail, stderr
from gateway.cli.keys.client import Json, Place, answer_options, asking
from gateway.cli.keys.fields import LIMITS, limit_fields, limit_options
from gateway.cli.keys.words import print_json, unit_of
from gateway.cli.tables import show_table

COLUMNS: Final = ("FOR", "LIMIT", "USED", "LEFT", "SET")
_NUMBERS: Final = frozenset({"USED", "LEFT"})
# What is counted and in which time -> the limit's name; others are of a burst.
_NAMES: Final = {
    ("requests", "1m"): "rpm",
    ("requests", "1d"): "rpd",
    ("tokens", "1m"): "tpm",
    ("tokens", "1d"): "tpd",
    ("concurrency", None): "concurrency",
}

model_option = click.option(
    "--model", metavar="MODEL", help="Of all requests for this model. Default: of all requests together."
)

EXAMPLES = (
    "penstock limits show",
    "penstock limits set --rpm 6000",
    "penstock limits set --model small --tpm 500000",
    "penstock limits clear --model small",
)


@click.command(epilog=examples("penstock limits show", "penstock limits show --json"))
@answer_options
def show(as_json: bool, place: Place) -> None:  # noqa: FBT001 - click passes by name
    """Show the limits that hold, how much of each is used now, and where it is set."""
    with asking(place) as gateway:
        found = gateway.ask("GET", "limits")
    _print(found, as_json=as_json)


@click.command(name="set", epilog=examples(
    "penstock limits set --rpm 6000 --concurrency 200", "penstock limits set --model small --tpm 500000",
))  # fmt: skip
@model_option
@limit_options
@answer_options
def set_(model: str | None, as_json: bool, place: Place, **options: Any) -> None:  # noqa: FBT001
    """Set limits in place of those of the settings, for all workers and replicas. What is not given stays."""
    limits = limit_fields(options)
    if not limits:
        fail("nothing is to be set: name a limit, such as --rpm 6000", WRONG_USE)
    with asking(place) as gateway:
        found = gateway.ask("PATCH", "limits", _of(model, limits))
    _print(found, as_json=as_json)


@click.command(epilog=examples(
    "penstock limits clear rpm", "penstock limits clear --model small", "penstock limits clear --all",
))  # fmt: skip
@click.argument("limits", nargs=-1, type=click.Choice([*LIMITS, "burst", "away"]), metavar="[LIMIT]...")
@model_option
@click.option("--all", "everything", is_flag=True, help="Of the gateway and all of its models.")
@answer_options
def clear(
    limits: tuple[str, ...],
    model: str | None,
    everything: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Go back to what the settings say, for each LIMIT or for all of them."""
    if everything and (limits or model):
        fail("--all stands alone: it clears every limit that is set", WRONG_USE)
    patch = {"gateway": None, "models": None} if everything else _of(model, dict.fromkeys(limits) or None)
    with asking(place) as gateway:
        found = gateway.ask("PATCH", "limits", patch)
    _print(found, as_json=as_json)


@click.group(commands=[show, set_, clear], epilog=examples(*EXAMPLES))
def limits() -> None:
    """Limits of all requests to a running gateway, and of those for each model.

    An admin key is needed, as for `penstock keys`, which sets the limits of keys.
    """


def _of(model: str | None, limits: Json | None) -> Json:
    return {"gateway": limits} if model is None else {"models": {model: limits}}


def _print(found: Json, *, as_json: bool) -> None:
    rows = list(_rows(found))
    if as_json:
        print_json(found)
    elif rows:
        show_table(COLUMNS, rows, _NUMBERS)
    else:
        stderr().print("Nothing is limited. `penstock limits set --rpm N` sets a limit.", markup=False)


def _rows(found: Json) -> Iterator[list[str]]:
    for name, limited in (("all requests", found["gateway"]), *found["models"].items()):
        for use in limited["usage"]:
            limit = _NAMES.get((use["unit"], use["window"]), "burst")
            yield [
                name,
                f"{use['limit']:,} {unit_of(use)}",
                f"{use['used']:,}",
                f"{use['remaining']:,}",
                "here" if limit in limited["set"] else "in the settings",
            ]
