"""Decides which tools a request asks for, by the words it shares with their names and descriptions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.simulator import arguments
from gateway.simulator.clues import Clues
from gateway.simulator.conversation import Conversation, Tool
from gateway.simulator.words import listed, stem, words_of

# Where one request may end and the next begin: "what is 2+2 and how is the weather in Rome?"
_SEAM = re.compile(r"[?!;\n]+|\.(?=\s|$)|,?\s+(?:and|then|also)\s+(?:then\s+|also\s+)?|,\s+")
# Verbs so common in names that alone they ask for nothing, and words that say nothing at all.
_WEAK = listed(
    """add book call check create delete do fetch find get list look lookup make new open query read run
    send set show update use write"""
)
_EMPTY = listed(
    """about and any are based can current data each for from function given has have info information
    into number return returns that the this tool use used user value what when which will with you your"""
)
_BY_NAME, _BY_STRONG_WORD, _BY_WEAK_WORD, _BY_DESCRIPTION = 10, 3, 1, 1
_CLEARLY = 3


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes."""

    name: str
    arguments: dict[str, Any]


def calls(conversation: Conversation) -> tuple[ToolCall, ...]:
    """Make the calls that the last user message asks for, or that `tool_choice` wants."""
    if not conversation.tools or conversation.choice == "none":
        return ()
    asked = next((turn.text for turn in reversed(conversation.turns) if turn.role == "user"), "")
    if conversation.forced:
        return tuple(_calls_to(conversation.forced, asked))
    if conversation.choice == "auto" and conversation.turns and conversation.turns[-1].role == "tool":
        return ()
    made = [call for tool, clause in _assign(asked, conversation.tools) for call in _calls_to(tool, clause)]
    if not made and conversation.choice == "required":
        made = list(_calls_to(max(conversation.tools, key=lambda tool: _score(tool, asked)), asked))
    return tuple(call for at, call in enumerate(made) if call not in made[:at])


def _assign(asked: str, tools: tuple[Tool, ...]) -> Iterator[tuple[Tool, str]]:
    """Give each part of the message to the tool it asks for; one that asks for none joins its neighbour."""
    parts: list[tuple[Tool | None, int, int]] = []
    for start, end in _spans(asked):
        tool = _best(tools, asked[start:end])
        last = parts[-1] if parts else None
        if last and (tool is None or last[0] is None):
            parts[-1] = (last[0] or tool, last[1], end)
        else:
            parts.append((tool, start, end))
    for tool, start, end in parts:
        if tool:
            yield tool, asked[start:end]
    if all(tool is None for tool, _, _ in parts) and (tool := _best(tools, asked)):
        yield tool, asked


def _spans(asked: str) -> Iterator[tuple[int, int]]:
    start = 0
    for seam in _SEAM.finditer(asked):
        if asked[start : seam.start()].strip():
            yield start, seam.start()
            start = seam.end()
    if asked[start:].strip():
        yield start, len(asked)


def _best(tools: tuple[Tool, ...], clause: str) -> Tool | None:
    """Choose the tool that the clause clearly asks for; the first of equals."""
    best = max(tools, key=lambda tool: _score(tool, clause))
    return best if _score(best, clause) >= _CLEARLY else None


def _score(tool: Tool, clause: str) -> int:
    """Weigh what a clause shares with a tool."""
    spoken = {stem(word) for word in re.findall(r"[^\W_]+", clause.lower())}
    named = words_of(tool.name)
    strong = [word for word in named if word not in _WEAK | _EMPTY] or named
    score = sum(_BY_STRONG_WORD for word in strong if stem(word) in spoken)
    score += sum(_BY_WEAK_WORD for word in named if word not in strong and stem(word) in spoken)
    described = {
        stem(word) for word in re.findall(r"[a-z]{3,}", tool.description.lower()) if word not in _EMPTY
    }
    score += _BY_DESCRIPTION * len((described - {stem(word) for word in named}) & spoken)
    return score + (_BY_NAME if Clues(clause).mentions(tool.name) else 0)


def _calls_to(tool: Tool, clause: str) -> Iterator[ToolCall]:
    """Call a tool once, or once for each name of a list where one text is all that it takes."""
    names = list(Clues(clause).names())
    first = ToolCall(tool.name, arguments.invent(tool.parameters, Clues(clause)))
    yield first
    texts = [key for key, value in first.arguments.items() if value in names]
    if len(texts) == 1 and len(names) > 1 and re.search(rf"{re.escape(names[-2])},? (?:and|or) ", clause):
        for name in names:
            if name != first.arguments[texts[0]]:
                yield ToolCall(tool.name, {**first.arguments, texts[0]: name})
