"""Finds in the words of a conversation what parameters would say otherwise: JSON as answer, tools to call."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.simulator.conversation import Conversation, Tool, Turn

_WANTED: Final = re.compile(
    r"\b(?:answer|respond|reply|output|return|write|produce)\b[^.\n]{0,80}\bJSON\b", re.IGNORECASE
)
# Beside tools only this: how a call is written is said with much the same words.
_WANTED_BESIDE_TOOLS: Final = re.compile(
    r"\b(?:answer|respond|reply|output|return)\b[^.\n]{0,80}\bJSON (?:object|Schema)\b", re.IGNORECASE
)
_SPEAKS_OF_SCHEMA: Final = frozenset(
    {"type", "properties", "enum", "anyOf", "allOf", "oneOf", "$ref", "items"}
)
_TOOLS: Final = re.compile(r"\b(?:tools?|functions?)\b", re.IGNORECASE)
_RESULT: Final = re.compile(
    r"""<tool_(?:response|result)(?: name="([^">]*)")?[^>]*>\s*(.*?)\s*</tool_(?:response|result)>""",
    re.DOTALL,
)
_MUST_CALL: Final = re.compile(r"\bmust (?:now )?(?:call|use) ([^.:\n]*)", re.IGNORECASE)
_LONGEST: Final = 100_000  # characters of an instruction that are looked through
_OBJECTS: Final = 50  # objects in it that are looked at


def schema_in(conversation: Conversation) -> Mapping[str, Any] | None:
    """Read the schema that the newest such instruction states; empty where it wants any object."""
    wanted = _WANTED if conversation.call_form is None else _WANTED_BESIDE_TOOLS
    for turn in reversed(conversation.turns):
        text = turn.text[:_LONGEST]
        said = wanted.search(text) if turn.role in {"system", "developer", "user"} else None
        if said is not None:
            stated = text if conversation.call_form is None else text[said.end() :]
            return next((found for found in _objects(stated) if _SPEAKS_OF_SCHEMA & found.keys()), {})
    return None


def with_prompted_tools(conversation: Conversation) -> Conversation:
    """Read tools from the instructions and results from the user's turns, as a model reads them."""
    told = [turn.text[:_LONGEST] for turn in conversation.turns if turn.role in {"system", "developer"}]
    told = [text for text in told if _TOOLS.search(text)]
    tools = tuple(tool for text in told for tool in _tools(text))
    if not tools:
        return conversation
    turns = tuple(turn for said in conversation.turns for turn in _results_apart(said))
    return replace(conversation, tools=tools, turns=turns, call_form=_form("\n".join(told)))


def with_told_choice(conversation: Conversation) -> Conversation:
    """Read from the instructions, or from a reminder in the last turn, that a tool has to be called."""
    if not conversation.tools:
        return conversation
    *before, last = conversation.turns or (Turn("user", ""),)
    reminder = _MUST_CALL.search(last.text) if last.role == "user" and len(before) > 1 else None
    told = reminder or next(filter(None, map(_forcing, before)), None)
    if reminder:
        conversation = replace(conversation, is_reminded=True)
    if told is None or conversation.forced or conversation.choice != "auto":
        return conversation
    named = [
        tool for tool in conversation.tools if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", told[1])
    ]
    if len(named) == 1:
        return replace(conversation, forced=named[0])
    return replace(conversation, choice="required")


def _forcing(turn: Turn) -> re.Match[str] | None:
    return _MUST_CALL.search(turn.text[:_LONGEST]) if turn.role in {"system", "developer"} else None


def _tools(text: str) -> Iterator[Tool]:
    for found in _objects(text):
        stated = found["function"] if isinstance(found.get("function"), dict) else found
        name, parameters = stated.get("name"), stated.get("parameters")
        if isinstance(name, str) and isinstance(parameters, dict):
            yield Tool(name, str(stated.get("description", "")), parameters)


def _results_apart(turn: Turn) -> list[Turn]:
    results = _RESULT.findall(turn.text) if turn.role == "user" else []
    return [Turn("tool", result, name or None) for name, result in results] or [turn]


def _form(text: str) -> str:
    """Read how a call is to be written: between tags if these are named, else bare."""
    call = '{"name": %s, "arguments": %s}'
    return f"<tool_call>\n{call}\n</tool_call>\n" if "<tool_call>" in text else call


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Find JSON objects that stand in a text."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(_OBJECTS):
        if at < 0:
            return
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield found
        at = text.find("{", end)
