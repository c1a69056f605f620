"""`penstock serve`: the gateway itself."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import rich_click as click

from gateway import app
from gateway import settings as configuration
from gateway.cli import descriptors, server
from gateway.cli.console import config_option, examples, fail, host_option, load_settings, port_option, stderr
from gateway.cli.first_key import operators_key
from gateway.cli.state import kept_state
from gateway.cli.workers import WorkersError, running_workers
from gateway.keys import KeptKeyError, MasterKey, NoPepperError, master_key
from gateway.settings import Settings
from gateway.store import AddressError, EmbeddedError

EXAMPLES = (
    "penstock serve",
    "penstock serve --config /etc/penstock.yaml --host 0.0.0.0",
    "penstock serve --workers 4",
)


@click.command(epilog=examples(*EXAMPLES))
@config_option
@host_option
@port_option
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Processes that answer, on one port. Default: 1, or server.workers.",
)
def serve(config: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Run the gateway until Ctrl-C.

    Reads penstock.yaml; without one, CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN are enough.
    A second Ctrl-C does not wait for running answers.
    """
    settings = load_settings(config)
    if workers is not None:
        settings = with_workers(settings, workers)
    descriptors.raise_limit()
    listeners = _listeners(settings, host, port)
    try:
        server.run(_serve(settings, master_key(settings), listeners, config))
    except (
        server.StartError, AddressError, EmbeddedError, KeptKeyError, NoPepperError, WorkersError,
    ) as error:  # fmt: skip
        fail(str(error))


def _listeners(settings: Settings, host: str | None, port: int | None) -> list[socket.socket]:
    """Where clients ask and, where that is another address, where operators do."""
    its = settings.server
    try:
        listeners = [server.listen(host or its.host, its.port if port is None else port)]
        if its.admin is not None:
            listeners.append(server.listen(its.admin.host, its.admin.port, server.ADMIN))
    except server.ListenError as error:
        fail(str(error))
    return listeners


def with_workers(settings: Settings, workers: int) -> Settings:
    """The settings with another number of workers."""
    return settings.model_copy(update={"server": settings.server.model_copy(update={"workers": workers})})


async def _serve(
    settings: Settings, master: MasterKey | None, listeners: list[socket.socket], config: Path | None
) -> None:
    urls = [server.url_of(listener) for listener in listeners]
    key_value = master.value if master else None
    async with kept_state(settings) as state:
        serving: AbstractAsyncContextManager[asyncio.Event]
        if settings.server.workers > 1:
            serving = running_workers(settings, key_value, state, listeners)
        else:
            sites = server.gateway_sites(app.build(settings, key_value, state), *listeners)
            serving = server.running(*sites)
        # Only now that the gateway has started: a key that is made here is shown once.
        async with serving as stop, operators_key(master, state) as key:
            _greet(settings, key, urls, config)
            await stop.wait()


def _greet(settings: Settings, key: str | None, urls: list[str], config: Path | None) -> None:
    console = stderr()
    console.print("[bold]Penstock[/] is ready. Ctrl-C ends it.")
    for label, text in _facts(settings, key, urls, config):
        console.print(f"  {label:<10}", end="")
        console.print(text, markup=False)


def _facts(
    settings: Settings, key: str | None, urls: list[str], config: Path | None
) -> list[tuple[str, str]]:
    facts = [
        ("base_url", f"{urls[0]}/v1"),
        *(("admin", f"{url}/admin/docs") for url in urls[1:]),
        ("settings", str(configuration.locate(config) or "the environment")),
        ("backends", ", ".join(settings.backends)),
        ("models", _models(settings)),
    ]
    return [*facts, ("key", key)] if key is not None else facts


def _models(settings: Settings) -> str:
    names = list(settings.models)
    opened = [backend.kind for backend in settings.backends.values() if backend.catalogue == "open"]
    names += ["what the servers list"] if "openai" in opened else []
    names += ["any @cf/... id"] if "workers_ai" in opened else []
    return ", ".join(names) or "none: list some under `models`"
