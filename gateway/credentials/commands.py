"""Runs a command that prints a credential: without a shell, in ten seconds, beside the event loop.

What it writes to standard error is not read: nobody can tell what in that is secret.
"""

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from subprocess import DEVNULL
from typing import Final

from gateway.credentials.sources import MOST, UnreadableError, credential

_LIMIT: Final = 10.0  # seconds


async def from_command(command: Sequence[str]) -> str:
    """The credential that a command prints.

    Raises:
        UnreadableError: It prints none, does not end well, or not in time.
    """
    name = re.sub(r"[^\w./-]", "?", command[0])  # what follows may be secret
    try:
        async with asyncio.timeout(_LIMIT):
            out, code = await _run(command)
    except TimeoutError:
        raise UnreadableError(f"the command {name} took more than {_LIMIT:g} s") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no command"
        raise UnreadableError(f"the command {name} cannot be run: {reason}") from None
    if code:
        raise UnreadableError(f"the command {name} ended with exit code {code}")
    return credential(out.decode("latin-1"))


async def _run(command: Sequence[str]) -> tuple[bytes, int]:
    """What a command prints, and its exit code."""
    read_end, write_end = os.pipe()
    out = asyncio.StreamReader()
    try:
        # A pipe of our own: the one that asyncio makes is waited for as long as a grandchild holds it.
        pipe, _protocol = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(out), os.fdopen(read_end, "rb", 0)
        )
        # In a session of its own: its children are ended with it, and a terminal's Ctrl-C is not for them.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=write_end, stderr=DEVNULL, start_new_session=True
        )
    finally:
        os.close(write_end)
    try:
        return await _all_of(out), await process.wait()
    finally:
        pipe.close()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _all_of(out: asyncio.StreamReader) -> bytes:
    try:
        await out.readexactly(MOST + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise UnreadableError("the command prints more than a credential can have")
