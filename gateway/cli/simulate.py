"""`penstock simulate`: a Workers AI account on this machine, or a self-hosted server."""

import rich_click as click

from gateway.cli import server
from gateway.cli.console import WRONG_USE, examples, fail, host_option, port_option, stdout
from gateway.simulator import (
    PRODUCTS,
    SIMULATED_ACCOUNT_ID,
    SIMULATED_API_TOKEN,
    SimulatedServer,
    Simulator,
    create_server,
)

API_PATH = "/client/v4"
_SLOTS = 8

EXAMPLES = (
    "penstock simulate --port 8081",
    "penstock serve        # in a second terminal, with the variables it printed",
    "penstock simulate --server vllm --port 8000 --model llama --slots 2 --per-token 20",
)


@click.command(epilog=examples(*EXAMPLES))
@host_option
@port_option
@click.option(
    "--server",
    "product",
    type=click.Choice(list(PRODUCTS)),
    help="Simulate a self-hosted server of this product instead.",
)
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="A model that the server has; several."
)
@click.option("--api-key", metavar="KEY", help="The key that the server wants. Default: none.")
@click.option(
    "--slots", type=click.IntRange(1), default=_SLOTS, help="Requests at once; others wait. Default: 8."
)
@click.option("--first-token", type=click.FloatRange(0), default=0.0, help="Milliseconds before an answer.")
@click.option("--per-token", type=click.FloatRange(0), default=0.0, help="Milliseconds for each token.")
def simulate(  # noqa: PLR0913, PLR0917 - each is an option of its own
    host: str | None,
    port: int | None,
    product: str | None,
    models: tuple[str, ...],
    api_key: str | None,
    slots: int,
    first_token: float,
    per_token: float,
) -> None:
    """Run a simulated Workers AI account, or with --server a self-hosted server, until Ctrl-C.

    It answers as Cloudflare's API or the product does, errors included, costs nothing and needs no network.
    The options after --server are for such a server alone.
    """
    if product is None and (models or api_key or slots != _SLOTS or first_token or per_token):
        fail("these options are for a self-hosted server: name one with --server", WRONG_USE)
    app = (
        Simulator()
        if product is None
        else create_server(
            product,
            models=models or ("simulated",),
            api_key=api_key,
            slots=slots,
            first_token=first_token / 1000,
            per_token=per_token / 1000,
        )
    )
    try:
        listener = server.listen(host or "127.0.0.1", 8080 if port is None else port)
    except server.ListenError as error:
        fail(str(error))
    site = server.Site(app, listener)
    try:
        server.run(server.serve(site, started=lambda: _greet(app, site.url)))
    except server.StartError as error:
        fail(str(error))


def _greet(app: Simulator | SimulatedServer, url: str) -> None:
    console = stdout()
    if isinstance(app, SimulatedServer):
        console.print(f"# A simulated {app.product.name} server is ready. Ctrl-C ends it.", style="dim")
        console.print(f"export OPENAI_BASE_URL={url}/v1", markup=False)
        return
    console.print("# A simulated Workers AI account is ready. Ctrl-C ends it. Use it with:", style="dim")
    console.print(f"export CLOUDFLARE_BASE_URL={url}{API_PATH}", markup=False)
    console.print(f"export CLOUDFLARE_ACCOUNT_ID={SIMULATED_ACCOUNT_ID}", markup=False)
    console.print(f"export CLOUDFLARE_API_TOKEN={SIMULATED_API_TOKEN}", markup=False)
