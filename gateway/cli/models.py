"""`penstock models`: the models that the gateway serves, and what is known of each."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import rich_click as click
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from gateway.app import routes_of
from gateway.cli.console import config_option, examples, load_settings, stderr, stdout
from gateway.cli.sync import sync
from translators.backends.workers_ai.catalogue import Facts

_ANY_WIDTH: Final = 1000
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
    """
    if context.invoked_subcommand is not None:
        return
    rows = [
        (name, facts)
        for name, facts in routes_of(load_settings(config)).models()
        if search.lower() in name.lower() and facts.can.issuperset(can)
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_fields(*row) for row in rows]), indent=2))
    else:
        _show(rows)


def _fields(name: str, facts: Facts) -> dict[str, Any]:
    return {"id": name, **msgspec.to_builtins(facts), "can": sorted(facts.can)}


def _show(rows: list[tuple[str, Facts]]) -> None:
    """Print a table as wide as the terminal lets it be; a pipe gets all of it, a model a line."""
    console = stdout()
    tables = (_table(rows, count) for count in range(len(_COLUMNS), 0, -1))
    table = next(
        (each for each in tables if not console.is_terminal or _width(console, each) <= console.width),
        _table(rows, 1),
    )
    console.width = max(console.width, _width(console, table))
    console.print(table, soft_wrap=False, markup=False)
    if len(table.columns) < len(_COLUMNS):
        left_out = ", ".join(_COLUMNS[len(table.columns) :])
        stderr().print(f"Too wide for this terminal: {left_out}. A pipe and --json get everything.")


def _table(rows: list[tuple[str, Facts]], count: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in _COLUMNS[:count]:
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", no_wrap=True)
    for name, facts in rows:
        table.add_row(*list(_cells(name, facts))[:count])
    return table


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), table).maximum


def _cells(name: str, facts: Facts) -> Iterator[str]:
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
