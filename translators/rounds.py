"""Answers that may have to be asked for again: a tool that was not called, JSON that is not valid.

Each choice has a judge, which holds what it has not made up its mind about and may ask the backend once
more in place of the answer that came. What the client sees is one answer: its prompt counted once, all
completions, and nothing of an answer that was replaced. Where the further call breaks, the answer before
it stands: the client is better off with it than with an error. A judge may also find that what stands will
not do: the answer then fails, and its usage goes before the failure, for what was made has its price.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from translators.call import BackendCall
from translators.deltas import Delta, Failed, Finish, Reasoning, Usage
from translators.dialogue import FanOut, in_order, sum_known
from translators.errors import ApiError
from translators.filters import Filter, run


class Judge(Protocol):
    """Decides whether the answer to one choice will do. It sees neither `Usage` nor `Failed`."""

    def feed(self, delta: Delta) -> Iterable[Delta]:
        """Take the next delta and give what may go on at once; what is given is never taken back."""

    def again(self) -> BackendCall | None:
        """After a whole answer: what is to be asked in its place, or None."""

    def instead(self, error: ApiError) -> BackendCall | None:
        """After a first call that failed: what is to be asked in its place, or None."""

    def rest(self) -> Iterable[Delta]:
        """What is held of the answer that stands; or `Failed`, where no answer is better than this one."""


class Held:
    """What a judge holds: of the answer that is coming, and the one that stands if that breaks."""

    def __init__(self) -> None:
        self._coming: list[Delta] = []
        self._before: list[Delta] = []

    def add(self, delta: Delta) -> None:
        """Hold one more delta."""
        self._coming.append(delta)

    def take(self) -> list[Delta]:
        """Give out what is held of the coming answer."""
        out, self._coming = self._coming, []
        return out

    def turn(self) -> None:
        """Another answer is asked for; the one that came stands until it is whole."""
        self._before, self._coming = self._coming, []

    @property
    def coming(self) -> Sequence[Delta]:
        """The answer that is coming, as far as it is held."""
        return self._coming

    @property
    def standing(self) -> Sequence[Delta]:
        """The last whole answer; where none is, what there is of the first."""
        whole = any(isinstance(delta, Finish) for delta in self._coming)
        return self._coming if whole or not self._before else self._before


class Question(msgspec.Struct, frozen=True):
    """One choice: the call that asks for it, what judges the answer, and the filters of each of its calls."""

    call: BackendCall
    judge: Judge
    filters: Callable[[], Sequence[Filter]] = tuple


@dataclass(slots=True)
class _Choice:
    question: Question
    filters: Sequence[Filter]
    usages: list[Usage] = field(default_factory=list)
    again: BackendCall | None = None
    whole: bool = False  # whether the running call's answer has come to its end
    passed: bool = False  # whether something of it has gone to the client
    ended: bool = False


class Rounds:
    """A dialogue in which each choice may be asked for more than once.

    Args:
        questions: One per choice.
        filters: What the deltas of all choices go through in the end, as in `OneRound`.
        choices_per_prompt: How many consecutive choices share a prompt; it is counted once.
    """

    def __init__(
        self, questions: Sequence[Question], filters: Sequence[Filter] = (), choices_per_prompt: int = 1
    ) -> None:
        self._choices = [_Choice(question, question.filters()) for question in questions]
        self._running = list(self._choices)
        self._filters = in_order(filters, len(questions))
        self._fan_out = FanOut(len(questions), choices_per_prompt) if len(questions) > 1 else None

    @property
    def satisfied(self) -> bool:
        """Whether a filter needs nothing more."""
        return any(each.satisfied for each in self._filters)

    def first(self) -> tuple[BackendCall, ...]:
        """The first call of every choice."""
        return tuple(choice.question.call for choice in self._choices)

    def take(self, call: int, deltas: Iterable[Delta]) -> list[Delta]:
        """Let the choice's judge see the deltas; number and filter what it passes on."""
        choice = self._running[call]
        if choice.ended:
            return []
        out = [seen for delta in run(choice.filters, deltas) for seen in self._judged(choice, delta)]
        if self._fan_out is not None:
            if out and isinstance(out[-1], Failed):
                self._settle_waiting(self._fan_out)
            out = self._fan_out.take(self._choices.index(choice), out)
        return run(self._filters, out)

    def next(self) -> tuple[BackendCall, ...]:
        """The calls of the choices whose judges ask again."""
        self._running = [] if self.satisfied else [choice for choice in self._choices if choice.again]
        calls = tuple(choice.again for choice in self._running if choice.again)
        for choice in self._running:
            choice.again, choice.whole, choice.passed = None, False, False
            choice.filters = choice.question.filters()
        return calls

    def _judged(self, choice: _Choice, delta: Delta) -> Iterable[Delta]:
        match delta:
            case Usage():
                choice.usages.append(delta)
                if choice.whole and not self.satisfied:
                    choice.again = choice.question.judge.again()
                return () if choice.again else self._settle(choice)
            case Failed() if choice.passed:
                return (delta,)
            case Failed() if choice.usages:
                return self._settle(choice, delta)
            case Failed():
                choice.again = choice.question.judge.instead(delta.error)
                return () if choice.again else (delta,)
            case _:
                choice.whole = choice.whole or isinstance(delta, Finish)
                out = tuple(choice.question.judge.feed(delta))
                choice.passed = choice.passed or any(not isinstance(each, Reasoning) for each in out)
                return out

    def _settle(self, choice: _Choice, broken: Failed | None = None) -> list[Delta]:
        """End a choice with what stands; where nothing does because a call broke, that is the reason."""
        choice.ended = True
        rest = list(choice.question.judge.rest())
        failed = [rest.pop()] if rest and isinstance(rest[-1], Failed) else []
        return [*rest, _over_rounds(choice.usages), *([broken] if failed and broken else failed)]

    def _settle_waiting(self, fan_out: FanOut) -> None:
        """Count what was made for the choices that wait for a further round, which will not come."""
        for number, choice in enumerate(self._choices):
            if choice.again is not None:
                choice.again, choice.ended = None, True
                fan_out.take(number, [_over_rounds(choice.usages) if choice.usages else Usage(0, 0)])


def _over_rounds(usages: Sequence[Usage]) -> Usage:
    """The usage of one choice: the prompt as the client sent it, and all that was made for it."""
    first = usages[0]
    if len(usages) == 1:
        return first
    return Usage(
        prompt=first.prompt,
        completion=sum(each.completion for each in usages),
        cached=first.cached,
        reasoning=sum_known(each.reasoning for each in usages),
        neurons=sum_known(each.neurons for each in usages),
        estimated=any(each.estimated for each in usages),
    )
