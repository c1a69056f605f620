"""The dialogue that puts a request's questions: of several rounds where answers are judged, else of one."""

from collections.abc import Sequence
from functools import partial

from translators.asking.answer_filters import Manner, filters_of_answer, filters_of_call
from translators.call import BackendCall, Stamp
from translators.chat import ChatRequest
from translators.dialogue import Dialogue, OneRound
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
        questions: For each choice its call, and who judges the answer; None where every answer will do.
        choices_per_call: How many choices each call gives, where none is judged.
    """
    judged = [
        Question(call, judge, partial(filters_of_call, chat, manner, stamp, choice))
        for choice, (call, judge) in enumerate(questions)
        if judge is not None
    ]
    filters = filters_of_answer(chat, len(questions) * choices_per_call)
    if judged:
        return Rounds(judged, filters, chat.choices)
    calls = [call for call, _judge in questions]
    filters = filters_of_call(chat, manner, stamp) + filters
    return OneRound(calls, filters, chat.choices // choices_per_call, choices_per_call)
