"""The first key of all: an admin's, made where nothing has ever been changed, and shown once.

Over all replicas there is one: the store decides who made it. Where it does not answer, it is asked until it
does; the key is the same each time, so that an answer which was lost costs nothing.
"""

import asyncio
from time import time
from typing import Final

from gateway.keys.archive import Archive
from gateway.keys.records import AuditEntry
from gateway.keys.register import new_key
from gateway.keys.secrets import digest, new_secret, redacted
from gateway.store import Store, StoreAwayError

_NAME: Final = "first admin key"
_PATIENCE: Final = 2.0  # seconds for a call that no request waits for
_PAUSE: Final = 0.5


class FirstKey:
    """The first key, as this process would make it.

    Args:
        url: Where the store is.
        pepper: What secrets are stored under.
    """

    def __init__(self, url: str, pepper: bytes) -> None:
        self._url = url
        self._pepper = pepper
        self._secret = new_secret("admin")
        self._key = new_key({"name": _NAME, "role": "admin"}, redacted(self._secret))

    async def make(self) -> str | None:
        """Make it as soon as the store answers.

        Returns:
            Its secret, to be shown once; None where there is a first key already.
        """
        store = Store(self._url, _PATIENCE)
        await store.start()
        try:
            while True:
                try:
                    return self._secret if await self._is_first(Archive(store)) else None
                except StoreAwayError:
                    await asyncio.sleep(_PAUSE)
        finally:
            await store.stop()

    async def _is_first(self, archive: Archive) -> bool:
        changes = {"name": (None, _NAME), "role": (None, "admin"), "redacted": (None, self._key.redacted)}
        entry = AuditEntry(
            at=time(), actor="master", action="key.bootstrap", subject=self._key.id, changes=changes
        )
        return await archive.write_first(self._key, digest(self._pepper, self._secret), entry)
