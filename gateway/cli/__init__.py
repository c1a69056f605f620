"""The `penstock` command: one thin module per subcommand, all starting from settings.

Exit codes: 0 all is well, 1 a problem was found, 2 the command line or the configuration is wrong.
"""

import rich_click as click

from gateway.cli.backends import backends
from gateway.cli.check import check
from gateway.cli.completion import completion
from gateway.cli.demo import demo
from gateway.cli.keys import keys
from gateway.cli.limits import limits
from gateway.cli.models import models
from gateway.cli.route import route
from gateway.cli.schema import schema
from gateway.cli.serve import serve
from gateway.cli.simulate import simulate
from gateway.cli.teams import teams
from gateway.cli.translate import translate

COMMANDS = (
    serve, demo, simulate, check, models, backends, route, keys, teams, limits, translate, schema, completion,
)  # fmt: skip


@click.group(commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="penstock", message="%(prog)s %(version)s")
def main() -> None:
    """An OpenAI-compatible gateway for Cloudflare Workers AI and your own servers.

    Try it with `penstock demo`, run it with `penstock serve`.
    """
