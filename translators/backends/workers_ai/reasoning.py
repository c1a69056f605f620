"""How much a model thinks: OpenAI's `reasoning_effort`, as each model takes it.

Models with levels get the one that they take an effort for, unless they know a nearer one (GLM-5.3 thinks
most where it is told not to, and knows a low level), else the nearest; models that can only be told to think
or not get the switch of their chat template (doc comments of Cloudflare's generated types, 2026-11). The
schema of qwen3-30b has no place for that switch, and its template reads another in the words of the turns
(Qwen's model card).
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from translators.asking.thinking import EFFORT, LEVELS, ON
from translators.backends.workers_ai.catalogue import Facts
from translators.errors import invalid
from translators.report import Fate, Report

_SHORT: Final = ("minimal", "low")
TEMPLATE: Final = "chat_template_kwargs"
NO_THINK: Final = "/no_think"


class Asked(msgspec.Struct, frozen=True):
    """An effort that is asked for.

    Attributes:
        effort: One of OpenAI's levels, or that there is to be thinking.
        name: The parameter by which the client said so.
        said: What it says to the chat template itself, which counts more.
    """

    effort: str
    name: str
    said: Mapping[str, Any]


def translate_effort(asked: Asked, facts: Facts, report: Report, *, can_be_told: bool) -> dict[str, Any]:
    """The fields that ask for an effort, where the model can be asked.

    Args:
        asked: What the client asked for.
        facts: What the model takes.
        report: Told what becomes of it.
        can_be_told: Whether there is a turn for words.

    Raises:
        ApiError: 400 for what is no effort.
    """
    effort, name = asked.effort, asked.name
    if effort not in (*LEVELS, ON):
        raise invalid(f"'{name}' must be one of {', '.join(LEVELS)}.", name, "invalid_value")
    level, detail = _level(effort, facts)
    if level is not None:
        report.note(name, Fate.TRANSFORMED if detail else Fate.KEPT, detail)
        report.sent_as(name, EFFORT)
        return {EFFORT: level}
    switches = {"enable_thinking": effort != "none"}
    if "toggle" in facts.can:
        if "low_effort" in facts.can and effort in _SHORT:
            switches["low_effort"] = True
            detail = "the model is told to think little, the only level that it has a switch for"
        else:
            detail = "the model can only think or not, and is told which"
        return _switched(switches, asked, report, Fate.TRANSFORMED, detail)
    if "no_think" in facts.can and effort == "none" and can_be_told:
        return _switched(switches, asked, report, Fate.EMULATED, f"the model is told '{NO_THINK}'")
    if "reasoning" in facts.can and effort == ON:
        report.note(name, Fate.TRANSFORMED, "the model thinks by itself")
    elif "reasoning" in facts.can:
        report.note(name, Fate.DROPPED, "the model thinks as much as it wants to")
    else:
        fate = Fate.KEPT if effort == "none" else Fate.DROPPED
        report.note(name, fate, "" if effort == "none" else "the model does not reason")
    return {}


def _level(effort: str, facts: Facts) -> tuple[str | None, str]:
    """The level that a model is asked for, and why it is another; None where it has none for this wish."""
    if effort == ON and facts.effort in facts.efforts and facts.effort != "none":
        return facts.effort, ""
    if effort in facts.efforts:
        return effort, ""
    nearest, meant = _nearest(effort, facts.efforts), facts.effort_aliases.get(effort)
    if meant in LEVELS and (nearest is None or _distance(effort, meant) <= _distance(effort, nearest)):
        return meant, f"'{effort}' became '{meant}', which the model takes it for"
    if nearest is not None and not (effort == "none" and "toggle" in facts.can):
        return nearest, f"'{effort}' became '{nearest}', the nearest that the model knows"
    return None, ""


def _switched(
    switches: Mapping[str, bool], asked: Asked, report: Report, fate: Fate, detail: str
) -> dict[str, Any]:
    """The switches of the template beside those that the client set, unless they contradict each other."""
    if any(asked.said.get(switch, value) != value for switch, value in switches.items()):
        fate, detail, switches = Fate.DROPPED, f"'{TEMPLATE}' is sent beside it and counts", {}
    report.note(asked.name, fate, detail)
    return {TEMPLATE: {**switches, **asked.said}}


def taken_as_words(fields: dict[str, Any], facts: Facts) -> str:
    """What of the switches a model has to be told in words; they are no fields of its schema."""
    if "no_think" not in facts.can:
        return ""
    template = fields.pop(TEMPLATE, {})
    return NO_THINK if template.get("enable_thinking") is False else ""


def will_think(fields: Mapping[str, Any], facts: Facts) -> bool:
    """Whether the model thinks before it answers, by what the body says to it."""
    if "reasoning" not in facts.can or fields.get(EFFORT, facts.effort) == "none":
        return False
    template = fields.get(TEMPLATE)
    return not isinstance(template, dict) or template.get("enable_thinking") is not False


def _nearest(effort: str, known: tuple[str, ...]) -> str | None:
    """The level with the least distance; of two the higher, so that nobody's thinking is turned off.

    None where no distance is known: of a wish without a level, and to levels that OpenAI does not have.
    """
    levels = [level for level in known if level in LEVELS and level != "none"]
    if effort == ON or not levels:
        return None
    return min(levels, key=lambda level: (_distance(effort, level), -LEVELS.index(level)))


def _distance(one: str, other: str) -> int:
    return abs(LEVELS.index(one) - LEVELS.index(other))
