"""Where a process keeps its shared state: at `redis_url`, else with a server of its own while it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app import State
from gateway.keys import pepper
from gateway.settings import Settings
from gateway.store import addresses, embedded


def shared_state(settings: Settings) -> State | None:
    """The state at `redis_url`; None where that is not set.

    Raises:
        AddressError: The `redis_url` is no address of a store.
        NoPepperError: The secret that goes with it is not set.
    """
    if settings.redis_url is None:
        return None
    url = settings.redis_url.get_secret_value()
    addresses.read(url)
    return State(url, pepper(settings))


@asynccontextmanager
async def kept_state(settings: Settings) -> AsyncIterator[State]:
    """The state, inside the block.

    Raises:
        AddressError: The `redis_url` is no address of a store.
        EmbeddedError: There is no `redis_url`, and no server of our own can be had.
        NoPepperError: There is a `redis_url`, and not the secret that goes with it.
        KeptKeyError: What is kept as that secret is none.
    """
    shared = shared_state(settings)
    if shared is not None:
        yield shared
        return
    secret = pepper(settings)
    async with embedded(settings.data_dir, settings.store.appendfsync) as url:
        yield State(url, secret)
