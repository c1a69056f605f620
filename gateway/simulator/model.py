"""A simulated model at work: from a conversation to calls or tokens, with exact counts.

Everything derives from the request and the seed. An answer is produced token by token and only as far as
somebody reads it; streamed and whole answers to one request are the same.
"""

import json
from collections.abc import Iterator

from gateway.simulator import speech, tools
from gateway.simulator.conversation import Conversation
from gateway.simulator.tools import ToolCall
from gateway.simulator.vocabulary import Vocabulary

# Tokens that the chat template puts around each message and in front of the answer (Llama 3: header, role,
# header end, blank line, end of turn).
_PER_TURN, _PER_ANSWER = 5, 4
_PER_IMAGE = 576  # of a picture; what the live engine counts is not known


def count_prompt(conversation: Conversation, vocabulary: Vocabulary) -> int:
    """Count what the model reads."""
    tokens = vocabulary.count(turn.text for turn in conversation.turns) + vocabulary.count(
        conversation.overhead
    )
    tokens += _PER_IMAGE if conversation.image is not None else 0
    return tokens + (1 if conversation.raw else _PER_TURN * len(conversation.turns) + _PER_ANSWER)


class Generation:
    """One answer while it is produced: iterate for its text, then read its counts."""

    def __init__(self, conversation: Conversation, vocabulary: Vocabulary, variant: int) -> None:
        self._conversation = conversation
        self._vocabulary = vocabulary
        self._variant = variant
        self.prompt_tokens = count_prompt(conversation, vocabulary)
        self.completion_tokens = 0
        self.calls = tools.calls(conversation)
        self._call_text = "".join(_written(call) for call in self.calls)
        if self.calls and vocabulary.count([self._call_text]) > conversation.max_tokens:
            self.calls = ()  # a call cut short cannot be read back and stays text (inferred)

    def __iter__(self) -> Iterator[str]:
        """Produce the text, about one token at a time; a call has none, but its tokens are counted."""
        if self.calls:
            self.completion_tokens = self._vocabulary.count([self._call_text])
            return
        yield from _until_stop(self._tokens(), self._conversation.stops)

    def _tokens(self) -> Iterator[str]:
        pieces = [self._call_text] if self._call_text else speech.speak(self._conversation, self._variant)
        for piece in pieces:
            for token in self._vocabulary.tokens(piece):
                if self.completion_tokens >= self._conversation.max_tokens:
                    return
                self.completion_tokens += 1
                yield token


def _written(call: ToolCall) -> str:
    """Write a call as the model does (Llama 3: a JSON object with `name` and `parameters`)."""
    return json.dumps({"name": call.name, "parameters": call.arguments}, ensure_ascii=False)


def _until_stop(tokens: Iterator[str], stops: tuple[str, ...]) -> Iterator[str]:
    """End the text before the first stop sequence; holds back what may still become one."""
    if not stops:
        yield from tokens
        return
    holdback = max(map(len, stops)) - 1
    held = ""
    for token in tokens:
        held += token
        found = [at for stop in stops if (at := held.find(stop)) >= 0]
        if found:
            yield from filter(None, [held[: min(found)]])
            return
        if len(held) > holdback:
            yield held[: len(held) - holdback]
            held = held[len(held) - holdback :]
    yield from filter(None, [held])
