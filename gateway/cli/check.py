"""`penstock check`: the configuration, and with --live the credentials too."""

from collections.abc import Iterator
from pathlib import Path

import rich_click as click
from click.exceptions import Exit

from gateway import settings as configuration
from gateway.cli.account import AccountError, asking, credentials_of
from gateway.cli.console import PROBLEM, WRONG_USE, columns, config_option, examples, fail, load_settings
from gateway.cli.state import shared_state
from gateway.keys import NoPepperError
from gateway.settings import Backend, Settings, WorkersAIBackend
from gateway.store import AddressError

# A search that finds nothing is small, costs nothing and still wants a valid credential.
PROBE = {"per_page": "1", "search": "__none__"}

EXAMPLES = (
    "penstock check",
    "penstock check --config /etc/penstock.yaml --live",
)


@click.command(epilog=examples(*EXAMPLES))
@config_option
@click.option("--live", is_flag=True, help="Also ask each backend whether it takes the credential (free).")
def check(config: Path | None, live: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Check the configuration and show what it amounts to.

    Exits with 2 if the configuration has mistakes, with 1 if a backend refuses its credential.
    """
    settings = load_settings(config)
    try:
        shared_state(settings)
    except (AddressError, NoPepperError) as error:
        fail(str(error), WRONG_USE)
    source = configuration.locate(config) or "the environment"
    click.echo(f"{source}: no mistakes\n")
    verdicts = {name: _verdict(name, backend) for name, backend in settings.backends.items()} if live else {}
    click.echo("\n".join(columns(list(_backends(settings, verdicts)))))
    if settings.models:
        click.echo("\n" + "\n".join(columns(list(_models(settings)))))
    if any(verdict != "ok" for verdict in verdicts.values()):
        raise Exit(PROBLEM)


def _backends(settings: Settings, verdicts: dict[str, str]) -> Iterator[tuple[str, ...]]:
    yield "BACKEND", "KIND", "CATALOGUE", "ADDRESS", *(["CREDENTIAL"] if verdicts else [])
    for name, backend in settings.backends.items():
        verdict = [verdicts[name]] if verdicts else []
        yield name, backend.kind, backend.catalogue, backend.base_url, *verdict


def _models(settings: Settings) -> Iterator[tuple[str, ...]]:
    yield "MODEL", "TRANSLATION", "TARGETS"
    for name, route in settings.models.items():
        targets = ", ".join(f"{target.backend}: {target.model}" for target in route.targets)
        yield name, route.translation, targets


def _verdict(name: str, backend: Backend) -> str:
    """What the backend says to its credential; of several, to each one where it is not the same."""
    verdicts = [_probe(backend, credential) for credential in credentials_of(name, backend)]
    if len(set(verdicts)) == 1:
        return verdicts[0]
    return ", ".join(f"{number}. {verdict}" for number, verdict in enumerate(verdicts, 1))


def _probe(backend: Backend, credential: str | None) -> str:
    try:
        with asking(backend, credential) as ask:
            if isinstance(backend, WorkersAIBackend):
                ask("models/search", PROBE)
            else:
                ask("models", {})
    except AccountError as error:
        return str(error)
    return "ok"
