"""The dialogue that puts a request's questions: of several rounds where answers are judged, else of one."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from translators.asking.answer_filters import Manner, filters_of_answer, filters_of_call
from translators.call import BackendCall, Stamp
from translators.chat import ChatRequest
from translators.dialogue import Dialogue, OneRound
from translators.filters import Filter
from translators.rounds import Judge, Question, Rounds


def dialogue_of(
    chat: ChatRequest,
    manner: Manner,
    stamp: Stamp,
    questions: Sequence[tuple[BackendCall, Judge | None]],
    choices_per_call: int = 1,
) -> Dialogue:
    """The dialogue of a request.

    Args:
        chat: What the client asked for.
        manner: How the model answers.
        stamp: Whence the ids of its tool calls come.
        questions: For each choice its call, and who judges the answer; None where every answer
            will do, and then for all.
        choices_per_call: How many choices each call gives, where none is judged.
    """
    filters = filters_of_answer(chat, len(questions) * choices_per_call)
    calls = [call for call, judge in questions if judge is None]
    if calls:
        filters = filters_of_call(chat, manner, stamp) + filters
        return OneRound(calls, filters, chat.choices // choices_per_call, choices_per_call)
    filters_of = partial(filters_of_call, chat, manner, stamp)
    return Rounds(_judged(questions, filters_of), filters, chat.choices)


def _judged(
    questions: Iterable[tuple[BackendCall, Judge | None]], filters_of: Callable[[int], tuple[Filter, ...]]
) -> list[Question]:
    return [
        Question(call, judge, partial(filters_of, choice))
        for choice, (call, judge) in enumerate(questions)
        if judge is not None
    ]
