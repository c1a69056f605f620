"""What a subject's limits are, described for the store: windows that are charged and leases that are held.

A subject is whoever has limits: the gateway, a model, a team, a key, a key's use of a model, a target. Here
nothing is decided and nothing is asked of the store; `admission` sends what is described here.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from gateway.quota import Away, Quota
from gateway.store import TAG

SLOTS: Final = 60
_MINUTE: Final = 60_000  # ms
_DAY: Final = 86_400_000

_STANDING: Final = ("limit", "remaining", "reset")

Unit = Literal["requests", "tokens"]


class Window(msgspec.Struct, frozen=True):
    """A sliding window.

    Attributes:
        key: Where the store has it.
        slot: A slot's length in ms; sixty are the window, rounded up.
        limit: The most that any such window may hold.
        unit: What is counted.
        span: How people call it: "min", "day", "1 s".
        subject: Whose it is, in words that stand after "for".
        away: What holds while the store is away.
    """

    key: str
    slot: int
    limit: int
    unit: Unit
    span: str
    subject: str
    away: Away


class Shown(NamedTuple):
    """What of a window's `x-ratelimit-*` headers is always the same."""

    limit: tuple[bytes, bytes]
    remaining: bytes
    reset: tuple[bytes, bytes]


class Lease(msgspec.Struct, frozen=True):
    """How many exchanges may be in flight at once. The attributes are a window's."""

    key: str
    limit: int
    subject: str
    away: Away


Place = tuple[str, int]  # a window's key, and the length of its slots


class Bill(msgspec.Struct, frozen=True, eq=False):
    """All that one request is charged to; one and the same object for all requests that are alike in this.

    Attributes:
        windows: Each charged with one request or with the request's tokens.
        leases: Each held until the exchange ends.
        shown: For each window its headers.
        records: The records that it rests on, with the version that is known of each: store's key -> version.
        is_empty: Whether nothing need be asked.
        counted: The windows of tokens, which the end of an exchange changes.
        held: The leases' keys.
        entry: Both as JSON, for whoever finds an exchange lost; empty where its end changes nothing. The
            MessagePack of the store's Lua knows no binary strings.
    """

    windows: tuple[Window, ...] = ()
    shown: tuple[Shown, ...] = ()
    leases: tuple[Lease, ...] = ()
    records: tuple[tuple[str, int], ...] = ()
    is_empty: bool = True
    counted: tuple[Place, ...] = ()
    held: tuple[str, ...] = ()
    entry: str = ""


Subject = tuple[str, str, Quota]  # its part of the store's keys, its name in words, what it may


def for_models(place: str, words: str, glob: str, quota: Quota) -> Subject:
    """Somebody's limits for some models alone."""
    return f"{place}:m:{glob}", f"{words} with models '{glob}'", quota


def bill(subjects: Iterable[Subject], records: Iterable[tuple[str, int]] = ()) -> Bill:
    """What a request is charged to that all these subjects answer for."""
    given = list(subjects)
    windows = tuple(window for place, words, quota in given for window in _windows(place, words, quota))
    leases = tuple(lease for place, words, quota in given for lease in _leases(place, words, quota))
    rests_on = tuple(records)
    counted = tuple((window.key, window.slot) for window in windows if window.unit == "tokens")
    held = tuple(lease.key for lease in leases)
    entry = msgspec.json.encode((counted, held)).decode() if counted or held else ""
    is_empty = not (windows or leases or rests_on)
    shown = tuple(map(_shown, windows))
    return Bill(windows, shown, leases, rests_on, is_empty, counted, held, entry)


def standing(made: Bill, rest: Sequence[int]) -> list[tuple[bytes, bytes]]:
    """The `x-ratelimit-*` headers.

    Args:
        made: The bill.
        rest: Of the requests and of the tokens, which window has the least left, from 1 on, and how much; 0
            where there is none.
    """
    headers: list[tuple[bytes, bytes]] = []
    numbers = iter(rest)
    for number in numbers:
        left = next(numbers)
        if number:
            limit, remaining, reset = made.shown[number - 1]
            headers += (limit, (remaining, str(left).encode() if left > 0 else b"0"), reset)
    return headers


def duration(seconds: float) -> str:
    """A time as OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `23h59m1s`."""
    if seconds < 1:
        return f"{max(1, math.ceil(seconds * 1000))}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def _shown(window: Window) -> Shown:
    limit, remaining, reset = (f"x-ratelimit-{what}-{window.unit}".encode() for what in _STANDING)
    # A window is as new once all its slots have gone by.
    anew = duration((SLOTS + 1) * window.slot / 1000)
    return Shown((limit, str(window.limit).encode()), remaining, (reset, anew.encode()))


def _windows(place: str, words: str, quota: Quota) -> Iterator[Window]:
    burst = quota.burst
    limits: list[tuple[str, int | None, int, Unit, str]] = [
        ("rpm", quota.rpm, _MINUTE, "requests", "min"),
        ("rpd", quota.rpd, _DAY, "requests", "day"),
        ("tpm", quota.tpm, _MINUTE, "tokens", "min"),
        ("tpd", quota.tpd, _DAY, "tokens", "day"),
    ]
    if burst is not None:
        length, span = int(burst.seconds * 1000), f"{burst.seconds:g} s"
        limits.append((f"rb{length}", burst.requests, length, "requests", span))
        limits.append((f"tb{length}", burst.tokens, length, "tokens", span))
    for name, limit, length, unit, span in limits:
        if limit is not None:
            key = f"{TAG}:w:{place}:{name}"
            yield Window(key, -(-length // SLOTS), limit, unit, span, words, quota.away)


def _leases(place: str, words: str, quota: Quota) -> Iterator[Lease]:
    if quota.concurrency is not None:
        yield Lease(f"{TAG}:l:{place}", quota.concurrency, words, quota.away)
