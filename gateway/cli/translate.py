"""`penstock translate`: what would be sent for a request, and what became of each parameter."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import rich_click as click

from gateway import settings as configuration
from gateway.app import routes_of
from gateway.cli.console import config_option, examples, fail, load_settings
from gateway.settings import Settings
from gateway.settings.environment import TOKEN_VARIABLES
from gateway.translation import explain
from translators.errors import ApiError

CREDENTIALS = ("CLOUDFLARE_ACCOUNT_ID", *TOKEN_VARIABLES)
NO_ACCOUNT = {"CLOUDFLARE_ACCOUNT_ID": "account", "CLOUDFLARE_API_TOKEN": "unused"}

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
    It needs no credentials.
    """
    try:
        translated = explain(routes_of(_settings(config, os.environ)), file.read(), model)
    except ApiError as error:
        place = f" (parameter {error.param})" if error.param else ""
        fail(f"{error.status}: {error.message}{place}")
    click.echo(json.dumps(translated, indent=2, ensure_ascii=False))


def _settings(config: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings, or those of an account that is never called where none are at hand."""
    at_hand = configuration.locate(config) or any(map(environ.get, CREDENTIALS))
    return load_settings(config, environ if at_hand else {**environ, **NO_ACCOUNT})
