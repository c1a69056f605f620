"""Composes a model's answers: what it thinks, and whether it says a verdict, JSON or plain words."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.simulator import arguments, guard, instructions, speech, thinking
from gateway.simulator.clues import Clues
from gateway.simulator.conversation import Conversation, Defaults
from gateway.simulator.model import Generation, count_prompt
from gateway.simulator.models import Model
from gateway.simulator.vocabulary import Vocabulary

_UNSTATED_WINDOW = 128_000
# On these `tool_choice: "required"` is advice; only a named tool is enforced.
_TAKES_ADVICE = ("qwq", "qwen3", "gemma-4")


def defaults(model: Model) -> Defaults:
    """State what holds where a body does not say; for the OpenAI family inferred, from its engines."""
    return Defaults(model.window or _UNSTATED_WINDOW, 1.0) if model.speaks_openai else Defaults()


def fitted(
    model: Model, body: Mapping[str, Any], asked: Conversation, vocabulary: Vocabulary
) -> Conversation:
    """Settle what the model makes of a conversation: thinking, tools, room for the answer."""
    if not asked.is_completion:
        asked = replace(asked, effort=thinking.effort(model, body, asked))
    if not asked.tools and model.family != "legacy_guard":
        asked = instructions.with_prompted_tools(asked)
    if asked.choice == "required" and model.is_any_of(_TAKES_ADVICE):
        asked = replace(asked, choice="auto")
    asked = instructions.with_told_choice(asked)
    is_told = body.get("max_completion_tokens") or body.get("max_tokens")
    if model.speaks_openai and not is_told:
        return replace(asked, max_tokens=max(1, asked.max_tokens - count_prompt(asked, vocabulary)))
    return asked


def compose(
    model: Model,
    asked: Conversation,
    vocabulary: Vocabulary,
    fingerprint: bytes,
    faults: frozenset[str] = frozenset(),
) -> tuple[Generation, ...]:
    """Compose the wanted number of answers; they differ where speech leaves a choice."""
    if _is_stubborn(asked, faults):
        asked = replace(asked, choice="none", forced=None)
    first = fingerprint[0] if asked.temperature > 0 else 0
    is_apart = model.family not in {"legacy", "legacy_guard"}
    generations = []
    for variant in range(first, first + asked.choices):
        thinks = thinking.thoughts(asked)
        says = _says(model, asked, variant, faults)
        if not is_apart and asked.effort != "none" and asked.schema is None:
            says, thinks = _beginning_with(thinks, says), iter(())
        generations.append(Generation(asked, vocabulary, says, thinks, faults))
    return tuple(generations)


def _is_stubborn(asked: Conversation, faults: frozenset[str]) -> bool:
    """Whether a tool that has to be called is not, as was asked for."""
    is_forced = asked.forced is not None or asked.choice == "required"
    once = "ignored-force" in faults and not asked.is_reminded
    return is_forced and (once or "ignored-force-always" in faults)


def _says(model: Model, asked: Conversation, variant: int, faults: frozenset[str]) -> Iterable[str]:
    if model.family == "legacy_guard":
        return [guard.verdict(guard.categories(asked))]
    spoken = speech.speak(asked, variant)
    schema = asked.schema
    if schema is None:
        schema = instructions.schema_in(asked)
    if schema is None or "no-json" in faults:
        return spoken
    if schema:
        value = arguments.invent_value(schema, Clues(asked.asked))
    else:
        value = {"answer": "".join(itertools.islice(spoken, asked.max_tokens))}
    return [_written(value, asked, faults)]


def _written(value: Any, asked: Conversation, faults: frozenset[str]) -> str:
    """Write JSON, flawed where asked for; a flaw may be mended once the model has seen its own attempt."""
    is_first = all(turn.role != "assistant" for turn in asked.turns)
    if "stubborn-json" in faults or ("wrong-json" in faults and is_first):
        value = _incomplete(value)
    text = json.dumps(value, ensure_ascii=False)
    if "fenced-json" in faults:
        return f"Here it is:\n```json\n{text}\n```"
    if "quoted-json" in faults:
        return json.dumps(text, ensure_ascii=False)
    return text[:-1] if "broken-json" in faults and is_first else text


def _incomplete(value: Any) -> Any:
    """Leave out the first property; what has none is put into an array."""
    return dict(list(value.items())[1:]) if isinstance(value, dict) and len(value) > 1 else [value]


def _beginning_with(thinks: Iterator[str], says: Iterable[str]) -> Iterator[str]:
    """Put the thoughts into the text, as the older reasoning models do."""
    yield "<think>\n"
    yield from thinks
    yield "\n</think>\n\n"
    yield from says
