"""`penstock simulate`: a Workers AI account on this machine."""

import rich_click as click

from gateway.cli import server
from gateway.cli.console import examples, fail, host_option, port_option, stdout
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator

API_PATH = "/client/v4"

EXAMPLES = (
    "penstock simulate --port 8081",
    "penstock serve        # in a second terminal, with the variables it printed",
)


@click.command(epilog=examples(*EXAMPLES))
@host_option
@port_option
def simulate(host: str | None, port: int | None) -> None:
    """Run a simulated Workers AI account until Ctrl-C.

    It answers as Cloudflare's API does, errors included, costs nothing and needs no network.
    """
    try:
        listener = server.listen(host or "127.0.0.1", 8080 if port is None else port)
    except server.ListenError as error:
        fail(str(error))
    site = server.Site(Simulator(), listener)
    try:
        server.run(server.serve(site, started=lambda: _greet(site.url)))
    except server.StartError as error:
        fail(str(error))


def _greet(url: str) -> None:
    console = stdout()
    console.print("# A simulated Workers AI account is ready. Ctrl-C ends it. Use it with:", style="dim")
    console.print(f"export CLOUDFLARE_BASE_URL={url}{API_PATH}", markup=False)
    console.print(f"export CLOUDFLARE_ACCOUNT_ID={SIMULATED_ACCOUNT_ID}", markup=False)
    console.print(f"export CLOUDFLARE_API_TOKEN={SIMULATED_API_TOKEN}", markup=False)
