"""`penstock completion`: the script that teaches a shell to complete the command."""

import rich_click as click
from click.shell_completion import get_completion_class

from gateway.cli.console import examples

EXAMPLES = (
    'eval "$(penstock completion bash)"             in ~/.bashrc',
    'eval "$(penstock completion zsh)"              in ~/.zshrc',
    "penstock completion fish | source              in ~/.config/fish/config.fish",
)


@click.command(epilog=examples(*EXAMPLES))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell."""
    complete = get_completion_class(shell)
    if complete is not None:
        command = context.find_root().command
        click.echo(complete(command, {}, "penstock", "_PENSTOCK_COMPLETE").source())
