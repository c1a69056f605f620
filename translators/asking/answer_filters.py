"""What an answer goes through before the client has it, by the manner of the model and what was asked for."""

from typing import Final

import msgspec
from msgspec.structs import replace

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
from translators.tools import CUSTOM_INPUT, forced_names, offered_custom_names, offered_tools

# What an emulated custom tool takes.
_CUSTOM: Final = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}


class Manner(msgspec.Struct, frozen=True):
    """How a model answers.

    Attributes:
        thinks_in_text: Whether its thoughts may stand in its text, between tags; thinks_first: whether its
            text begins with them, tag or no tag.
        is_told: Whether it has to be told of its tools in words, and of a mark that begins a call.
        calls: Whether it can call tools at all.
    """

    thinks_in_text: bool
    thinks_first: bool = False
    is_told: bool = False
    calls: bool = True


def filters_of_call(chat: ChatRequest, manner: Manner, stamp: Stamp, choice: int = 0) -> tuple[Filter, ...]:
    """What reads an answer before it is judged; each call has its own."""
    filters: list[Filter] = []
    if manner.thinks_in_text:
        filters.append(Think(always=manner.thinks_first))
    calls = manner.calls and chat.tools and not chat.prompts
    tools = {tool.name: _taken(tool) for tool in offered_tools(chat)} if calls else {}
    if tools:
        offered, is_told = Offered(tools), manner.is_told
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
    custom = offered_custom_names(chat.tools) if chat.tools else None
    if custom:
        filters.append(CustomCalls(custom))
    if chat.stop:
        filters.append(Stop(chat.stop, choices))
    return tuple(filters)
