"""`penstock models`: the model names that the gateway serves."""

from pathlib import Path

import rich_click as click

from gateway.app import routes_of
from gateway.cli.console import config_option, load_settings


@click.command
@config_option
def models(config: Path | None) -> None:
    """List the models that clients can ask for, one a line.

    With `catalogue: open`, every other @cf/... id is served as well.
    """
    for name, _facts in routes_of(load_settings(config)).models():
        click.echo(name)
