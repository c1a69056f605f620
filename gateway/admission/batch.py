"""Admissions and settlements as the scripts take them: many in one call, each key named once."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from gateway.limits import Bill, Window
from gateway.store import TAG

OPEN: Final = f"{TAG}:open"
ENTRIES: Final = f"{TAG}:entries"

_encode: Final = msgspec.msgpack.Encoder().encode

Call = tuple[list[str], list[bytes]]  # a script's keys and arguments


class Ask(msgspec.Struct, frozen=True):
    """A request that asks to be admitted; `costs` has one for each window of the bill."""

    exchange: str
    bill: Bill
    costs: tuple[int, ...]


class Settlement(msgspec.Struct, frozen=True):
    """What ended exchanges change.

    Attributes:
        exchange: Its id; empty for what was admitted without the store.
        at: When it was admitted, in ms of the store.
        changes: (window's key, a slot's length in ms, amount).
        leases: The keys of what it held.
        kind: 0: it has an entry. 1: it has none. 2: it has an entry, if it is lost.
    """

    exchange: str
    at: int
    changes: Sequence[tuple[str, int, int]]
    leases: Sequence[str] = ()
    kind: int = 0


class _Keys:
    """Numbers for keys, from 1 on as Lua counts."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, key: str) -> int:
        numbers = self.numbers
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(numbers) + 1
        return number


def admission(asks: Iterable[Ask], lease: int) -> Call:
    """The call of `admit.lua`. `lease` in ms."""
    windows, leases, records = _Keys(), _Keys(), _Keys()
    widths: list[int] = []
    rows = []
    for ask in asks:
        bill = ask.bill
        charges = [
            (_numbered(windows, widths, window), cost, window.limit)
            for window, cost in zip(bill.windows, ask.costs, strict=True)
        ]
        held = [(leases.number(each.key), each.limit) for each in bill.leases]
        versions = [(records.number(key), version) for key, version in bill.records]
        rows.append((ask.exchange, charges, held, versions, entry_of(ask) if bill.needs_settling else ""))
    keys = [*windows.numbers, *leases.numbers, *records.numbers, OPEN, ENTRIES]
    return keys, [_encode((widths, len(leases.numbers), len(records.numbers), lease, rows))]


def _numbered(windows: _Keys, widths: list[int], window: Window) -> int:
    number = windows.number(window.key)
    if number > len(widths):
        widths.append(window.slot)
    return number


def answers(reply: bytes) -> list[list[int]]:
    """What `admit.lua` says to each."""
    return _decode_answers(reply)


_decode_answers: Final = msgspec.msgpack.Decoder(list[list[int]]).decode


def settlement(items: Iterable[Settlement]) -> Call:
    """The call of `settle.lua`."""
    windows, leases = _Keys(), _Keys()
    widths: list[int] = []
    rows: list[Any] = []
    for item in items:
        changes = []
        for key, slot, amount in item.changes:
            number = windows.number(key)
            if number > len(widths):
                widths.append(slot)
            changes.append((number, amount))
        held = [leases.number(key) for key in item.leases]
        rows.append((item.exchange, item.at, changes, held, item.kind))
    keys = [*windows.numbers, *leases.numbers, OPEN, ENTRIES]
    return keys, [_encode((widths, len(leases.numbers), rows))]


class _Entry(msgspec.Struct, array_like=True):
    """What is kept of an exchange for whoever finds it lost: what it reserved and what it holds."""

    reserved: list[tuple[str, int, int]]
    leases: list[str]


def entry_of(ask: Ask) -> str:
    """The entry of an exchange. What a lost one used is not known: it gets its tokens back.

    It is JSON, for the MessagePack of the store's Lua knows no binary strings.
    """
    reserved = [
        (window.key, window.slot, cost)
        for window, cost in zip(ask.bill.windows, ask.costs, strict=True)
        if window.unit == "tokens"
    ]
    return msgspec.json.encode(_Entry(reserved, [lease.key for lease in ask.bill.leases])).decode()


def lost(exchange: bytes, kept: bytes) -> Settlement:
    """The settlement of an exchange that was found lost."""
    at, _, entry = kept.partition(b" ")
    read = _decode_entry(entry)
    changes = [(key, slot, -cost) for key, slot, cost in read.reserved]
    return Settlement(exchange.decode(), int(at), changes, read.leases, kind=2)


_decode_entry: Final = msgspec.json.Decoder(_Entry).decode


def renewal(lease: int, exchanges: Sequence[str], held: Sequence[tuple[str, Sequence[str]]]) -> Call:
    """The call of `renew.lua`: exchanges with an entry, and leases with the exchanges that hold them."""
    keys = [*(key for key, _exchanges in held), OPEN]
    return keys, [_encode((lease, exchanges, [holders for _key, holders in held]))]
