"""Looks whether Workers AI can be reached again, while a breaker keeps requests away from it.

It has no page of its health, and every call costs something: so nothing is sent there while it is well, and
while it is not, a bare request a second says whether anybody answers. Without this a request would have to
look, which could hang, and the pauses between two such looks grow.
"""

import asyncio
import random
from dataclasses import dataclass
from time import monotonic
from typing import Final

import httpx

from gateway.health.client import PATIENCE, client_of
from gateway.health.condition import Condition
from gateway.settings import Backend

_PAUSE: Final = 1.0  # seconds between two looks
_IN_TROUBLE: Final = 500  # statuses from here on are the service's own fault


@dataclass(frozen=True, slots=True)
class Reach:
    """Looks at one backend.

    Args:
        settings: Where it is.
        condition: What is to be known of it.
    """

    settings: Backend
    condition: Condition

    async def run(self) -> None:
        """Look whenever the breaker is open, once a second."""
        while True:
            await asyncio.sleep(_PAUSE * random.uniform(0.9, 1.1))  # noqa: S311 - only spreads them
            if self.condition.breaker.is_open:
                async with client_of(self.settings) as client:
                    await self.look(client)

    async def look(self, client: httpx.AsyncClient) -> None:
        """Let the next request pass where somebody answers, whatever it is: no credential is shown."""
        try:
            async with asyncio.timeout(PATIENCE), client.stream("GET", self.settings.base_url) as answer:
                status = answer.status_code
        except (httpx.HTTPError, TimeoutError, OSError):
            return
        if status < _IN_TROUBLE:
            self.condition.breaker.is_well(monotonic())
