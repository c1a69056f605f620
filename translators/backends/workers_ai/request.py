"""The common request, written as a request to `/ai/run/{model}` in the schema that the model takes.

This dialect speaks Workers AI's native endpoint, not Cloudflare's OpenAI-shaped `/ai/v1`.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import msgspec

from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.messages import Messages, utf16_length
from translators.backends.workers_ai.parameters import translate_parameters
from translators.backends.workers_ai.response import Reader
from translators.backends.workers_ai.structured import translate_format
from translators.backends.workers_ai.tools import offered_custom_names, translate_tools
from translators.call import BackendCall, Stamp
from translators.chat import ChatRequest, Text, Turn
from translators.dialogue import OneRound
from translators.errors import ApiError, invalid
from translators.filters import Filter
from translators.filters.custom_calls import CustomCalls
from translators.filters.one_call import OneCall
from translators.filters.stop import Stop
from translators.report import Fate, Report

# A segment of dots would climb out of the account's path with the operator's token.
_MODEL: Final = re.compile(r"@(?:cf|hf)/(?!\.{1,2}/)[A-Za-z0-9._-]+/(?!\.{1,2}$)[A-Za-z0-9._-]+")

_MOST_STOPS: Final = 4  # OpenAI's schema
_CHARACTERS_PER_TOKEN: Final = 4  # a rough count for English; used only where nobody reports


def is_model_id(name: str) -> bool:
    """Whether a name can be a Workers AI model: `@cf/author/model` or `@hf/author/model`."""
    return _MODEL.fullmatch(name) is not None


def translate(chat: ChatRequest, model: str, facts: Facts, stamp: Stamp, report: Report) -> OneRound:
    """The calls that answer a request, with the fate of every parameter in the report.

    Raises:
        ApiError: 400 naming the parameter that the model cannot meet; 404 where the id is no model's.
    """
    if not is_model_id(model):
        raise ApiError(
            404, f"The model '{model[:100]}' does not exist.", param="model", code="model_not_found"
        )
    fields = _fields(chat, facts, report)
    calls = tuple(
        BackendCall(
            segments=("ai", "run", *model.split("/")),
            body=msgspec.json.encode(body),
            reader=partial(Reader, stamp, choice, fields[_limit_name(facts)], _estimate(chat, body)),
        )
        for choice, body in enumerate(_bodies(chat, fields, facts, report))
    )
    return OneRound(calls, _filters(chat, len(calls)), chat.choices)


def _fields(chat: ChatRequest, facts: Facts, report: Report) -> dict[str, Any]:
    """Everything of the body but the prompt, the same for all choices."""
    given = {**chat.parameters, **chat.extra}
    as_prompt = bool(chat.prompts) and not facts.speaks_openai
    fields = translate_parameters(given, facts, report, prompt=as_prompt)
    fields[_limit_name(facts)] = _max_tokens(chat, facts, report)
    fields |= translate_tools(chat, report)
    if facts.speaks_openai and chat.tools and not chat.parallel_calls:
        fields["parallel_tool_calls"] = False
    fields |= translate_format(chat.response_format, facts, report)
    if chat.stream and "response_format" in fields:
        report.note("stream", Fate.EMULATED, "a structured answer comes whole and is sent on as a stream")
    elif chat.stream:
        fields["stream"] = True
    if facts.speaks_openai and 0 < len(chat.stop) <= _MOST_STOPS:
        fields["stop"] = list(chat.stop)
    report.note("stop", *_stop_fate(chat, fields))
    return fields


def _stop_fate(chat: ChatRequest, fields: dict[str, Any]) -> tuple[Fate, str]:
    """The gateway watches over stop strings in any case; where the backend is told, it ends by itself."""
    if not chat.stop or "stop" in fields:
        return Fate.KEPT, ""
    return Fate.EMULATED, "the gateway ends the answer there"


def _limit_name(facts: Facts) -> str:
    """glm-4.7-flash answered `max_tokens` with empty content (langchain-cloudflare, three of three)."""
    return "max_completion_tokens" if facts.speaks_openai else "max_tokens"


def _max_tokens(chat: ChatRequest, facts: Facts, report: Report) -> int:
    if chat.max_tokens is None:
        report.note("max_tokens", Fate.DEFAULTED, f"{facts.default_max_tokens}; Workers AI's own is 256")
        return facts.default_max_tokens
    if facts.window is not None and chat.max_tokens > facts.window:
        note = f"{chat.max_tokens} is more than the model's window and became {facts.window}"
        report.note("max_tokens", Fate.CLAMPED, note)
        return facts.window
    asked_as = [name for name, common in chat.sent.items() if common == "max_tokens"]
    renamed = bool(asked_as) and _limit_name(facts) not in asked_as
    report.note("max_tokens", Fate.RENAMED if renamed else Fate.KEPT)
    return chat.max_tokens


def _bodies(
    chat: ChatRequest, fields: dict[str, Any], facts: Facts, report: Report
) -> Iterator[dict[str, Any]]:
    """One body a choice. The schema has no `n`: each choice is asked for by itself."""
    if chat.choices > 1 or "n" in chat.sent:
        fate = Fate.EMULATED if chat.choices > 1 else Fate.KEPT
        report.note("n", fate, "each choice is a call of its own" if chat.choices > 1 else "")
    for number, question in enumerate(_questions(chat, facts, report)):
        if "image" in question and "image" in fields:
            raise invalid(
                "'image' stands beside an image in 'messages', and this model takes one.",
                "image",
                "unsupported_value",
            )
        for choice in range(chat.choices):
            yield _seeded({**question, **fields}, number * chat.choices + choice)


def _questions(chat: ChatRequest, facts: Facts, report: Report) -> Iterator[dict[str, Any]]:
    if not chat.prompts:
        messages = Messages(facts, report)
        translated = messages.translate(chat.turns)
        yield {"messages": translated} | ({"image": messages.image} if messages.image is not None else {})
        return
    report.note("prompt", Fate.KEPT)
    for prompt in chat.prompts:
        _check_prompt(prompt, facts)
        if facts.speaks_openai:
            report.note("prompt", Fate.TRANSFORMED, "it becomes a user's message: the model only chats")
            yield {"messages": [{"role": "user", "content": prompt}]}
        else:
            yield {"prompt": prompt}


def _check_prompt(prompt: str, facts: Facts) -> None:
    if not prompt:
        raise invalid("'prompt' must not be empty.", "prompt", "empty_string")
    limit = facts.text_limit
    if limit is not None and len(prompt) * 2 > limit and utf16_length(prompt) > limit:
        raise invalid(
            f"'prompt' has {utf16_length(prompt)} characters, and this model takes at most {limit}.",
            "prompt",
            "string_above_max_length",
        )


def _seeded(body: dict[str, Any], choice: int) -> dict[str, Any]:
    """The body with a seed of its own: with one seed all choices would be the same."""
    if choice and "seed" in body:
        return {**body, "seed": (body["seed"] + choice - 1) % 9_999_999_999 + 1}
    return body


def _filters(chat: ChatRequest, choices: int) -> tuple[Filter, ...]:
    filters: list[Filter] = []
    if not chat.parallel_calls:
        filters.append(OneCall())
    custom = offered_custom_names(chat.tools)
    if custom:
        filters.append(CustomCalls(custom))
    if chat.stop:
        filters.append(Stop(chat.stop, choices))
    return tuple(filters)


def _estimate(chat: ChatRequest, body: dict[str, Any]) -> int:
    """The prompt in tokens, roughly, for when the backend reports nothing."""
    if chat.prompts:
        prompt = body["prompt"] if "prompt" in body else body["messages"][0]["content"]
        return -(-len(prompt) // _CHARACTERS_PER_TOKEN)
    return -(-sum(map(_characters, chat.turns)) // _CHARACTERS_PER_TOKEN)


def _characters(turn: Turn) -> int:
    return sum(len(part.text) for part in turn.parts if isinstance(part, Text))
