"""How much a model is to think, in the words of other APIs, read as OpenAI's `reasoning_effort`.

`reasoning` is OpenRouter's and that of OpenAI's Responses, `thinking` Anthropic's, DeepSeek's and Z.ai's,
`enable_thinking` Qwen's. Where a backend takes one of them itself, it gets it as it came.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from translators.asking.names import own_name, said_otherwise, says_any
from translators.chat import ChatRequest
from translators.report import Fate, Report

EFFORT: Final = "reasoning_effort"
LEVELS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
ON: Final = "on"  # stands for a level where a client says that there is to be thinking, and not how much

_BUDGET: Final = "thinking_token_budget"  # vLLM's


class _Wish(msgspec.Struct, frozen=True):
    """What a parameter asks for; `is_more` says whether it holds something else besides."""

    effort: str
    budget: int | None = None
    is_more: bool = False


def _reasoning(value: Any) -> _Wish | None:
    if not isinstance(value, dict):
        return None
    said = {name: each for name, each in value.items() if each is not None}
    effort, budget = said.get("effort"), said.get("max_tokens")
    if effort not in LEVELS:
        effort = _switched(said.get("enabled")) or (ON if _is_budget(budget) else None)
    is_more = not said.keys() <= {"effort", "enabled", "max_tokens"}
    return _wish(effort, budget, is_more=is_more)


def _thinking(value: Any) -> _Wish | None:
    if not isinstance(value, dict):
        return _wish(_switched(value))
    said = {name: each for name, each in value.items() if each is not None}
    effort = {"enabled": ON, "adaptive": ON, "disabled": "none"}.get(str(said.get("type")))
    return _wish(effort, said.get("budget_tokens"), is_more=not said.keys() <= {"type", "budget_tokens"})


def _enable_thinking(value: Any) -> _Wish | None:
    return _wish(_switched(value))


def _switched(value: Any) -> str | None:
    return {True: ON, False: "none"}.get(value) if isinstance(value, bool) else None


def _wish(effort: str | None, budget: Any = None, *, is_more: bool = False) -> _Wish | None:
    if effort is None:
        return None
    return _Wish(effort, budget if _is_budget(budget) and effort != "none" else None, is_more)


def _is_budget(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_READERS: Final[Mapping[str, Callable[[Any], _Wish | None]]] = {
    "reasoning": _reasoning,
    "thinking": _thinking,
    "enable_thinking": _enable_thinking,
}


ANY_NAME: Final = frozenset(_READERS)


def with_effort(chat: ChatRequest, takes: Callable[[str], bool], report: Report) -> ChatRequest:
    """The request with what these parameters ask for as `reasoning_effort`, which counts where it is sent.

    Args:
        chat: What the client asked for.
        takes: Whether the backend takes a parameter itself; then it stays.
        report: Told what of them is not sent on.
    """
    if not says_any(chat, ANY_NAME):
        return chat
    for name, read in _READERS.items():
        if not (name in chat.extra or name in chat.parameters) or takes(name):
            continue
        wish = read(chat.extra.get(name, chat.parameters.get(name)))
        chat = said_otherwise(chat, without=name)
        if wish is None:
            report.note(name, Fate.DROPPED, "it says nothing that is known of how much to think")
        elif EFFORT in chat.parameters or EFFORT in chat.extra:
            report.note(name, Fate.DROPPED, f"'{own_name(chat, EFFORT)}' is sent beside it and counts")
        else:
            chat = said_otherwise(chat, {EFFORT: wish.effort}, own={name: EFFORT})
            chat = _with_rest(chat, name, wish, takes, report)
    return chat


def _with_rest(
    chat: ChatRequest, name: str, wish: _Wish, takes: Callable[[str], bool], report: Report
) -> ChatRequest:
    """The request with what else the parameter asks for, as far as the backend can be asked."""
    if wish.is_more:
        report.note(name, Fate.TRANSFORMED, "of it only how much to think is sent on")
    if wish.budget is None:
        return chat
    if not takes(_BUDGET):
        report.note(name, Fate.TRANSFORMED, "its budget of tokens is not sent: the model takes none")
        return chat
    report.note(name, Fate.TRANSFORMED, f"its budget is sent as '{_BUDGET}'")
    return chat if _BUDGET in chat.extra else said_otherwise(chat, {_BUDGET: wish.budget})
