"""What an answer goes through before the client has it, by what the model lacks and what was asked for."""

from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.prompted_tools import knows_no_tools
from translators.backends.workers_ai.tools import forced_names, offered_custom_names, offered_tools
from translators.call import Stamp
from translators.chat import ChatRequest
from translators.filters import Filter
from translators.filters.custom_calls import CustomCalls
from translators.filters.one_call import OneCall
from translators.filters.prompted_calls import PromptedCalls
from translators.filters.repaired_arguments import RepairedArguments
from translators.filters.salvage import Salvage
from translators.filters.stop import Stop
from translators.filters.think import Think
from translators.model_text.spelled_calls import LOOSE, TEMPLATES, USUAL


def filters_of_call(chat: ChatRequest, facts: Facts, stamp: Stamp, choice: int = 0) -> tuple[Filter, ...]:
    """What reads an answer before it is judged; each call has its own."""
    filters: list[Filter] = []
    if facts.thinks_in_text:
        filters.append(Think(always=facts.thinks_first))
    tools = {} if facts.guards or chat.prompts else {tool.name: tool for tool in offered_tools(chat)}
    if tools:
        names = frozenset(tools)
        if knows_no_tools(facts):
            filters.append(PromptedCalls(names, stamp, choice))
        filters.append(Salvage(names, stamp, choice, _spellings(chat)))
        filters.append(RepairedArguments(tools))
    return tuple(filters)


def _spellings(chat: ChatRequest) -> tuple[str, ...]:
    """How a call that the model wrote as text may begin."""
    if forced_names(chat):
        return LOOSE
    return USUAL if chat.response_format is None else TEMPLATES  # JSON that was asked for is an answer


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
