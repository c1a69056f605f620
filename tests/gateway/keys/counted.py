"""A store whose calls are counted, and that can be away, late or changed in between."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.store import Script, Store, StoreAwayError


class CountedStore:
    """A real store behind a door that the test can close.

    Attributes:
        calls: How often each script was run, and each command given.
        is_away: Whether nothing is answered.
        open: What is asked waits until this is set.
        before: What happens just before a script is run, once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()
        self.is_away = False
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> list[Any]:
        if script.name in self.before:
            await self.before.pop(script.name)()
        await self._pass(script.name)
        return await self._store.run(script, keys, args)

    async def command(self, *words: bytes | str | int) -> Any:
        await self._pass(str(words[0]))
        return await self._store.command(*words)

    async def _pass(self, name: str) -> None:
        self.calls[name] += 1
        await self.open.wait()
        if self.is_away:
            raise StoreAwayError("away")
