"""`penstock schema`: the JSON Schema of penstock.yaml, for editors."""

import json

import rich_click as click

from gateway.cli.console import examples
from gateway.settings import json_schema

EXAMPLES = (
    "penstock schema > penstock.schema.json",
    "",
    "  as the first line of penstock.yaml, for editors:",
    "# yaml-language-server: $schema=penstock.schema.json",
)


@click.command(epilog=examples(*EXAMPLES))
def schema() -> None:
    """Print the JSON Schema of penstock.yaml."""
    click.echo(json.dumps(json_schema(), indent=2))
