"""Admissions of one or several workers, for tests that choose the time."""

import asyncio
from collections.abc import Sequence

from gateway.admission import Admission, Ticket
from gateway.errors import LimitError
from gateway.limits import Bill, bill
from gateway.quota import Quota
from gateway.store import Script, Store

LEASE = 45.0


class Gate:
    """Admissions of one or several workers at times that the test chooses."""

    def __init__(self, store: Store, workers: int = 1, lease: float = LEASE) -> None:
        self.store = store
        self.workers = [Admission(store, f"w{number}", lease) for number in range(workers)]
        self.number = 0

    async def now(self) -> int:
        now: int = (await self.store.run(Script("probe"), ["{ps}:probe"]))[0]
        return now

    def move(self, milliseconds: int) -> None:
        self.store.clock_offset += milliseconds

    async def admits(self, made: Bill, tokens: int = 0) -> Ticket | None:
        self.number += 1
        worker = self.workers[self.number % len(self.workers)]
        try:
            return await worker.admit(f"e{self.number}", made, tokens)
        except LimitError:
            return None

    async def told(self) -> None:
        """Wait until all settlements are made."""
        for worker in self.workers:
            while worker._asking or worker._settling or worker._is_asking:  # noqa: ASYNC110 - turns, not time
                await asyncio.sleep(0.001)

    async def used(self, made: Bill) -> Sequence[int]:
        keys = [*(window.key for window in made.windows), *(lease.key for lease in made.leases)]
        packed = bytes([0x90 | len(made.windows)]) + b"".join(
            b"\xce" + window.slot.to_bytes(4, "big") for window in made.windows
        )
        _now, *used = await self.store.run(Script("used"), keys, [packed])
        return used


def bill_of(quota: Quota, name: str = "k") -> Bill:
    return bill([(name, f"key '{name}'", quota)])
