"""What is written in one turn of the loop: sent together at its end, in order, and not lost at a close."""

import asyncio
from typing import Any

import pytest

from gateway.outbox import Deferred, LateOutbox, Outbox

MUCH = 2**16 + 1


class Wire(asyncio.Transport):
    """Notes what reaches the system."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.did: list[Any] = []
        self.closing = False
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.did.append(bytes(data))

    def write_eof(self) -> None:
        self.did.append("eof")

    def close(self) -> None:
        self.closing = True
        self.did.append("close")

    def abort(self) -> None:
        self.closing = True
        self.did.append("abort")

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.did.append("pause")

    def resume_reading(self) -> None:
        self.did.append("resume")

    def get_write_buffer_size(self) -> int:
        return self.unsent


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def turn() -> None:
    await asyncio.sleep(0)


async def test_pieces_of_one_turn_leave_in_one_write_when_it_ends(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write(b"a")
    deferred.write(bytearray(b"b"))
    assert wire.did == []
    await turn()
    assert wire.did == [b"ab"]
    deferred.write(b"c")
    await turn()
    assert wire.did == [b"ab", b"c"]


async def test_all_transports_of_an_outbox_are_served_in_order() -> None:
    outbox, wires = Outbox(), [Wire(), Wire()]
    first, second = (Deferred(each, outbox) for each in wires)
    second.write(b"2")
    first.write(b"1")
    second.write(b"3")
    await turn()
    assert [each.did for each in wires] == [[b"1"], [b"23"]]


async def test_much_is_sent_at_once_so_that_the_transport_can_say_that_it_is_full(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write(b"a")
    deferred.write(b"b" * MUCH)
    assert wire.did == [b"a" + b"b" * MUCH]
    await turn()
    assert len(wire.did) == 1


async def test_what_somebody_waits_for_is_sent_at_once_behind_what_is_held(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write_at_once(b"a")
    assert wire.did == [b"a"]
    deferred.write(b"b")
    deferred.write_at_once(b"c")
    assert wire.did == [b"a", b"bc"]
    wire.closing = True
    deferred.write_at_once(b"d")
    await turn()
    assert wire.did == [b"a", b"bc"]


async def test_what_is_held_counts_as_not_taken(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    wire.unsent = 5
    deferred.write(b"abc")
    assert deferred.get_write_buffer_size() == 8
    await turn()
    assert deferred.get_write_buffer_size() == 5


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_what_is_held_is_sent_before_the_end(wire: Wire, end: str) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write(b"last words")
    getattr(deferred, end)()
    assert wire.did == [b"last words", end.removeprefix("write_")]
    await turn()
    assert len(wire.did) == 2


async def test_an_abort_loses_what_is_held(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write(b"a")
    deferred.abort()
    await turn()
    assert wire.did == ["abort"]
    assert deferred.get_write_buffer_size() == 0


async def test_nothing_is_written_to_what_was_lost_meanwhile(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write(b"a")
    wire.closing = True
    await turn()
    assert wire.did == []
    assert deferred.is_closing()


async def test_all_else_is_the_transport_s_own(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.pause_reading()
    deferred.resume_reading()
    assert wire.did == ["pause", "resume"]
    assert deferred.get_extra_info("peername") == ("127.0.0.1", 1)
    assert deferred.get_extra_info("nothing", 7) == 7


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def late_outbox(hold: float, clock: Clock | None = None) -> LateOutbox:
    clock = clock or Clock()
    return LateOutbox(hold, clock, clock)


class Signal(Wire):
    """Tells when something reaches the system."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self.reached.set_result(asyncio.get_running_loop().time())


async def test_what_may_wait_is_held_beyond_the_turn() -> None:
    wire, began = Signal(), asyncio.get_running_loop().time()
    Deferred(wire, Outbox()).write_with(b"a", late_outbox(0.01))
    async with asyncio.timeout(5):
        assert await wire.reached - began >= 0.009
    assert wire.did == [b"a"]


async def test_what_may_wait_goes_with_the_end_of_a_long_turn(wire: Wire) -> None:
    clock = Clock()
    late = late_outbox(10, clock)
    first, second = Deferred(wire, Outbox()), Deferred(other := Wire(), Outbox())
    first.write_with(b"a", late)
    clock.now = 5.0  # the next turn, if it is as long, would end when the hold is over
    second.write_with(b"b", late)
    await turn()
    assert (wire.did, other.did) == ([b"a"], [b"b"])


async def test_what_may_wait_goes_with_the_end_of_a_short_turn_behind_long_ones(wire: Wire) -> None:
    clock = Clock()
    late = late_outbox(10, clock)
    deferred = Deferred(wire, Outbox())
    for data, length in ((b"long", 9.0), (b"short", 2.0)):
        deferred.write_with(data, late)
        clock.now += length
        await turn()
    assert wire.did == [b"long", b"short"]


async def test_what_may_wait_goes_in_order_with_what_may_not(wire: Wire) -> None:
    late = late_outbox(10)
    deferred = Deferred(wire, Outbox())
    deferred.write_with(b"a", late)
    deferred.write_at_once(b"b")
    assert wire.did == [b"ab"]
    deferred.write(b"c")
    deferred.write_with(b"d", late)
    await turn()
    assert wire.did == [b"ab", b"cd"]


async def test_what_may_not_wait_takes_along_what_may(wire: Wire) -> None:
    late = late_outbox(10)
    deferred = Deferred(wire, Outbox())
    deferred.write_with(b"a", late)
    deferred.write_with(b"b", late)
    await turn()
    assert wire.did == []
    assert deferred.get_write_buffer_size() == 0  # nothing waits for the client
    deferred.write(b"c")
    assert deferred.get_write_buffer_size() == 3
    await turn()
    assert wire.did == [b"abc"]


async def test_much_that_may_wait_is_sent_at_once(wire: Wire) -> None:
    late = late_outbox(10)
    deferred = Deferred(wire, Outbox())
    for _ in range(2):
        deferred.write_with(b"x" * 2**15, late)
    assert wire.did == []
    deferred.write_with(b"x", late)
    assert wire.did == [b"x" * MUCH]


async def test_what_may_wait_is_sent_before_a_close(wire: Wire) -> None:
    deferred = Deferred(wire, Outbox())
    deferred.write_with(b"a", late_outbox(10))
    deferred.close()
    assert wire.did == [b"a", "close"]
