"""Whether this process keeps keys under the same secret as all others at its store.

The first one leaves a mark there that only the same `keys.pepper` makes again. With another one every issued
key would be unknown, and nobody could tell why.
"""

import hmac
from typing import Any, Final, Protocol

from gateway.store import TAG

PLACE: Final = f"{TAG}:pepper"
_SIGNED: Final = b"the secret that keys are stored under"

FLAW: Final = (
    "keys.pepper is not the one under which this store's keys were issued: set the same keys.pepper (or "
    f"PENSTOCK_PEPPER) on all replicas; to give up all keys and begin anew, delete '{PLACE}' in the store"
)


class Store(Protocol):
    """The part of the store that this room uses."""

    async def command(self, *words: Any) -> Any:
        """Give a plain command; StoreAwayError where it does not answer."""


async def is_shared(store: Store, pepper: bytes) -> bool:
    """Whether the secret is the one of all others; the first one's is.

    Raises:
        StoreAwayError: The store does not answer.
    """
    mark = hmac.digest(pepper, _SIGNED, "sha256").hex()
    kept: bytes | None = await store.command("SET", PLACE, mark, "NX", "GET")
    return kept is None or hmac.compare_digest(kept, mark.encode())
