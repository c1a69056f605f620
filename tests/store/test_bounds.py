"""What ends a call to the store, and what does not."""

import asyncio
from math import inf

import pytest

from gateway.store.bounds import Bounds


async def test_a_reply_that_is_read_in_the_turn_in_which_time_is_up_has_come_in_time() -> None:
    loop, bounds = asyncio.get_running_loop(), Bounds()
    reply: asyncio.Future[str] = loop.create_future()

    def read_and_end() -> None:
        reply.set_result("here")
        bounds._end_some(inf)

    loop.call_soon(read_and_end)
    with bounds.until(loop.time() + 60):
        assert await reply == "here"


async def test_who_takes_long_to_leave_is_ended_once() -> None:
    loop, bounds = asyncio.get_running_loop(), Bounds()

    async def leave_slowly() -> None:
        try:
            await loop.create_future()
        finally:
            bounds._end_some(inf)
            await asyncio.sleep(0)

    loop.call_soon(bounds._end_some, inf)
    with pytest.raises(TimeoutError), bounds.until(loop.time() + 60):
        await leave_slowly()
