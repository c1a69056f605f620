"""`penstock models`: the models that the gateway serves, and what is known of each."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import rich_click as click

from gateway.app import routes_of
from gateway.cli.console import config_option, examples, load_settings_to_look_at
from gateway.cli.sync import sync
from gateway.cli.tables import show_table
from translators.backends.openai_server.servers import Served
from translators.backends.workers_ai.catalogue import Facts

# From the most wanted on: on a narrow terminal the last ones are left out.
_COLUMNS: Final = ("MODEL", "WINDOW", "$ IN / OUT", "CAN", "EFFORTS", "RETIRES", "FAMILY", "NEURONS IN / OUT")
_NUMBERS: Final = frozenset({"WINDOW", "$ IN / OUT", "NEURONS IN / OUT"})

EXAMPLES = (
    "penstock models --can tools --can vision",
    "penstock models --search llama --json",
    "penstock models sync",
)


@click.group(invoke_without_command=True, commands=[sync], epilog=examples(*EXAMPLES))
@config_option
@click.option("--search", metavar="TEXT", default="", help="Only models whose name has this in it.")
@click.option("--can", metavar="WORD", multiple=True, help="Only models that can do this: tools, vision, ...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def models(
    context: click.Context,
    config: Path | None,
    search: str,
    can: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """Show the models that clients can ask for: routes first, then the catalogue.

    Prices are per million tokens, * is the effort that a model takes by itself. With `catalogue: open`,
    every other @cf/... id is served as well. `penstock models sync` fetches Cloudflare's list of today.
    Without a configuration it needs no credentials.
    """
    if context.invoked_subcommand is not None:
        return
    rows = [
        (name, facts)
        for name, facts in routes_of(load_settings_to_look_at(config)).models()
        if search.lower() in name.lower() and facts.can.issuperset(can)
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_fields(*row) for row in rows]), indent=2))
    else:
        _show(rows)


def _fields(name: str, facts: Facts | Served) -> dict[str, Any]:
    fields = msgspec.to_builtins(facts)
    if isinstance(facts, Served):
        fields |= {"server": facts.server.name, "allow": sorted(facts.allow)}
    return {"id": name, **fields, "can": sorted(facts.can)}


def _show(rows: list[tuple[str, Facts | Served]]) -> None:
    show_table(_COLUMNS, [list(_cells(*row)) for row in rows], _NUMBERS)


def _cells(name: str, facts: Facts | Served) -> Iterator[str]:
    yield name
    yield "" if facts.window is None else f"{facts.window:,}"
    yield _pair(facts.price)
    yield ", ".join(sorted(facts.can))
    yield ", ".join(f"{each}*" if each == facts.effort else each for each in facts.efforts)
    yield facts.retires or ""
    yield facts.family
    yield _pair(facts.neurons)


def _pair(prices: Mapping[str, float]) -> str:
    numbers = [f"{prices[kind]:,}" for kind in ("input", "output") if kind in prices]
    return " / ".join(number.removesuffix(".0") for number in numbers)
