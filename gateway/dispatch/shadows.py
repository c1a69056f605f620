"""Copies of requests for a target that is being tried out: their answers are thrown away.

A copy is sent when its request has been answered, so that it costs nobody time; it is charged to no key, and
where many are under way already it is left out. What comes of it shows in the metrics alone.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

from gateway.metrics import Metrics
from gateway.routing import Plan
from gateway.translation import translate_for
from gateway.upstream import Upstream, UpstreamError
from translators.call import BackendCall, Stamp
from translators.chat import ChatRequest
from translators.deltas import Failed
from translators.errors import ApiError

_MOST: Final = 32  # under way at once, on a worker
_PATIENCE: Final = 300.0  # seconds for one copy


class Shadows:
    """The copies of one worker.

    Args:
        upstreams: The ways to the backends.
        metrics: Told what comes of them.
    """

    def __init__(self, upstreams: Mapping[str, Upstream], metrics: Metrics) -> None:
        self._upstreams = upstreams
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def cast(self, plan: Plan, request: ChatRequest, stamp: Stamp) -> None:
        """Send a copy to the plan's shadow, by its share; in the background."""
        if plan.shadow is None or random.random() >= plan.shadow_share:  # noqa: S311 - no secret
            return
        if len(self._tasks) >= _MOST:
            self._metrics.shadow(plan.shadow.backend, "left_out")
            return
        task = asyncio.get_running_loop().create_task(self._send(plan, request, stamp))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, plan: Plan, request: ChatRequest, stamp: Stamp) -> None:
        target = plan.shadow
        if target is None:
            return
        outcome = "failed"
        try:
            dialogue, _entries = translate_for(plan, target, request, stamp)
            async with asyncio.timeout(_PATIENCE):
                answers = [await self._ask(target.backend, call) for call in dialogue.first()]
            outcome = "ok" if all(answers) else "failed"
        except (ApiError, UpstreamError, TimeoutError):
            pass
        finally:
            self._metrics.shadow(target.backend, outcome)

    async def _ask(self, backend: str, call: BackendCall) -> bool:
        """Whether the whole answer to a call came, and was none of failure."""
        reader = call.reader()
        with self._upstreams[backend].send(call) as sending:
            answer = await sending.answer()
            reader.start(answer.status, answer.headers)
            while data := await answer.read():
                deltas = reader.feed(data)
                if deltas and isinstance(deltas[-1], Failed):
                    return False
        return not isinstance(reader.close()[-1], Failed)
