"""Answers that take several calls: of one round here, of several in rounds.py.

A backend dialect's `request` gives a `Dialogue`. The gateway sends the calls of `first()` at once, hands
over their deltas as they come with `take`, and gives the client what `take` returns; when all have ended,
`next()` names further calls or none. Where a filter is satisfied before the backend has ended, the gateway
closes it and hands over its count of the usage as the last delta. So what the client sees is decided
here, without I/O, while a plain answer still streams through with nothing held.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from translators.call import BackendCall
from translators.deltas import Delta, Failed, Usage
from translators.filters import Filter, run
from translators.filters.in_order import InOrder

_Number = TypeVar("_Number", int, float)


class Dialogue(Protocol):
    """The calls of one answer."""

    @property
    def satisfied(self) -> bool:
        """Whether nothing that may still come can matter, so that the backends can be closed."""

    def first(self) -> tuple[BackendCall, ...]:
        """The calls to begin with."""

    def take(self, call: int, deltas: Iterable[Delta]) -> list[Delta]:
        """Take deltas of the call with this number and give those that the client is to see now."""

    def next(self) -> tuple[BackendCall, ...]:
        """After all calls have ended: further calls, or none."""


class OneRound:
    """One round of calls, each of which answers one choice, or as many as all others.

    Args:
        calls: The first has the first choices.
        filters: What every delta goes through.
        calls_per_prompt: How many consecutive calls share a prompt; it is counted once.
        choices_per_call: How many choices each call answers.
    """

    def __init__(
        self,
        calls: Sequence[BackendCall],
        filters: Sequence[Filter] = (),
        calls_per_prompt: int = 1,
        choices_per_call: int = 1,
    ) -> None:
        self._calls = tuple(calls)
        self._filters = in_order(filters, len(calls) * choices_per_call)
        many = len(calls) > 1
        self._fan_out = FanOut(len(calls), calls_per_prompt, choices_per_call) if many else None

    @property
    def satisfied(self) -> bool:
        """Whether a filter needs nothing more."""
        return bool(self._filters) and any(each.satisfied for each in self._filters)

    def first(self) -> tuple[BackendCall, ...]:
        """All calls."""
        return self._calls

    def take(self, call: int, deltas: Iterable[Delta]) -> list[Delta]:
        """Number the choices, keep their order, and filter."""
        if self._fan_out is not None:
            deltas = self._fan_out.take(call, deltas)
        return run(self._filters, deltas)

    def next(self) -> tuple[BackendCall, ...]:
        """None: one round is all."""
        return ()


def in_order(filters: Sequence[Filter], choices: int) -> tuple[Filter, ...]:
    """The filters of a whole answer, and behind them what keeps several choices in order."""
    return (*filters, InOrder(choices)) if choices > 1 else tuple(filters)


class FanOut:
    """Makes the answers of several calls the choices of one.

    Usage comes once, when every call's is known: each prompt counted once, and all completions.
    """

    def __init__(self, calls: int, calls_per_prompt: int, choices_per_call: int = 1) -> None:
        self._calls = calls
        self._usages: dict[int, Usage] = {}
        self._calls_per_prompt = calls_per_prompt
        self._choices_per_call = choices_per_call

    def take(self, call: int, deltas: Iterable[Delta]) -> list[Delta]:
        """Take deltas of one call as those of its choices."""
        first = call * self._choices_per_call
        out: list[Delta] = []
        for delta in deltas:
            match delta:
                case Usage():
                    self._usages[call] = delta
                    if len(self._usages) == self._calls:
                        out.append(self._merged())
                case Failed():
                    out.append(delta)
                case _:
                    out.append(msgspec.structs.replace(delta, choice=first + delta.choice))
        return out

    def _merged(self) -> Usage:
        usages = [self._usages[call] for call in range(self._calls)]
        step = self._calls_per_prompt
        prompts = [usages[first : first + step] for first in range(0, len(usages), step)]
        return Usage(
            prompt=sum(max(each.prompt for each in same) for same in prompts),
            completion=sum(each.completion for each in usages),
            cached=sum_known(_max_known(each.cached for each in same) for same in prompts),
            reasoning=sum_known(each.reasoning for each in usages),
            neurons=sum_known(each.neurons for each in usages),
            estimated=any(each.estimated for each in usages),
        )


def sum_known(values: Iterable[_Number | None]) -> _Number | None:
    """The sum of what is known, or None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], start=known[0]) if known else None


def _max_known(values: Iterable[int | None]) -> int | None:
    """The greatest of what is known, or None where nothing is."""
    return max((value for value in values if value is not None), default=None)
