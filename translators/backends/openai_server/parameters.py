"""What becomes of the parameters of a request at a server, by the row of its product."""

from collections.abc import Mapping
from typing import Any, Final

from translators.asking.thinking import EFFORT, ON
from translators.backends.openai_server.servers import Served
from translators.report import Fate, Report

_TEMPLATE: Final = "chat_template_kwargs"
_SWITCHES: Final = (
    "enable_thinking",
    "thinking",
)  # Qwen's and GLM's templates know the one, DeepSeek's the other

_NOT_TAKEN: Final = "the server's product does not take it; `allow` lets it through"

# Values that ask for what happens anyway.
_HARMLESS: Final[Mapping[str, Any]] = {
    "logprobs": False,
    "metadata": {},
    "modalities": ["text"],
    "n": 1,
    "service_tier": "auto",
    "store": False,
    "top_logprobs": 0,
    "verbosity": "medium",
    "best_of": 1,
    "logit_bias": {},
}


def translate_parameters(
    given: Mapping[str, Any], facts: Served, report: Report, own_names: Mapping[str, str] = {}
) -> dict[str, Any]:
    """The parameters to send; every given one has its fate afterwards.

    Args:
        given: The request's, by their common name.
        facts: What the server takes.
        report: Told what becomes of them.
        own_names: The client's names by the common ones, where it may have sent another.
    """
    server, fields = facts.server, dict[str, Any]()
    switched = _is_switch(given, own_names, facts)
    for common, value in given.items():
        name, sent_as = own_names.get(common, common), server.renames.get(common, common)
        if switched and common == EFFORT:
            continue
        if common in server.refuses and value == server.refuses[common]:
            report.note(name, Fate.KEPT)
        elif facts.takes(common) or sent_as in server.takes or sent_as != common:
            fields[sent_as] = value
            report.note(name, Fate.KEPT)
            report.sent_as(name, sent_as)
        elif common in _HARMLESS and value == _HARMLESS[common]:
            report.note(name, Fate.KEPT)
        else:
            report.note(name, Fate.DROPPED, _NOT_TAKEN)
    return fields | _switch(given, own_names[EFFORT], facts, report) if switched else fields


def _is_switch(given: Mapping[str, Any], own_names: Mapping[str, str], facts: Served) -> bool:
    """Whether thinking is only to be or not to be, and there is a better way to say so than an effort."""
    if own_names.get(EFFORT, EFFORT) == EFFORT:
        return False
    return given[EFFORT] == ON or (given[EFFORT] == "none" and _TEMPLATE in facts.allow)


def _switch(given: Mapping[str, Any], name: str, facts: Served, report: Report) -> dict[str, Any]:
    """What the chat template is told, where the operator lets clients speak to it."""
    if _TEMPLATE in facts.allow:
        said = given.get(_TEMPLATE, {})
        switches = dict.fromkeys(_SWITCHES, given[EFFORT] == ON)
        if isinstance(said, dict) and all(said.get(each, value) == value for each, value in switches.items()):
            report.note(name, Fate.TRANSFORMED, "the chat template is told")
            return {_TEMPLATE: {**switches, **said}}
        report.note(name, Fate.DROPPED, f"'{_TEMPLATE}' is sent beside it and counts")
    elif facts.takes(EFFORT):
        report.note(name, Fate.TRANSFORMED, "it is left to the model, which thinks by itself if it can")
    else:
        report.note(name, Fate.DROPPED, _NOT_TAKEN)
    return {}
