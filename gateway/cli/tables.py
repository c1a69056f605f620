"""Tables as wide as the terminal lets them be; a pipe gets all of them, a row a line."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from gateway.cli.console import stderr, stdout

_ANY_WIDTH: Final = 1000

Rows = Sequence[Sequence[str]]


def show_table(headings: Sequence[str], rows: Rows, numbers: frozenset[str] = frozenset()) -> None:
    """Print a table.

    Args:
        headings: From the most wanted on: on a narrow terminal the last columns are left out.
        rows: The cells.
        numbers: The headings of columns that stand to the right.
    """
    console = stdout()
    tables = (_table(headings[:count], rows, numbers) for count in range(len(headings), 0, -1))
    table = next(
        (each for each in tables if not console.is_terminal or _width(console, each) <= console.width),
        _table(headings[:1], rows, numbers),
    )
    console.width = max(console.width, _width(console, table))
    console.print(table, soft_wrap=False, markup=False)
    if len(table.columns) < len(headings):
        left_out = ", ".join(headings[len(table.columns) :])
        stderr().print(f"Too wide for this terminal: {left_out}. A pipe and --json get everything.")


def _table(headings: Sequence[str], rows: Rows, numbers: frozenset[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[: len(headings)])
    return table


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), table).maximum
