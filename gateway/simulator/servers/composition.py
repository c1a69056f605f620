"""Composes the answers of a server: the same for one conversation, wherever and in how many parts.

The whole text follows from the conversation alone, its seed and that of the server. So a server that is given
the beginning of an answer goes on with the rest of it, whichever server began.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from gateway.simulator import arguments, instructions, speech, thinking
from gateway.simulator.clues import Clues
from gateway.simulator.conversation import Conversation
from gateway.simulator.model import Generation, count_prompt
from gateway.simulator.servers.request import Question
from gateway.simulator.vocabulary import Vocabulary

_WORDINGS: Final = 6  # after so many variants the same wordings come again


class OverWindowError(Exception):
    """Prompt and answer together do not fit."""

    def __init__(self, prompt: int, answer: int) -> None:
        super().__init__(f"{prompt} and {answer} tokens")
        self.prompt, self.answer = prompt, answer


def compose(
    question: Question, vocabulary: Vocabulary, seed: int, window: int, faults: frozenset[str]
) -> tuple[Generation, ...]:
    """Compose all choices of all prompts."""
    return tuple(
        generation
        for asked in question.asked
        for generation in _choices(
            _fitted(question, asked, vocabulary, window), question, vocabulary, seed, faults
        )
    )


def _fitted(question: Question, asked: Conversation, vocabulary: Vocabulary, window: int) -> Conversation:
    """Give the answer the room that the prompt leaves, where the request does not say."""
    prompt = count_prompt(asked, vocabulary)
    answer = asked.max_tokens if question.has_limit else 1
    if prompt + answer > window:
        raise OverWindowError(prompt, answer if question.has_limit else 0)
    return asked if question.has_limit else replace(asked, max_tokens=window - prompt)


def _choices(
    asked: Conversation, question: Question, vocabulary: Vocabulary, seed: int, faults: frozenset[str]
) -> Iterator[Generation]:
    if "ignored-format" in faults:
        asked = replace(asked, schema=None)
    first = _variant(asked, question.seed, seed) if asked.temperature > 0 else 0
    if asked.written:
        asked = replace(asked, choice="none", forced=None)
    for variant in range(first, first + asked.choices):
        thinks = iter(()) if asked.written else thinking.thoughts(asked)
        yield Generation(asked, vocabulary, _text(asked, variant), thinks, faults)


def _variant(asked: Conversation, *seeds: int) -> int:
    said = "\0".join(f"{turn.role}\0{turn.text}" for turn in asked.turns)
    salted = f"{seeds}\0{said}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(salted, digest_size=1).digest()[0]


def _text(asked: Conversation, variant: int) -> Iterable[str]:
    """Say the whole answer; one with a beginning that is nobody's goes on with an answer of its own."""
    if not asked.written:
        return _said(asked, variant)
    for other in range(variant, variant + _WORDINGS):
        if _begins(_said(asked, other), asked.written):
            return _said(asked, other)
    return itertools.chain([asked.written], _said(asked, variant))


def _begins(pieces: Iterable[str], written: str) -> bool:
    text = ""
    for piece in pieces:
        text += piece
        if len(text) >= len(written):
            break
    return text.startswith(written)


def _said(asked: Conversation, variant: int) -> Iterable[str]:
    spoken = speech.speak(asked, variant)
    schema = instructions.schema_in(asked) if asked.schema is None else asked.schema
    if schema is None:
        return spoken
    if schema:
        value = arguments.invent_value(schema, Clues(asked.asked))
    else:
        value = {"answer": "".join(itertools.islice(spoken, asked.max_tokens))}
    return [json.dumps(value, ensure_ascii=False)]
