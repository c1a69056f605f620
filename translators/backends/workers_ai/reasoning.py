"""How much a model thinks: OpenAI's `reasoning_effort`, as each model takes it.

Models with levels get the one that they take an effort for, which is not always near it (GLM-5.3 thinks
most where it is told not to), else the nearest that they know; models that can only be told to think or not
get the switch of their chat template (doc comments of Cloudflare's generated types, 2026-11). The schema of
qwen3-30b has no place for that switch, and its template reads another in the words of the turns (Qwen's model
card).
"""

from collections.abc import Mapping
from typing import Any, Final

from translators.backends.workers_ai.catalogue import Facts
from translators.errors import invalid
from translators.report import Fate, Report

_LEVELS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SHORT: Final = ("minimal", "low")
TEMPLATE: Final = "chat_template_kwargs"
NO_THINK: Final = "/no_think"


def translate_effort(
    effort: str, facts: Facts, report: Report, said: Mapping[str, Any], *, can_be_told: bool
) -> dict[str, Any]:
    """The fields that ask for an effort, where the model can be asked.

    Args:
        effort: What the client asked for.
        facts: What the model takes.
        report: Told what becomes of it.
        said: What the client says to the chat template itself, which counts more.
        can_be_told: Whether there is a turn for words.

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
    switches = {"enable_thinking": effort != "none"}
    if "toggle" in facts.can:
        if "low_effort" in facts.can and effort in _SHORT:
            switches["low_effort"] = True
            detail = "the model is told to think little, the only level that it has a switch for"
        else:
            detail = "the model can only think or not, and is told which"
        return _switched(switches, said, report, Fate.TRANSFORMED, detail)
    if "no_think" in facts.can and effort == "none" and can_be_told:
        return _switched(switches, said, report, Fate.EMULATED, f"the model is told '{NO_THINK}'")
    if "reasoning" in facts.can:
        report.note(name, Fate.DROPPED, "the model thinks as much as it wants to")
    else:
        fate = Fate.KEPT if effort == "none" else Fate.DROPPED
        report.note(name, fate, "" if effort == "none" else "the model does not reason")
    return {}


def _switched(
    switches: Mapping[str, bool], said: Mapping[str, Any], report: Report, fate: Fate, detail: str
) -> dict[str, Any]:
    """The switches of the template beside those that the client set, unless they contradict each other."""
    if any(said.get(switch, value) != value for switch, value in switches.items()):
        fate, detail, switches = Fate.DROPPED, f"'{TEMPLATE}' is sent beside it and counts", {}
    report.note("reasoning_effort", fate, detail)
    return {TEMPLATE: {**switches, **said}}


def taken_as_words(fields: dict[str, Any], facts: Facts) -> str:
    """What of the switches a model has to be told in words; they are no fields of its schema."""
    if "no_think" not in facts.can:
        return ""
    template = fields.pop(TEMPLATE, {})
    return NO_THINK if template.get("enable_thinking") is False else ""


def will_think(fields: Mapping[str, Any], facts: Facts) -> bool:
    """Whether the model thinks before it answers, by what the body says to it."""
    if "reasoning" not in facts.can or fields.get("reasoning_effort", facts.effort) == "none":
        return False
    template = fields.get(TEMPLATE)
    return not isinstance(template, dict) or template.get("enable_thinking") is not False


def _nearest(effort: str, known: tuple[str, ...]) -> str:
    """The level with the least distance; of two the higher, so that nobody's thinking is turned off."""
    wanted = _LEVELS.index(effort)
    thinking = [level for level in known if level != "none"]
    return min(thinking, key=lambda level: (abs(_LEVELS.index(level) - wanted), -_LEVELS.index(level)))
