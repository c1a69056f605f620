"""What an answer goes through before the client has it, by what the model lacks and what was asked for."""

from typing import Final

from msgspec.structs import replace

from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.prompted_tools import knows_no_tools
from translators.backends.workers_ai.tools import forced_names, offered_custom_names, offered_tools
from translators.call import Stamp
from translators.chat import ChatRequest, Tool
from translators.filters import Filter
from translators.filters.custom_calls import CustomCalls
from translators.filters.marked_calls import MarkedCalls
from translators.filters.one_call import OneCall
from translators.filters.repaired_arguments import RepairedArguments
from translators.filters.salvage import Salvage
from translators.filters.stop import Stop
from translators.filters.think import Think
from translators.model_text.offered import Offered
from translators.model_text.spelled_calls import ALL, OPEN, TEMPLATES
from translators.tools import CUSTOM_INPUT

# What an emulated custom tool takes.
_CUSTOM: Final = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}


def filters_of_call(chat: ChatRequest, facts: Facts, stamp: Stamp, choice: int = 0) -> tuple[Filter, ...]:
    """What reads an answer before it is judged; each call has its own."""
    filters: list[Filter] = []
    if facts.thinks_in_text:
        filters.append(Think(always=facts.thinks_first))
    tools = {} if facts.guards or chat.prompts else {tool.name: _taken(tool) for tool in offered_tools(chat)}
    if tools:
        offered, is_told = Offered(tools), knows_no_tools(facts)
        marks = _marks(chat, is_told=is_told)
        filters.append(Salvage(offered, stamp, choice, marks, forced=bool(forced_names(chat))))
        filters.append(MarkedCalls(offered, stamp, choice, flows=is_told))
        filters.append(RepairedArguments(tools))
    return tuple(filters)


def _marks(chat: ChatRequest, *, is_told: bool) -> tuple[str, ...]:
    """How an answer that is a call as a whole may begin.

    JSON that was asked for is an answer, whatever it looks like. The mark of which a model is told begins
    calls anywhere, and is read by itself.
    """
    marks = ALL if forced_names(chat) or chat.response_format is None else TEMPLATES
    return tuple(mark for mark in marks if mark != OPEN) if is_told else marks


def _taken(tool: Tool) -> Tool:
    """The tool as the model was told of it."""
    return replace(tool, parameters=_CUSTOM) if tool.kind == "custom" else tool


def filters_of_answer(chat: ChatRequest, choices: int) -> tuple[Filter, ...]:
    """What the answer goes through that the client gets."""
    filters: list[Filter] = []
    if not chat.parallel_calls:
        filters.append(OneCall())
    custom = offered_custom_names(chat.tools)
    if custom:
        filters.append(CustomCalls(custom))
    if chat.stop:
        filters.append(Stop(chat.stop, choices))
    return tuple(filters)
