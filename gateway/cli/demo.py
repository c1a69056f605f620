"""`penstock demo`: the gateway, an account to talk to and one real chat, with nothing to set up."""

import asyncio
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import rich_click as click
from rich.console import Console

from gateway import settings as configuration
from gateway.app import State, build
from gateway.cli import server
from gateway.cli.chat import ChatError, chat
from gateway.cli.console import WRONG_USE, examples, fail, host_option, port_option
from gateway.cli.simulate import API_PATH
from gateway.cli.state import kept_state
from gateway.keys import NoPepperError
from gateway.settings import Settings, SettingsError
from gateway.settings.environment import TOKEN_VARIABLES
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from gateway.store import AddressError, EmbeddedError

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"

EXAMPLES = (
    "penstock demo",
    "penstock demo --once",
)


@click.command(epilog=examples(*EXAMPLES))
@click.option("--once", is_flag=True, help="End after the chat instead of going on serving.")
@host_option
@port_option
def demo(once: bool, host: str | None, port: int | None) -> None:  # noqa: FBT001 - click passes by name
    """Start a gateway to try out, and hold one chat with a tool call through it.

    It talks to a simulated Workers AI account, or to yours when CLOUDFLARE_ACCOUNT_ID and
    CLOUDFLARE_API_TOKEN are set. Its key is made for this run and kept nowhere. If port 8080 is taken, it
    takes a free one and says so.
    """
    console = _Console(file=sys.stdout, highlight=False, soft_wrap=True)
    key = f"sk-ps-{secrets.token_urlsafe(24)}"
    with _folder() as folder:
        simulator = None
        if not _has_account(os.environ):
            simulator = server.Site(Simulator(), server.listen("127.0.0.1", 0))
        listener = _listen(host or "127.0.0.1", port, console)
        settings = _settings(simulator, key, folder)
        try:
            server.run(_show(settings, simulator, listener, key, console, once=once))
        except (ChatError, httpx.HTTPError, server.StartError, AddressError, NoPepperError) as error:
            fail(f"the demo failed: {error}")


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that lasts as long as the demo."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="penstock-demo-")
    except OSError as error:
        fail(f"the demo has nowhere to keep anything: {error.strerror}; set TMPDIR to a folder of yours")
    with folder as path:
        yield Path(path)


class _Console(Console):
    """A console whose reader may leave; the servers are ended in order, and click ends the process."""

    def on_broken_pipe(self) -> None:
        """Raise what rich has caught: its own SystemExit would stop the event loop in mid-task."""
        raise  # noqa: PLE0704 - rich calls this where it handles the error


def _has_account(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("CLOUDFLARE_ACCOUNT_ID")) and any(map(environ.get, TOKEN_VARIABLES))


def _listen(host: str, port: int | None, console: Console) -> socket.socket:
    try:
        return server.listen(host, 8080 if port is None else port)
    except server.ListenError as error:
        if not error.taken:
            fail(str(error))
    taken = 8080 if port is None else port
    listener = server.listen(host, 0)
    console.print(f"Port {taken} is taken, so this uses {listener.getsockname()[1]}.")
    return listener


def _settings(simulator: server.Site | None, key: str, folder: Path) -> Settings:
    """Settings from the environment's account, or of the simulated one; no file is read, no key is kept."""
    environ = dict(os.environ) if simulator is None else _simulated(simulator.url)
    try:
        return configuration.load_environment(
            {**environ, "PENSTOCK_MASTER_KEY": key, "PENSTOCK_DATA_DIR": str(folder)}
        )
    except SettingsError as error:
        fail(str(error), WRONG_USE)


def _simulated(url: str) -> dict[str, str]:
    return {
        "CLOUDFLARE_ACCOUNT_ID": SIMULATED_ACCOUNT_ID,
        "CLOUDFLARE_API_TOKEN": SIMULATED_API_TOKEN,
        "CLOUDFLARE_BASE_URL": f"{url}{API_PATH}",
    }


async def _show(  # noqa: PLR0913 - what a demo is made of
    settings: Settings,
    simulator: server.Site | None,
    listener: socket.socket,
    key: str,
    console: Console,
    *,
    once: bool,
) -> None:
    async with _state(settings) as state:
        gateway = server.gateway_site(build(settings, key, state), listener)
        await _hold(simulator, gateway, key, console, once=once)


@asynccontextmanager
async def _state(settings: Settings) -> AsyncIterator[State | None]:
    """The state of a gateway that is only tried out, and so does without where there is no server for it."""
    async with AsyncExitStack() as stack:
        try:
            state = await stack.enter_async_context(kept_state(settings))
        except EmbeddedError:
            state = None
        yield state


async def _hold(
    simulator: server.Site | None, gateway: server.Site, key: str, console: Console, *, once: bool
) -> None:
    async with server.running(*([simulator] if simulator else []), gateway) as stop:
        _introduce(f"{gateway.url}/v1", key, console, simulated=simulator is not None)
        with _without_access_lines():
            conversation = asyncio.create_task(_chat(f"{gateway.url}/v1", key, console))
            ended = await _unless_stopped(conversation, stop)
        if ended and not conversation.result():
            console.print("(The model answered without calling the tool this time.)")
        if ended and not once:
            console.print("\nServing until Ctrl-C. Each request shows as a line:")
            await stop.wait()


@contextmanager
def _without_access_lines() -> Iterator[None]:
    """Send what others write to stdout nowhere; the console of the demo is bound to the real one."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


async def _chat(url: str, key: str, console: Console) -> bool:
    headers = {"authorization": f"Bearer {key}"}
    # A proxy of the environment has no business between this process and itself.
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=120) as client:
        return await chat(client, MODEL, lambda text: _say(console, text))


async def _unless_stopped(task: asyncio.Task[bool], stop: asyncio.Event) -> bool:
    """Wait for the task, but no longer than until the signal; tell whether it came to its end."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for pending in {task, stopped}:
        pending.cancel()
    await asyncio.wait({task, stopped})
    return not task.cancelled()


def _say(console: Console, text: str) -> None:
    console.print(text, end="", markup=False)
    console.file.flush()


def _introduce(url: str, key: str, console: Console, *, simulated: bool) -> None:
    account = "a simulated Workers AI account" if simulated else "your Cloudflare account"
    console.print(f"[bold]Penstock[/] is ready and talks to {account}.\n")
    lines: list[tuple[str, Any]] = [
        ("base_url  ", url),
        ("api_key   ", key),
        ("\nFrom a shell:\n", _curl(url, key)),
        ("\nFrom Python (pip install openai):\n", _python(url, key)),
    ]
    for label, text in lines:
        console.print(label, end="", style="bold")
        console.print(text, markup=False)
    console.print("\nA chat with a tool call, through the gateway:\n", style="bold")


def _curl(url: str, key: str) -> str:
    body = f'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    return (
        f"  curl {url}/chat/completions -H 'Authorization: Bearer {key}' \\\n"
        f"    -H 'Content-Type: application/json' -d '{body}'"
    )


def _python(url: str, key: str) -> str:
    return (
        "  from openai import OpenAI\n"
        f'  client = OpenAI(base_url="{url}", api_key="{key}")\n'
        f'  print(client.chat.completions.create(model="{MODEL}", '
        'messages=[{"role": "user", "content": "Hello!"}]).choices[0].message.content)'
    )
