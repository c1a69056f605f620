"""The first key of all, where the settings name no master key: made once, and shown once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.app import State
from gateway.cli.console import stderr
from gateway.keys import FirstKey, MasterKey

_WAIT: Final = 2.0  # seconds that the greeting waits for the store


@asynccontextmanager
async def operators_key(master: MasterKey | None, state: State) -> AsyncIterator[str | None]:
    """Gives what to show of the operator's key; a first key that is made later is shown by itself."""
    if master is not None:
        yield f"as kept in {master.path}" if master.path else None
        return
    making = asyncio.create_task(FirstKey(state.url, state.pepper).make())
    try:
        await asyncio.wait({making}, timeout=_WAIT)
        if making.done():
            yield _words(making.result())
        else:
            making.add_done_callback(_show)
            yield "to be made, and shown here, as soon as the store answers"
    finally:
        making.cancel()
        await asyncio.wait({making})


def _words(secret: str | None) -> str:
    if secret is None:
        return "as shown at the first start; where it is lost, set keys.master"
    return f"{secret}  (an admin's, made now and shown this once)"


def _show(making: "asyncio.Task[str | None]") -> None:
    if not making.cancelled():
        stderr().print(f"  key        {_words(making.result())}", markup=False)
