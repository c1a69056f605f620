"""Tools for models that know none: told in words, and called in words that `MarkedCalls` reads.

The request is rewritten before it is translated: the system's turn describes the tools and one form of a
call, and the calls and results of earlier turns become text of that form, for the templates and schemas of
these models have no place for them. A model that knows tools but takes no `tool_choice` is told of the
choice alone.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from translators.asking.turns import instructs
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.tools import described
from translators.chat import AUTO, Call, ChatRequest, Part, Result, Role, Text, Turn
from translators.model_text.almost_json import decoded
from translators.model_text.spelled_calls import CLOSE, OPEN
from translators.report import Fate, Report
from translators.schemas import Budget
from translators.tools import forced_names, offered_tools, wrap_custom

_IN_WORDS: Final = "described to the model in words, and its calls are read from its text"
_TOLD: Final = "the model is told in words"


def told_of_tools(chat: ChatRequest, facts: Facts, report: Report, budget: Budget) -> ChatRequest:
    """The request as this model has to be told it.

    Raises:
        ApiError: 400 naming a tool whose schema is out of bounds.
    """
    if chat.prompts or facts.guards:
        return chat
    if facts.knows_no_tools:
        return _without_tools(chat, report, budget)
    if facts.takes_tool_choice or not forced_names(chat):
        return chat
    report.note("tool_choice", Fate.EMULATED, f"{_TOLD}, which takes no such field")
    return replace(chat, turns=_told(chat.turns, _choice_in_words(chat)))


def _without_tools(chat: ChatRequest, report: Report, budget: Budget) -> ChatRequest:
    turns = tuple(_turns(chat.turns))
    if turns != chat.turns:
        report.note("messages", Fate.TRANSFORMED, "calls and results of tools are written as text")
    if offered_tools(chat):
        report.note("tools", Fate.EMULATED, _IN_WORDS)
        turns = _told(turns, _instruction(chat, report, budget))
    if chat.tools and chat.tool_choice != AUTO:
        withheld = chat.tool_choice.mode == "none"
        report.note(
            "tool_choice", Fate.EMULATED, "the tools are withheld from the model" if withheld else _TOLD
        )
    if chat.tools and not chat.parallel_calls:
        report.note("parallel_tool_calls", Fate.EMULATED, f"{_TOLD}, and calls after the first are left out")
    return replace(chat, turns=turns, tools=(), tool_choice=AUTO)


def _instruction(chat: ChatRequest, report: Report, budget: Budget) -> str:
    tools = [msgspec.json.encode(described(tool, report, budget)).decode() for tool in offered_tools(chat)]
    form = f'{OPEN}{{"name": "the name of the tool", "arguments": {{...}}}}{CLOSE}'
    many = "Several calls may follow one another." if chat.parallel_calls else "Make one call at most."
    return "\n".join(
        [
            "You have these tools. Each line describes one, with the JSON Schema of its arguments:",
            *tools,
            "To call a tool, write nothing but this, with arguments that satisfy the schema, and stop:",
            form,
            f"{many} What a tool answers comes in the next turn, in <tool_response>.",
            _choice_in_words(chat) or "Call a tool where it helps; else answer in plain words.",
        ]
    )


def _choice_in_words(chat: ChatRequest) -> str:
    names = forced_names(chat)
    if not names:
        return ""
    tool = f"the tool `{names[0]}`" if len(names) == 1 else "one of the tools"
    return f"Now you must call {tool}: an answer without a call is not accepted."


def _told(turns: tuple[Turn, ...], words: str) -> tuple[Turn, ...]:
    """The turns with an instruction in the system's, which some chat templates want to be first and alone."""
    if not turns or not instructs(turns[0]):
        return (Turn("system", (Text(words),)), *turns)
    first = turns[0]
    said = "".join(part.text for part in first.parts if isinstance(part, Text))
    return (replace(first, parts=(Text(f"{said}\n\n{words}" if said else words),)), *turns[1:])


def _turns(turns: tuple[Turn, ...]) -> Iterator[Turn]:
    """The turns with calls and results as text; results in a row are one turn of the user's."""
    names = {part.id: part.name for turn in turns for part in turn.parts if isinstance(part, Call)}
    for is_result, group in groupby(turns, key=lambda turn: turn.role == "tool"):
        members = list(group)
        if is_result:
            yield _as_text(members, "user", names)
            continue
        for turn in members:
            spoken = any(isinstance(part, Call | Result) for part in turn.parts)
            yield _as_text([turn], turn.role, names) if spoken else turn


def _as_text(turns: list[Turn], role: Role, names: dict[str, str]) -> Turn:
    parts = [_part(part, names) for turn in turns for part in turn.parts]
    if all(isinstance(part, Text) for part in parts):
        parts = [Text("\n".join(part.text for part in parts if isinstance(part, Text) and part.text))]
    return replace(turns[0], role=role, parts=tuple(parts))


def _part(part: Part, names: dict[str, str]) -> Part:
    match part:
        case Call():
            return Text(f'{OPEN}{{"name": {_json(part.name)}, "arguments": {_arguments(part)}}}{CLOSE}')
        case Result():
            name = part.name or names.get(part.call_id or "", "")
            said = f" name={_json(name)}" if name else ""
            return Text(f"<tool_response{said}>\n{part.text}\n</tool_response>")
        case _:
            return part


def _arguments(call: Call) -> str:
    if call.kind == "custom":
        return wrap_custom(call.arguments)
    whole = isinstance(decoded(call.arguments), dict)
    return call.arguments if whole else _json(call.arguments) if call.arguments else "{}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
