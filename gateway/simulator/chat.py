"""The OpenAI wire form of an answer, whole: a chat completion, or a text completion where a prompt was sent.

Two engines show through. Most models are served by one that sorts its keys and says `matched_stop`; those
with legacy input by one that says `stop_reason` and `prompt_logprobs`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.simulator.chances import logprob
from gateway.simulator.model import Generation
from gateway.simulator.wire import Wire


def has_legacy_input(wire: Wire) -> bool:
    """Whether the engine is that of the models with legacy input."""
    return wire.model.family == "openai_legacy_input"


def reasoning_field(wire: Wire) -> str:
    """Name the field that thoughts stand in."""
    return "reasoning" if "nemotron" in wire.model.name else "reasoning_content"


def usage(generations: Sequence[Generation], wire: Wire) -> dict[str, Any]:
    """State the cost with OpenAI's details."""
    reasoning = sum(generation.reasoning_tokens for generation in generations)
    details: dict[str, Any] = {"prompt_tokens_details": {"cached_tokens": 0}}
    if reasoning:
        details["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return wire.usage(generations) | details


def finish(generation: Generation, wire: Wire) -> str:
    """Say why an answer ended."""
    return "error" if "finish-error" in wire.faults else generation.finish


def whole(generations: Sequence[Generation], wire: Wire, *, as_prompt: bool) -> dict[str, Any]:
    """Write the `result` of a whole answer."""
    write = _completed if as_prompt else _choice
    choices = [write(index, generation, wire) for index, generation in enumerate(generations)]
    legacy_input = has_legacy_input(wire)
    return {
        "id": wire.chat_id if legacy_input else f"id-{wire.created}000",
        "object": "text_completion" if as_prompt else "chat.completion",
        "created": wire.created,
        "model": wire.model.shown_name,
        "choices": choices,
        "usage": usage(generations, wire),
        **({"prompt_logprobs": None} if legacy_input else {}),
    }


def _completed(index: int, generation: Generation, wire: Wire) -> dict[str, Any]:
    pieces = list(generation)
    return {
        "index": index,
        "text": "".join(pieces),
        "logprobs": None,
        "finish_reason": finish(generation, wire),
    }


def _choice(index: int, generation: Generation, wire: Wire) -> dict[str, Any]:
    thought = "".join(generation.thoughts()) or None
    pieces = list(generation)
    ended = finish(generation, wire)
    text = "".join(pieces)
    calls = [
        {
            "id": wire.call_id(index, at, call.name),
            "type": "function",
            "function": {"name": call.name, "arguments": wire.arguments(call)},
        }
        for at, call in enumerate(generation.calls)
    ]
    message = {
        "role": "assistant",
        reasoning_field(wire): thought,
        # Where thinking has used up what the answer may cost there is no content, not an empty one.
        "content": text or (None if calls or ended == "length" else ""),
        "tool_calls": calls or _no_calls(wire),
    }
    stated = {
        "index": index,
        "message": message,
        "logprobs": logprobs(pieces, generation),
        "finish_reason": ended,
    }
    if has_legacy_input(wire):
        return stated | {"stop_reason": None}
    return dict(sorted((stated | {"message": dict(sorted(message.items())), "matched_stop": None}).items()))


def _no_calls(wire: Wire) -> list[Any] | None:
    # A leaked call stands in the content, beside an empty list.
    return [] if has_legacy_input(wire) or "leaked-call" in wire.faults else None


def logprobs(pieces: Iterable[str], generation: Generation) -> dict[str, Any] | None:
    """State how likely each piece was, where that was asked for."""
    alternatives = generation.conversation.alternatives
    if alternatives is None:
        return None
    return {"content": [logprob(piece, alternatives) for piece in pieces], "refusal": None}
