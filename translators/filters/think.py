"""Turns thinking that stands in the text, between `<think>` and `</think>`, into reasoning.

So R1 and QwQ answer. The block is the first thing of an answer; the same words later are just words. Text
is held back only while it may be a tag, and white space around the block is no part of anything.

The chat templates of models that always think open the block in the prompt, so that answers may have its
end alone. Where such a model does not begin with the tag, all is held until it is clear what it was: thinking
where the closing tag comes, or where the answer is cut before; an answer where neither happens. So a call
that is only thought of is never made. Where the server has split off the thinking itself, all text is answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from translators.deltas import Delta, Failed, Finish, Reasoning, Text, Usage
from translators.filters.log_probabilities import LogProbabilities

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


@dataclass(slots=True)
class _Choice:
    """Where one choice stands.

    Before the block, in it, behind it (white space to drop), in the answer; or, unopened, where only the end
    will show which of them it was.
    """

    state: Literal["before", "unopened", "thinking", "behind", "answer"] = "before"
    held: str = ""
    pieces: list[str] = field(default_factory=list)  # what is held besides, and need not be looked at again
    is_blank: bool = True  # whether nothing has been thought yet but white space
    log_probabilities: LogProbabilities = field(default_factory=LogProbabilities)


class Think:
    """Splits thinking from text, each choice by itself.

    Args:
        always: Whether the model's text begins with thinking, tag or no tag.
    """

    satisfied = False

    def __init__(self, *, always: bool = False) -> None:
        self._always = always
        self._choices: dict[int, _Choice] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on text as what it is; what is held comes before anything else of its choice."""
        match delta:
            case Text():
                choice = self._choices.setdefault(delta.choice, _Choice())
                if choice.state == "before" and self._is_plain(choice, delta.text):
                    choice.state = "answer"
                if choice.state == "answer":
                    yield delta
                    return
                text, choice.held = choice.held + delta.text, ""
                choice.log_probabilities.come(delta)
                yield from self._split(delta.choice, choice, text)
            case Usage():
                yield delta
            case Reasoning():
                yield from self._release(delta.choice)
                self._choices[delta.choice] = _Choice("answer")
                yield delta
            case Failed():
                for number in sorted(self._choices):
                    yield from self._release(number)
                yield delta
            case _:
                yield from self._release(
                    delta.choice, cut=isinstance(delta, Finish) and delta.reason == "length"
                )
                yield delta

    def _is_plain(self, choice: _Choice, text: str) -> bool:
        """Whether the answer begins here, and begins with no block: then it stays as it came."""
        start = text.lstrip()
        is_first = not (self._always or choice.held or choice.pieces)
        return is_first and start != "" and not start.startswith(_OPEN) and not _OPEN.startswith(start)

    def _split(self, number: int, choice: _Choice, text: str) -> Iterator[Delta]:
        match choice.state:
            case "before":
                yield from self._begin(number, choice, text)
            case "unopened":
                yield from self._wait(number, choice, text)
            case "thinking":
                yield from self._think(number, choice, text)
            case _:
                answer = text.lstrip()
                if answer:
                    choice.state = "answer"
                    choice.log_probabilities.leave_out(len(answer))
                    yield from choice.log_probabilities.give(number, answer)

    def _begin(self, number: int, choice: _Choice, text: str) -> Iterator[Delta]:
        start = text.lstrip()
        if not start:
            choice.pieces.append(text)
        elif start.startswith(_OPEN):
            choice.pieces.clear()
            choice.state = "thinking"
            yield from self._think(number, choice, start.removeprefix(_OPEN))
        elif _OPEN.startswith(start):
            choice.held = text
        elif self._always:
            choice.state = "unopened"
            yield from self._wait(number, choice, text)
        else:
            choice.state = "answer"
            yield from choice.log_probabilities.give(number, "".join((*choice.pieces, text)))
            choice.pieces.clear()

    def _wait(self, number: int, choice: _Choice, text: str) -> Iterator[Delta]:
        if _CLOSE in text:
            whole = "".join((*choice.pieces, text))
            choice.state, choice.pieces = "thinking", []
            yield from self._think(number, choice, whole.lstrip())
            return
        free = len(text) - _beginning(text)
        choice.held = text[free:]
        choice.pieces.append(text[:free])

    def _think(self, number: int, choice: _Choice, text: str) -> Iterator[Delta]:
        thought, close, rest = text.partition(_CLOSE)
        if close:
            choice.state = "behind"
            yield from self._thought(number, choice, thought)
            choice.pieces.clear()
            yield from self._split(number, choice, rest)
            return
        free = len(text) - _beginning(text)
        choice.held = text[free:]
        yield from self._thought(number, choice, text[:free])

    def _thought(self, number: int, choice: _Choice, text: str) -> Iterator[Delta]:
        """A piece of thinking; white space alone is none: Qwen3 writes it where it is told not to think."""
        if choice.is_blank and not text.strip():
            choice.pieces.append(text)
        elif text:
            choice.is_blank = False
            yield Reasoning(number, "".join((*choice.pieces, text)))
            choice.pieces.clear()

    def _release(self, number: int, *, cut: bool = False) -> Iterator[Delta]:
        """Give out what was held for a tag that did not come."""
        choice = self._choices.get(number)
        if choice is None:
            return
        text, choice.held, choice.pieces = "".join((*choice.pieces, choice.held)), "", []
        if choice.state == "unopened":
            choice.state = "thinking" if cut else "answer"
        if choice.state == "thinking":
            yield from self._thought(number, choice, text)
            choice.pieces.clear()
        elif text:
            yield from choice.log_probabilities.give(number, text)


def _beginning(text: str) -> int:
    """How many characters at the end may begin the closing tag."""
    for size in range(min(len(text), len(_CLOSE) - 1), 0, -1):
        if _CLOSE.startswith(text[-size:]):
            return size
    return 0
