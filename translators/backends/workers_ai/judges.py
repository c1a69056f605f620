"""What judges the answers of a model of Workers AI."""

from collections.abc import Mapping
from typing import Any

from translators.asking.asker import Asker
from translators.asking.judges import ForcedTool, json_judge, together
from translators.asking.structured import StructuredOutput
from translators.backends.workers_ai.catalogue import Facts
from translators.chat import ChatRequest
from translators.rounds import Judge
from translators.tools import forced_names


def judge_for(
    chat: ChatRequest,
    facts: Facts,
    body: Mapping[str, Any],
    output: StructuredOutput | None,
    asker: Asker,
) -> Judge | None:
    """The judge of the answers to one body, or None where every answer will do."""
    names = forced_names(chat)
    if not names and output is None:  # nearly all requests
        return None
    judges: list[Judge] = []
    if names and not facts.guards and "messages" in body:
        judges.append(ForcedTool(names, body, asker, takes_choice=facts.takes_tool_choice))
    judge = json_judge(output, body, asker) if output is not None else None
    return together(judges if judge is None else [*judges, judge])
