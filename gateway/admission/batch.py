"""Admissions and settlements as the scripts take them: many in one call, each key and bill named once."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from gateway.limits import Bill, Place, Window
from gateway.store import TAG

OPEN: Final = f"{TAG}:open"
ENTRIES: Final = f"{TAG}:entries"

_encode: Final = msgspec.msgpack.Encoder().encode

_REMEMBERED: Final = 64  # companies of bills, and of what they hold

Call = tuple[Sequence[str], list[bytes]]  # a script's keys and arguments
Holding = tuple[tuple[Place, ...], tuple[str, ...]]  # windows that change, and keys of leases


class Ask(msgspec.Struct, frozen=True):
    """A request that asks to be admitted, and how many tokens it may use."""

    exchange: str
    bill: Bill
    tokens: int


class Settlement(msgspec.Struct, frozen=True):
    """What an ended exchange changes.

    Attributes:
        exchange: Its id; empty for what was admitted without the store.
        at: When it was admitted, in ms of the store.
        amount: By how much its windows change.
        windows: Those that do.
        leases: The keys of what it held.
        kind: 0: it has an entry. 1: it has none. 2: it has an entry, if it is lost.
    """

    exchange: str
    at: int
    amount: int
    windows: tuple[Place, ...]
    leases: tuple[str, ...] = ()
    kind: int = 0


class _Bills(msgspec.Struct, frozen=True):
    """What is the same in each call with the same bills: the keys, how many of each kind, and the bills."""

    keys: tuple[str, ...]
    widths: list[int]
    leases: int
    records: int
    encoded: msgspec.Raw


class _Holdings(msgspec.Struct, frozen=True):
    """The same of what ended exchanges held."""

    keys: tuple[str, ...]
    widths: list[int]
    leases: int
    encoded: msgspec.Raw


class _Windows:
    """Numbers for windows, from 1 on as Lua counts, and the length of each one's slots."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.widths: list[int] = []

    def number(self, key: str, slot: int) -> int:
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.numbers) + 1
            self.widths.append(slot)
        return number


class _Keys:
    """Numbers for other keys, from 1 on."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, key: str) -> int:
        return self.numbers.setdefault(key, len(self.numbers) + 1)


def admission(asks: Iterable[Ask], lease: int) -> Call:
    """The call of `admit.lua`. `lease` in ms."""
    numbers: dict[Bill, int] = {}
    rows = [(ask.exchange, numbers.setdefault(ask.bill, len(numbers) + 1), ask.tokens) for ask in asks]
    its = _bills(tuple(numbers))
    return its.keys, [_encode((its.widths, its.leases, its.records, lease, its.encoded, rows))]


@lru_cache(_REMEMBERED)
def _bills(bills: tuple[Bill, ...]) -> _Bills:
    windows, leases, records = _Windows(), _Keys(), _Keys()
    rows: list[object] = []
    for bill in bills:
        charges = [_charge(windows, window) for window in bill.windows]
        held = [(leases.number(each.key), each.limit) for each in bill.leases]
        versions = [(records.number(key), version) for key, version in bill.records]
        rows.append((charges, held, versions, bill.entry))
    keys = (*windows.numbers, *leases.numbers, *records.numbers, OPEN, ENTRIES)
    return _Bills(keys, windows.widths, len(leases.numbers), len(records.numbers), msgspec.Raw(_encode(rows)))


def _charge(windows: _Windows, window: Window) -> tuple[int, int, int]:
    return windows.number(window.key, window.slot), window.limit, 1 if window.unit == "tokens" else 0


answers: Final = msgspec.msgpack.Decoder(list[list[int]]).decode  # what `admit.lua` says to each


def settlement(items: Iterable[Settlement]) -> Call:
    """The call of `settle.lua`."""
    numbers: dict[tuple[int, int], int] = {}
    holdings: list[Holding] = []
    rows: list[tuple[str, int, int, int, int]] = []
    for item in items:
        place = (id(item.windows), id(item.leases))
        number = numbers.get(place)
        if number is None:
            number = numbers[place] = len(numbers) + 1
            holdings.append((item.windows, item.leases))
        rows.append((item.exchange, item.at, item.amount, number, item.kind))
    its = _holdings(tuple(holdings))
    return its.keys, [_encode((its.widths, its.leases, its.encoded, rows))]


@lru_cache(_REMEMBERED)
def _holdings(holdings: tuple[Holding, ...]) -> _Holdings:
    windows, leases = _Windows(), _Keys()
    rows = [
        ([windows.number(key, slot) for key, slot in changed], [leases.number(key) for key in held])
        for changed, held in holdings
    ]
    keys = (*windows.numbers, *leases.numbers, OPEN, ENTRIES)
    return _Holdings(keys, windows.widths, len(leases.numbers), msgspec.Raw(_encode(rows)))


def turn(settled: Call, admitted: Call) -> Call:
    """Both calls as one, of `turn.lua`."""
    return [*settled[0], *admitted[0]], [str(len(settled[0])).encode(), *settled[1], *admitted[1]]


def renewal(lease: int, exchanges: Sequence[str], held: Sequence[tuple[str, Sequence[str]]]) -> Call:
    """The call of `renew.lua`: exchanges with an entry, and leases with the exchanges that hold them."""
    keys = [*(key for key, _exchanges in held), OPEN]
    return keys, [_encode((lease, exchanges, [holders for _key, holders in held]))]


def lost(exchange: bytes, kept: bytes) -> Settlement:
    """The settlement of an exchange that was found lost: nobody knows what it used, so its tokens go back.

    What was not written here says nothing, and only goes.
    """
    try:
        at, tokens, entry = kept.split(b" ", 2)
        windows, leases = _decode_entry(entry)
        name, since, unused = exchange.decode(), int(at), -int(tokens)
    except ValueError:
        return Settlement(exchange.decode(errors="replace"), 0, 0, (), (), kind=2)
    return Settlement(name, since, unused, windows, leases, kind=2)


_decode_entry: Final = msgspec.json.Decoder(Holding).decode
