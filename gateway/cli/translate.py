"""`penstock translate`: what would be sent for a request, and what became of each parameter."""

import json
from pathlib import Path
from typing import BinaryIO

import rich_click as click

from gateway.app import routes_of
from gateway.cli.console import config_option, examples, fail, load_settings_to_look_at
from gateway.translation import explain
from translators.errors import ApiError

EXAMPLES = (
    "penstock translate request.json",
    'echo \'{"messages": [{"role": "user", "content": "Hi"}]}\' \\',
    "  | penstock translate --model @cf/meta/llama-3.1-8b-instruct-fast",
)


@click.command(epilog=examples(*EXAMPLES))
@click.option("--model", "-m", help="Translate for this model instead of the one in the body.")
@config_option
@click.argument("file", type=click.File("rb"), default="-")
def translate(model: str | None, config: Path | None, file: BinaryIO) -> None:
    """Show what would be sent for an OpenAI chat request; nothing is sent.

    Reads FILE or standard input, prints the backend's body and the fate of each parameter as JSON.
    Without a configuration it needs no credentials.
    """
    try:
        translated = explain(routes_of(load_settings_to_look_at(config)), file.read(), model)
    except ApiError as error:
        place = f" (parameter {error.param})" if error.param else ""
        fail(f"{error.status}: {error.message}{place}")
    click.echo(json.dumps(translated, indent=2, ensure_ascii=False))
