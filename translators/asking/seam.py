"""Where an answer has broken off and another target goes on with it.

Only plain text is gone on with, and only where that is exact: what has been said is given to the other target
as the beginning of the assistant's turn, and what it may still say is what was asked for less what has been
said, so that has to be known in tokens. Calls, JSON, thinking and log probabilities are never continued.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from translators.asking.constraints import is_constrained
from translators.chat import ChatRequest, Text, Turn
from translators.deltas import Delta, Failed, Finish, Usage
from translators.deltas import Text as Said
from translators.tools import offered_tools

_THOUGHT = "<think>"


def can_be_continued(chat: ChatRequest) -> bool:
    """Whether an answer to this request could be gone on with, if it is text."""
    return (
        chat.stream
        and chat.choices == 1
        and not chat.prompts
        and not offered_tools(chat)
        and not is_constrained(chat)
        and not chat.parameters.get("logprobs")
    )


class Seam:
    """What one answer has said so far, over all who have told parts of it.

    Attributes:
        failure: How the part broke off that was told last; None while it goes on.
    """

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat
        self._said: list[str] = []
        self._is_plain = True
        self._before: Usage | None = None  # of the parts that broke off
        self.failure: Failed | None = None

    def take(self, batch: Sequence[Delta], *, may_break: bool) -> list[Delta]:
        """What of a part's deltas goes on: without the failure that another target is to make good.

        Args:
            batch: The deltas.
            may_break: Whether something of the answer is with the client, so that it cannot begin anew.
        """
        out: list[Delta] = []
        for delta in batch:
            match delta:
                case Said():
                    self._said.append(delta.text)
                    self._is_plain = self._is_plain and delta.logprobs is None
                case Failed() if may_break and self._is_plain and self._text:
                    self.failure = delta
                    return out
                case Finish() | Failed() | Usage():
                    pass
                case _:
                    self._is_plain = False
            out.append(self._whole(delta) if isinstance(delta, Usage) else delta)
        return out

    def ending(self, usage: Usage) -> list[Delta]:
        """What ends the answer where nothing is left to be said: it broke off behind the last token of all.

        Args:
            usage: Of the part that broke off.
        """
        before, limit = self._whole(usage), self._chat.max_tokens
        if limit is None or before.estimated or before.completion < limit:
            return []
        self.failure = None
        return [Finish(0, "length"), usage]

    def rest(self, usage: Usage) -> ChatRequest | None:
        """The request for the rest, where a part has used so much; None where nobody can ask for it exactly.

        Args:
            usage: Of the part that broke off, as reported or counted.
        """
        before = self._whole(usage)
        limit = self._chat.max_tokens
        if limit is not None:
            if before.estimated:
                return None
            limit -= before.completion
        self._before, self.failure = before, None
        beginning = Turn("assistant", (Text(self._text),))
        return replace(self._chat, turns=(*self._chat.turns, beginning), max_tokens=limit, continues=True)

    @property
    def _text(self) -> str:
        text = "".join(self._said)
        return "" if text.lstrip().startswith(_THOUGHT) else text

    def _whole(self, usage: Usage) -> Usage:
        """The usage of all parts: the prompt once, and all that was said."""
        before = self._before
        if before is None:
            return usage
        return replace(
            usage,
            prompt=before.prompt,
            cached=before.cached,
            completion=before.completion + usage.completion,
            estimated=before.estimated or usage.estimated,
        )
