"""Those who ask the same at the same time ask once."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

_Answer = TypeVar("_Answer")


class Together(Generic[_Answer]):
    """Questions on their way, by what is asked."""

    def __init__(self) -> None:
        self._asked: dict[bytes, asyncio.Task[_Answer]] = {}

    async def ask(self, what: bytes, ask: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Ask, or wait for the answer that somebody else asked for.

        It is asked to the end, also where all who wanted to know have left.
        """
        task = self._asked.get(what)
        if task is None:
            task = self._asked[what] = asyncio.create_task(ask())
            task.add_done_callback(partial(self._answered, what))
        return await asyncio.shield(task)

    def _answered(self, what: bytes, task: asyncio.Task[_Answer]) -> None:
        del self._asked[what]
        if not task.cancelled():
            task.exception()  # retrieved, also where nobody waits for it any more
