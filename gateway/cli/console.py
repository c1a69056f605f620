"""How the command speaks: results go to stdout, everything about them to stderr, colours to a terminal."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import rich_click as click
from click.exceptions import Exit
from rich.console import Console
from rich.text import Text

from gateway import settings
from gateway.settings import Settings, SettingsError
from gateway.settings.environment import PREFIX, TOKEN_VARIABLES

PROBLEM = 1
WRONG_USE = 2
BACKENDS = f"{PREFIX}BACKENDS__"
CREDENTIALS = ("CLOUDFLARE_ACCOUNT_ID", *TOKEN_VARIABLES)
NO_ACCOUNT = {"CLOUDFLARE_ACCOUNT_ID": "account", "CLOUDFLARE_API_TOKEN": "unused"}

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    envvar="PENSTOCK_CONFIG",
    show_envvar=True,
    help="The configuration file. Default: penstock.yaml here if there is one, else the environment alone.",
)
host_option = click.option("--host", metavar="HOST", help="Address to listen on. Default: 127.0.0.1.")
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port to listen on, 0 for a free one. Default: 8080.",
)


def stdout() -> Console:
    """Make a console for results; it never wraps, so that a pipe gets whole lines."""
    return Console(highlight=False, soft_wrap=True)


def stderr() -> Console:
    """Make a console for what accompanies results."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str, code: int = PROBLEM) -> NoReturn:
    """Say what is wrong and end the command."""
    click.echo(message, err=True)
    raise Exit(code)


def load_settings(config: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Load the settings, or show all their mistakes and end the command."""
    try:
        return settings.load(config, os.environ if environ is None else environ)
    except SettingsError as error:
        fail(str(error), WRONG_USE)


def load_settings_to_look_at(config: Path | None) -> Settings:
    """The settings; where nothing says which, those of an account that is never called."""
    told = any(map(os.environ.get, CREDENTIALS)) or any(name.startswith(BACKENDS) for name in os.environ)
    at_hand = told or settings.locate(config) is not None
    return load_settings(config, os.environ if at_hand else {**os.environ, **NO_ACCOUNT})


def examples(*lines: str) -> Text:
    """Write example lines for the end of a help text; unlike a string, they keep their line ends."""
    return Text("\n".join(["Examples:", *(f"  {line}" for line in lines)]), no_wrap=True, overflow="ignore")


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of rows for reading; the first row holds the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
