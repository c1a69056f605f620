"""Turns thinking that stands in the text, between `<think>` and `</think>`, into reasoning.

So R1 and QwQ answer. The block is the first thing of an answer; the same words later are just words. Text
is held back only while it may be a tag, and white space around the block is no part of anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from translators.deltas import Delta, Failed, Reasoning, Text, Usage

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


@dataclass(slots=True)
class _Choice:
    """Where one choice stands: before the block, in it, behind it (white space to drop), or in the answer."""

    state: Literal["before", "thinking", "behind", "answer"] = "before"
    held: str = ""


class Think:
    """Splits thinking from text, each choice by itself."""

    satisfied = False

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on text as what it is; what is held comes before anything else of its choice."""
        match delta:
            case Text():
                choice = self._choices.setdefault(delta.choice, _Choice())
                if choice.state == "answer":
                    yield delta
                    return
                text, choice.held = choice.held + delta.text, ""
                yield from self._split(delta.choice, choice, text)
            case Usage():
                yield delta
            case Failed():
                for number in sorted(self._choices):
                    yield from self._release(number)
                yield delta
            case _:
                yield from self._release(delta.choice)
                yield delta

    def _split(self, number: int, choice: _Choice, text: str) -> Iterator[Delta]:
        match choice.state:
            case "before":
                start = text.lstrip()
                if start.startswith(_OPEN):
                    choice.state = "thinking"
                    yield from self._split(number, choice, start.removeprefix(_OPEN))
                elif _OPEN.startswith(start):
                    choice.held = text
                else:
                    choice.state = "answer"
                    yield Text(number, text)
            case "thinking":
                thought, close, rest = text.partition(_CLOSE)
                if close:
                    choice.state = "behind"
                    if thought:
                        yield Reasoning(number, thought)
                    yield from self._split(number, choice, rest)
                    return
                free = len(text) - _beginning(text)
                choice.held = text[free:]
                if free:
                    yield Reasoning(number, text[:free])
            case _:
                answer = text.lstrip()
                if answer:
                    choice.state = "answer"
                    yield Text(number, answer)

    def _release(self, number: int) -> Iterator[Delta]:
        """Give out what was held for a tag that did not come."""
        choice = self._choices.get(number)
        if choice is not None and choice.held:
            text, choice.held = choice.held, ""
            yield Reasoning(number, text) if choice.state == "thinking" else Text(number, text)


def _beginning(text: str) -> int:
    """How many characters at the end may begin the closing tag."""
    for size in range(min(len(text), len(_CLOSE) - 1), 0, -1):
        if _CLOSE.startswith(text[-size:]):
            return size
    return 0
