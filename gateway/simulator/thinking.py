"""How long a simulated model thinks, and what it thinks. Nothing of it changes the answer."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.simulator.conversation import Conversation
from gateway.simulator.models import Model

# Sentences by effort; a model without efforts of its own thinks at `medium`.
_LENGTHS = {"none": 0, "minimal": 1, "low": 1, "medium": 2, "high": 4, "xhigh": 6, "max": 6}
_SENTENCES = (
    "Then I should see what the answer has to hold.",
    "No tool result changes that.",
    "Let me check the numbers once more.",
    "There may be another reading, but this one is the plainest.",
    "I will keep it short.",
)
# Qwen3's template reads the newest of these in the instructions and the user's turns (its model card). Its
# schema has no place for the template's own switches.
_TOLD = re.compile(r"/(no_)?think\b")
_READS_WORDS = ("qwen3-30b",)
_LONGEST = 200  # characters of the question that a thought repeats


def effort(model: Model, body: Mapping[str, Any], conversation: Conversation) -> str:
    """Settle the effort: what the body says, in the model's own names; `none` is no thinking."""
    if "reasoning" not in model.can:
        return "none"
    if model.is_any_of(_READS_WORDS):
        return "none" if _is_told_not_to(conversation) else "medium"
    kwargs = body.get("chat_template_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    asked = body.get("reasoning_effort") if model.efforts else None
    asked = model.effort_aliases.get(asked, asked) if isinstance(asked, str) else model.effort
    off = False in (kwargs.get("enable_thinking"), kwargs.get("thinking")) or asked == "none"
    if off and not model.thinks_always:
        return "none"
    return "low" if kwargs.get("low_effort") is True else asked or "medium"


def _is_told_not_to(conversation: Conversation) -> bool:
    told = [turn.text for turn in conversation.turns if turn.role in {"system", "user"}]
    words = _TOLD.findall("\n".join(told))
    return bool(words) and words[-1] == "no_"


def thoughts(conversation: Conversation) -> Iterator[str]:
    """Think, in pieces that join to the whole thought."""
    sentences = _LENGTHS.get(conversation.effort, 2)
    if sentences:
        yield f"The user says: “{conversation.asked.strip()[:_LONGEST]}”."
        for at in range(sentences - 1):
            yield f" {_SENTENCES[at % len(_SENTENCES)]}"
