"""A simulated model at work: from a conversation to calls or tokens, with exact counts.

Everything derives from the request and the seed. An answer is produced token by token and only as far as
somebody reads it; streamed and whole answers to one request are the same.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.simulator import tools
from gateway.simulator.conversation import Conversation
from gateway.simulator.tools import ToolCall
from gateway.simulator.vocabulary import Vocabulary

# Tokens that the chat template puts around each message and in front of the answer (Llama 3: header, role,
# header end, blank line, end of turn).
_PER_TURN, _PER_ANSWER = 5, 4
# How a model writes a call: Llama 3 in a form of its own, which nobody sees, others where it leaks.
_SPOKEN, _LEAKED = '{"name": %s, "parameters": %s}', '{"name": %s, "arguments": %s}'
_TAGGED = '<|python_tag|>{"name": %s, "parameters": %s}'
_PER_IMAGE = 576  # of a picture; what the live engine counts is not known


def count_prompt(conversation: Conversation, vocabulary: Vocabulary) -> int:
    """Count what the model reads."""
    tokens = vocabulary.count(turn.text for turn in conversation.turns) + vocabulary.count(
        (*conversation.overhead, conversation.written)
    )
    tokens += _PER_IMAGE if conversation.image is not None else 0
    return tokens + (1 if conversation.raw else _PER_TURN * len(conversation.turns) + _PER_ANSWER)


class Generation:
    """One answer while it is produced: read its thoughts, then iterate for its text, then read its counts."""

    def __init__(
        self,
        conversation: Conversation,
        vocabulary: Vocabulary,
        says: Iterable[str],
        thinks: Iterable[str] = (),
        faults: frozenset[str] = frozenset(),
    ) -> None:
        self.conversation = conversation
        self._vocabulary = vocabulary
        self._says = says
        self._is_silent = "null-content" in faults
        self._is_stopped = False
        self.prompt_tokens = count_prompt(conversation, vocabulary)
        self.completion_tokens = 0
        thought = (token for piece in thinks for token in vocabulary.tokens(piece))
        self._thoughts = list(itertools.islice(thought, conversation.max_tokens))
        self.reasoning_tokens = len(self._thoughts)
        self.calls = () if self._is_silent else tools.calls(conversation)
        form = _form(faults) or conversation.call_form
        self._call_text = "".join(_written(call, form or _SPOKEN, faults) for call in self.calls)
        room = conversation.max_tokens - self.reasoning_tokens
        if form or vocabulary.count([self._call_text]) > room:
            self.calls = ()  # a call cut short cannot be read back and stays text (inferred)

    @property
    def finish(self) -> str:
        """Say why a finished answer ended."""
        if self.calls:
            return "tool_calls"
        is_full = self.completion_tokens >= self.conversation.max_tokens and not self._is_stopped
        return "length" if is_full or self._is_silent else "stop"

    def thoughts(self) -> Iterator[str]:
        """Think before the text, token by token; thoughts count and use up what the answer may cost."""
        for token in self._thoughts:
            self.completion_tokens += 1
            yield token

    def __iter__(self) -> Iterator[str]:
        """Produce the text, about one token at a time; a call has none, but its tokens are counted."""
        if self.calls:
            self.completion_tokens += self._vocabulary.count([self._call_text])
        elif not self._is_silent:
            yield from self._until_stop(self._tokens())

    def _tokens(self) -> Iterator[str]:
        before = len(self.conversation.written)
        for piece in [self._call_text] if self._call_text else self._says:
            for token in self._vocabulary.tokens(piece):
                if before >= len(token):
                    before -= len(token)
                    continue
                if self.completion_tokens >= self.conversation.max_tokens:
                    return
                self.completion_tokens += 1
                yield token[before:]
                before = 0

    def _until_stop(self, tokens: Iterator[str]) -> Iterator[str]:
        """End the text before the first stop sequence; holds back what may still become one."""
        stops = self.conversation.stops
        if not stops:
            yield from tokens
            return
        holdback = max(map(len, stops)) - 1
        held = ""
        for token in tokens:
            held += token
            found = [at for stop in stops if (at := held.find(stop)) >= 0]
            if found:
                self._is_stopped = True
                yield from filter(None, [held[: min(found)]])
                return
            if len(held) > holdback:
                yield held[: len(held) - holdback]
                held = held[len(held) - holdback :]
        yield from filter(None, [held])


def _form(faults: frozenset[str]) -> str | None:
    """How a call leaks into the text, where it does."""
    if "leaked-tag" in faults:
        return _TAGGED
    return _LEAKED if "leaked-call" in faults else None


def _written(call: ToolCall, form: str, faults: frozenset[str]) -> str:
    stated = call.arguments
    if "slipped-arguments" in faults:
        stated = {name: _slipped(value) for name, value in stated.items()}
    name, arguments = (json.dumps(part, ensure_ascii=False) for part in (call.name, stated))
    return form % (name, f"{arguments[:-1]},}}" if "broken-arguments" in faults else arguments)


def _slipped(value: Any) -> Any:
    """Make a string of what ought to be something else."""
    return value if isinstance(value, str) else json.dumps(value)
