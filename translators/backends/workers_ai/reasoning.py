"""How much a model thinks: OpenAI's `reasoning_effort`, as each model takes it.

Models with levels get the one that they take an effort for, which is not always near it (GLM-5.3 thinks
most where it is told not to), else the nearest that they know; models that can only be told to think or not
get the switch of their chat template (doc comments of Cloudflare's generated types, 2026-11).
"""

from collections.abc import Mapping
from typing import Any, Final

from translators.backends.workers_ai.catalogue import Facts
from translators.errors import invalid
from translators.report import Fate, Report

_LEVELS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TEMPLATE: Final = "chat_template_kwargs"


def translate_effort(effort: str, facts: Facts, report: Report) -> dict[str, Any]:
    """The fields that ask for an effort, where the model can be asked.

    Raises:
        ApiError: 400 for what is no effort.
    """
    name = "reasoning_effort"
    if effort not in _LEVELS:
        raise invalid(f"'{name}' must be one of {', '.join(_LEVELS)}.", name, "invalid_value")
    if effort in facts.efforts:
        report.note(name, Fate.KEPT)
        return {name: effort}
    if effort in facts.effort_aliases:
        meant = facts.effort_aliases[effort]
        report.note(name, Fate.TRANSFORMED, f"'{effort}' became '{meant}', which the model takes it for")
        return {name: meant}
    if facts.efforts and not (effort == "none" and "toggle" in facts.can):
        nearest = _nearest(effort, facts.efforts)
        report.note(
            name, Fate.TRANSFORMED, f"'{effort}' became '{nearest}', the nearest that the model knows"
        )
        return {name: nearest}
    if "toggle" in facts.can:
        report.note(name, Fate.TRANSFORMED, "the model can only think or not, and is told which")
        return {_TEMPLATE: {"enable_thinking": effort != "none"}}
    if "reasoning" in facts.can:
        report.note(name, Fate.DROPPED, "the model thinks as much as it wants to")
    else:
        fate = Fate.KEPT if effort == "none" else Fate.DROPPED
        report.note(name, fate, "" if effort == "none" else "the model does not reason")
    return {}


def will_think(fields: Mapping[str, Any], facts: Facts) -> bool:
    """Whether the model thinks before it answers, by what the body says to it."""
    if "reasoning" not in facts.can or fields.get("reasoning_effort", facts.effort) == "none":
        return False
    template = fields.get(_TEMPLATE)
    return not isinstance(template, dict) or template.get("enable_thinking") is not False


def _nearest(effort: str, known: tuple[str, ...]) -> str:
    """The level with the least distance; of two the higher, so that nobody's thinking is turned off."""
    wanted = _LEVELS.index(effort)
    thinking = [level for level in known if level != "none"]
    return min(thinking, key=lambda level: (abs(_LEVELS.index(level) - wanted), -_LEVELS.index(level)))
