"""The fate of every parameter: what became of it on its way to the backend (law 2).

A client sees the report in the header `x-penstock-translation` (all but the kept), in the answer of
`POST /v1/translate` and of `penstock translate`. Reasons are written for the person who sent the request.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate
from typing import Final

import msgspec

from translators.errors import ApiError, invalid

HEADER_LIMIT: Final = 1024  # bytes; proxies commonly cap a whole header block at 8 KB


class Fate(IntEnum):
    """What became of a parameter. Where several things happened to one, the greatest is its fate.

    One that is refused has no entry: the request is answered with an error that names it.
    """

    KEPT = 0
    RENAMED = 1
    DEFAULTED = 2
    TRANSFORMED = 3
    CLAMPED = 4
    EMULATED = 5
    DROPPED = 6

    @property
    def word(self) -> str:
        """The fate as users read it."""
        return self.name.lower()


_KEPT: Final = Fate.KEPT  # looked up once: members of an enumeration take long to find


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One parameter's fate and, for all but the kept, why."""

    parameter: str
    fate: Fate
    detail: str = ""


class Report:
    """Collects fates. One report lives as long as one translation."""

    def __init__(self) -> None:
        self._fates: dict[str, Fate] = {}
        self._details: dict[str, list[str]] = {}
        self._sent_as: dict[str, str] = {}

    def note(self, parameter: str, fate: Fate, detail: str = "") -> None:
        """Record what happened to a parameter; notes on one parameter add up."""
        before = self._fates.get(parameter)
        if before is None or fate > before:
            self._fates[parameter] = fate
        if detail:
            details = self._details.setdefault(parameter, [])
            if detail not in details:
                details.append(detail)

    def sent_as(self, parameter: str, name: str) -> None:
        """Record the name under which the backend gets a parameter."""
        if name != parameter:
            self._sent_as[parameter] = name

    def entries(self, sent: Mapping[str, str], settled: Mapping[str, Entry]) -> tuple[Entry, ...]:
        """One entry for each parameter that the client sent, then what was added to the request.

        Args:
            sent: The client's name -> the common name under which its fate was noted.
            settled: Entries by the client's name that were decided before.
        """
        fates = self._fates
        is_changed = self._details or self._sent_as or any(fates.values())
        if not is_changed and fates.keys() >= sent.keys():  # all are kept under their own names
            return (*settled.values(), *[Entry(name, _KEPT) for name in sent])
        own = [self._entry(common, name) for name, common in sent.items()]
        common_names = set(sent.values())
        others = [name for name, fate in fates.items() if fate is not _KEPT and name not in common_names]
        if not others:
            return (*settled.values(), *own)
        before = [entry for name, entry in settled.items() if name not in others]
        return (*before, *own, *[self._entry(name, name) for name in others])

    def _entry(self, common: str, name: str) -> Entry:
        fate = self._fates[common]
        sent_as = self._sent_as.get(common, common)
        if fate is _KEPT and sent_as != name:
            return Entry(name, Fate.RENAMED, f"sent as '{sent_as}'")
        details = self._details.get(common)
        return Entry(name, fate, "; ".join(details) if details else "")


def header(entries: Iterable[Entry]) -> str:
    """All but the kept as `name=fate` pairs, at most 1 KB of ASCII; the rest is counted: `more=N`."""
    pairs = [_pair(entry.parameter[:64], entry.fate) for entry in entries if entry.fate is not _KEPT]
    whole = ", ".join(pairs)
    if len(whole) <= HEADER_LIMIT:
        return whole
    room = HEADER_LIMIT - len(f", more={len(pairs)}")
    ends = accumulate(len(pair) + len(", ") for pair in pairs)
    shown = [pair for pair, end in zip(pairs, ends, strict=True) if end <= room]
    return ", ".join([*shown, f"more={len(pairs) - len(shown)}"])


def refuse_dropped(entries: Iterable[Entry]) -> ApiError | None:
    """What a strict route answers: a 400 naming the first parameter that would be dropped, or None."""
    for entry in entries:
        if entry.fate is Fate.DROPPED:
            return invalid(
                f"'{entry.parameter}' would be dropped: {entry.detail}. This route translates strictly; "
                "leave the parameter out, or use a route with 'translation: lenient'.",
                entry.parameter,
                "unsupported_parameter",
            )
    return None


@lru_cache(256)
def _pair(name: str, fate: Fate) -> str:
    """A parameter with its fate as header text: a client chooses the names of its extra fields."""
    token = "".join(c if c.isascii() and (c.isalnum() or c in "._-[]") else "_" for c in name)
    return f"{token}={fate.word}"
