"""Wrong keys from one address cost ever more time, and no memory without bound."""

from gateway.suspects import Suspects


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _failed(suspects: Suspects, times: int, address: str = "1.2.3.4") -> None:
    for _ in range(times):
        suspects.failed(address)


def test_some_failures_cost_nothing() -> None:
    suspects = Suspects(Clock())
    _failed(suspects, 29)
    assert suspects.wait("1.2.3.4") == 0


def test_further_ones_cost_twice_as_long_each_time_and_a_minute_at_most() -> None:
    suspects = Suspects(Clock())
    _failed(suspects, 30)
    waits = []
    for _ in range(9):
        waits.append(suspects.wait("1.2.3.4"))
        suspects.failed("1.2.3.4")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert suspects.wait("1.2.3.5") == 0


def test_a_wait_ends_and_a_quiet_minute_forgets() -> None:
    clock = Clock()
    suspects = Suspects(clock)
    _failed(suspects, 32)
    assert suspects.wait("1.2.3.4") == 4
    clock.now += 4
    assert suspects.wait("1.2.3.4") == 0
    clock.now += 60
    suspects.failed("1.2.3.4")
    assert suspects.wait("1.2.3.4") == 0


def test_a_network_of_ipv6_is_one_address() -> None:
    suspects = Suspects(Clock())
    for number in range(31):
        suspects.failed(f"2001:db8:0:1::{number:x}")
    assert suspects.wait("2001:db8:0:1:ffff::1") > 0
    assert suspects.wait("2001:db8:0:2::1") == 0
    _failed(suspects, 31, "fe80::1%eth0")
    assert suspects.wait("fe80::1") > 0
    _failed(suspects, 1, "no:address")


def test_memory_is_bounded() -> None:
    suspects = Suspects(Clock())
    for number in range(5000):
        suspects.failed(f"10.0.{number >> 8}.{number & 255}")
    assert len(suspects._seen) == 4096


async def test_keys_from_such_an_address_are_looked_up_one_after_the_other() -> None:
    suspects = Suspects(Clock())
    async with suspects.line("1.2.3.4"), suspects.line("1.2.3.4"):
        pass
    _failed(suspects, 31)
    async with suspects.line("1.2.3.4"), suspects.line("1.2.3.5"):
        assert suspects._line.locked()
    assert not suspects._line.locked()
