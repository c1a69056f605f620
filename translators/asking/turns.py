"""A dialogue as chat templates want it.

Several of them know one turn of the system, which has to be the first (Qwen's say "System message must be at
the beginning"). Clients have more: agents keep their rules and the user's apart, and send a developer's turn
behind the system's.
"""

from itertools import takewhile
from typing import Final

import msgspec

from translators.chat import ChatRequest, Text, Turn
from translators.report import Fate, Report

_BETWEEN: Final = "\n\n"
_INSTRUCTORS: Final = ("system", "developer")


def with_one_system(chat: ChatRequest, report: Report, longest: int | None = None) -> ChatRequest:
    """The request with the turns of system and developer that it begins with as one.

    Args:
        chat: What the client asked for.
        report: Told of it.
        longest: The most UTF-16 units that a turn may have; None where there is no limit.
    """
    if len(chat.turns) < 2 or chat.turns[1].role not in _INSTRUCTORS:  # nearly all requests
        return chat
    leading = list(takewhile(instructs, chat.turns))
    if not leading[1:]:
        return chat
    texts = ("".join(part.text for part in turn.parts if isinstance(part, Text)) for turn in leading)
    words = _BETWEEN.join(filter(None, texts))
    if longest is not None and len(words.encode("utf-16-le", "surrogatepass")) > longest * 2:
        return chat
    report.note("messages", Fate.TRANSFORMED, "the system's turns at the beginning become one")
    first = msgspec.structs.replace(leading[0], role="system", parts=(Text(words),))
    return msgspec.structs.replace(chat, turns=(first, *chat.turns[len(leading) :]))


def instructs(turn: Turn) -> bool:
    """Whether a turn is the system's or the developer's, and holds nothing but text."""
    return turn.role in _INSTRUCTORS and all(isinstance(part, Text) for part in turn.parts)
