"""Decides which tools a request asks for, by the words it shares with their names and descriptions."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.simulator import arguments
from gateway.simulator.clues import Clues
from gateway.simulator.conversation import Conversation, Tool
from gateway.simulator.words import listed, stem, words_of

# Where one request may end and the next begin: "what is 2+2 and how is the weather in Rome?"
_SEAM = re.compile(r"[?!;\n]+|\.(?=\s|$)|,?\s+(?:and|then|also)\s+(?:then\s+|also\s+)?|,\s+")
# What is asked stands at the ends of a long message; the middle is material.
_HEAD, _TAIL = 1000, 3000
# Verbs so common in names that alone they ask for nothing, and words that say nothing at all.
_WEAK = listed(
    """add book call check create delete do fetch find get list look lookup make new open query read run
    send set show update use write"""
)
_EMPTY = listed(
    """about and any are based can current data each for from function given has have info information
    into number return returns that the this tool use used user value what when which will with you your"""
)
_BY_NAME, _BY_STRONG_WORD, _BY_WEAK_WORD, _BY_DESCRIPTION, _BY_NUMBERS = 10, 3, 1, 1, 2
_CLEARLY = 3
_LONGEST_JOIN = 3  # parts that together may ask for what none of them asks for alone: "add 2" and "3"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes."""

    name: str
    arguments: dict[str, Any]


def calls(conversation: Conversation) -> tuple[ToolCall, ...]:
    """Make the calls that the last user message asks for, or that `tool_choice` wants."""
    if not conversation.tools or conversation.choice == "none":
        return ()
    asked = conversation.asked
    if len(asked) > _HEAD + _TAIL:
        asked = f"{asked[:_HEAD]}\n{asked[-_TAIL:]}"
    if conversation.forced:
        return tuple(_calls_to(conversation.forced, asked))
    if conversation.choice == "auto" and conversation.turns and conversation.turns[-1].role == "tool":
        return ()
    profiles = [_Profile.of(tool) for tool in conversation.tools]
    made = [call for tool, clause in _assign(asked, profiles) for call in _calls_to(tool, clause)]
    if not made and conversation.choice == "required":
        clause = _Clause.of(asked)
        made = list(_calls_to(max(profiles, key=lambda profile: profile.score(clause)).tool, asked))
    return tuple(call for at, call in enumerate(made) if call not in made[:at])


@dataclass(frozen=True, slots=True)
class _Clause:
    """A part of a message, as words."""

    stems: frozenset[str]
    spoken: str
    numbers: int

    @classmethod
    def of(cls, text: str) -> "_Clause":
        spoken = text.lower()
        stems = frozenset(stem(word) for word in re.findall(r"[^\W_]+", spoken))
        return cls(stems, spoken, len(re.findall(r"\d+", spoken)))


@dataclass(frozen=True, slots=True)
class _Profile:
    """What a tool is recognised by."""

    tool: Tool
    strong: frozenset[str]
    weak: frozenset[str]
    described: frozenset[str]
    numbers: int  # required arguments that are numbers
    named: re.Pattern[str]

    @classmethod
    def of(cls, tool: Tool) -> "_Profile":
        words = words_of(tool.name)
        strong = [word for word in words if word not in _WEAK | _EMPTY] or words
        weak = frozenset(map(stem, words)) - frozenset(map(stem, strong))
        described = {
            word for word in re.findall(r"[a-z]{3,}", tool.description.lower()) if word not in _EMPTY
        }
        return cls(
            tool,
            frozenset(map(stem, strong)),
            weak,
            frozenset(map(stem, described)) - frozenset(map(stem, words)),
            len(_required_numbers(tool)),
            re.compile(rf"(?<!\w){re.escape(tool.name.lower())}(?!\w)"),
        )

    def score(self, clause: _Clause) -> int:
        """Weigh what a clause shares with the tool."""
        score = _BY_STRONG_WORD * len(self.strong & clause.stems)
        score += _BY_WEAK_WORD * len(self.weak & clause.stems)
        score += _BY_DESCRIPTION * len(self.described & clause.stems)
        if score and self.numbers and clause.numbers >= self.numbers:
            score += _BY_NUMBERS
        return score + (_BY_NAME if self.named.search(clause.spoken) else 0)


def _required_numbers(tool: Tool) -> list[str]:
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return []
    stated = {key: properties[key] for key in properties if key in required}
    return [
        key
        for key, schema in stated.items()
        if isinstance(schema, dict) and schema.get("type") in ("integer", "number")
    ]


def _assign(asked: str, profiles: Sequence[_Profile]) -> Iterator[tuple[Tool, str]]:
    """Give each part of the message to the tool it asks for; one that asks for none joins its neighbour."""
    spans = list(_spans(asked))
    parts: list[tuple[Tool, int, int]] = []
    at, begin = 0, 0  # `begin`: where parts that asked for nothing began, in front of the first that does
    while at < len(spans):
        tool, many = _first_match(asked, spans[at : at + _LONGEST_JOIN], profiles)
        end = spans[at + many - 1][1]
        if tool:
            parts.append((tool, spans[at][0] if parts else begin, end))
        elif parts:
            parts[-1] = (*parts[-1][:2], end)
        at += many
    for tool, start, end in parts:
        yield tool, asked[start:end]


def _first_match(
    asked: str, spans: Sequence[tuple[int, int]], profiles: Sequence[_Profile]
) -> tuple[Tool | None, int]:
    """Find the tool that the first span asks for, alone or joined with those after it that ask for none."""
    for many in range(1, len(spans) + 1):
        if many > 1 and _best(profiles, asked[slice(*spans[many - 1])]):
            break
        if tool := _best(profiles, asked[spans[0][0] : spans[many - 1][1]]):
            return tool, many
    return None, 1


def _spans(asked: str) -> Iterator[tuple[int, int]]:
    start = 0
    for seam in _SEAM.finditer(asked):
        if asked[start : seam.start()].strip():
            yield start, seam.start()
            start = seam.end()
    if asked[start:].strip():
        yield start, len(asked)


def _best(profiles: Sequence[_Profile], text: str) -> Tool | None:
    """Choose the tool that a text clearly asks for; the first of equals."""
    clause = _Clause.of(text)
    best = max(profiles, key=lambda profile: profile.score(clause))
    return best.tool if best.score(clause) >= _CLEARLY else None


def _calls_to(tool: Tool, text: str) -> Iterator[ToolCall]:
    """Call a tool once, or once for each name of a list: "the weather in Paris and London"."""
    first = ToolCall(tool.name, arguments.invent(tool.parameters, Clues(text)))
    yield first
    names = Clues(text).listed_names()
    for key, value in first.arguments.items():
        if isinstance(value, str) and value in names:
            for name in names:
                if name != value and not any(other == name for other in first.arguments.values()):
                    yield ToolCall(tool.name, {**first.arguments, key: name})
            return
