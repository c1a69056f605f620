"""`penstock models sync`: what Cloudflare says of its models today, kept in data_dir."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import rich_click as click
from click.exceptions import Exit

from gateway import catalogue
from gateway.cli.account import AccountError, Ask, asking, credentials_of
from gateway.cli.console import PROBLEM, config_option, examples, fail, load_settings
from gateway.settings import Backend, Settings, WorkersAIBackend
from translators.backends.workers_ai.catalogue import Catalogue, Facts
from translators.backends.workers_ai.listing import Listed, Shape, read_schema, read_search
from translators.backends.workers_ai.request import is_model_id

_MOST_PAGES: Final = 50  # the live list comes whole, whatever `per_page` asks for
_SHOWN: Final = ("window", "can", "price", "efforts", "retires")

EXAMPLES = (
    "penstock models sync",
    "penstock models sync --config /etc/penstock.yaml",
)


@click.command(epilog=examples(*EXAMPLES))
@config_option
def sync(config: Path | None) -> None:
    """Fetch the list of models from Cloudflare and keep it in data_dir.

    Windows, prices, capabilities, efforts and planned retirements go over what Penstock was shipped with;
    models that it does not know are added. `serve` reads them at its next start. It costs nothing.
    """
    settings = load_settings(config)
    before = catalogue.load(settings.data_dir)
    listed, failures = _ask_all(settings)
    if not listed:
        fail("\n".join([*failures, "Nothing was fetched; what was kept before stays."]))
    try:
        path = catalogue.keep(settings.data_dir, datetime.now(UTC).isoformat(timespec="seconds"), listed)
    except OSError as error:
        fail(f"cannot keep the list in {settings.data_dir}: {error.strerror}; set data_dir")
    click.echo(f"{len(listed)} text models are listed; kept in {path}")
    for line in _changes(before, catalogue.load(settings.data_dir)):
        click.echo(f"  {line}")
    if failures:
        click.echo("\n".join(failures), err=True)
        raise Exit(PROBLEM)


def _ask_all(settings: Settings) -> tuple[dict[str, Listed], list[str]]:
    """What the accounts list, each asked once, and what became of those that did not answer."""
    accounts = {
        (each.base_url, each.account_id): name
        for name, each in reversed(settings.backends.items())
        if isinstance(each, WorkersAIBackend)
    }
    listed: dict[str, Listed] = {}
    failures: list[str] = []
    for name in reversed(accounts.values()):
        try:
            listed = {**_models_of(name, settings.backends[name]), **listed}
        except AccountError as error:
            failures.append(f"{name}: {error}")
    return listed, failures


def _models_of(backend_name: str, backend: Backend) -> dict[str, Listed]:
    credential = next(filter(None, credentials_of(backend_name, backend)), None)
    known = {name for name, facts in catalogue.shipped().models.items() if facts.family != "unknown"}
    with asking(backend, credential) as ask:
        listed = _search(ask)
        return {
            name: each if name in known else msgspec.structs.replace(each, shape=_shape(ask, name))
            for name, each in listed.items()
        }


def _search(ask: Ask) -> dict[str, Listed]:
    """The text models of all pages."""
    found: dict[str, Listed] = {}
    entries = 0
    for number in range(1, _MOST_PAGES + 1):
        try:
            page = read_search(ask("models/search", {"page": str(number)}))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AccountError(f"unexpected: the answer is no list of models ({error})") from None
        entries += page.entries
        is_new = page.models.keys() - found.keys()
        found |= page.models
        if not page.entries or not is_new or entries >= (page.total or 0):
            break
    if not found:
        raise AccountError("unexpected: the list has no text model")
    return {name: each for name, each in found.items() if is_model_id(name)}


def _shape(ask: Ask, name: str) -> Shape | None:
    """What the schema of a model tells, where it can be had."""
    try:
        return read_schema(ask("models/schema", {"model": name}))
    except (AccountError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _changes(before: Catalogue, after: Catalogue) -> Iterator[str]:
    for name, facts in after.models.items():
        if name not in before.models:
            yield f"new: {name}"
        for field in _SHOWN if name in before.models else ():
            old, new = (_in_words(each, field) for each in (before.models[name], facts))
            if old != new:
                yield f"{name}: {field} {old} -> {new}"


def _in_words(facts: Facts, field: str) -> str:
    value = getattr(facts, field)
    match value:
        case dict():
            return ", ".join(f"{kind} ${price:g}" for kind, price in value.items()) or "unknown"
        case frozenset() | tuple():
            return ", ".join(sorted(value)) or "none"
        case _:
            return str(value)
