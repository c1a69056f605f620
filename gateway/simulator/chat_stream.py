"""The OpenAI wire form of an answer, streamed, with what the live wire does that OpenAI's does not.

Most models: continuations of calls say `"id": null` and `"name": null`, usage on the last chunk is zero, and
the last event is of the legacy form and holds the only true usage, but where a chunk for it was asked for
(inferred). Kimi's chunks are padded and end with such a chunk in any case. Models with legacy input state the
usage so far on every chunk.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gateway.simulator import chat
from gateway.simulator.model import Generation
from gateway.simulator.tools import ToolCall
from gateway.simulator.wire import DONE, Wire, event, padding


class _Step(NamedTuple):
    """What one chunk says of one choice."""

    choice: int
    delta: dict[str, Any]
    finish: str | None = None
    logprobs: dict[str, Any] | None = None


def events(generations: Sequence[Generation], wire: Wire, *, as_prompt: bool) -> Iterator[bytes]:
    """Write a streamed answer; several choices take turns."""
    # Not for secrets: the same request is to be cut and padded the same.
    chance = random.Random(wire.fingerprint)  # noqa: S311 - no secret
    steps = [_steps(at, generation, wire, chance) for at, generation in enumerate(generations)]
    for round_ in itertools.zip_longest(*steps):
        for step in filter(None, round_):
            yield event(_chunk(step, generations, wire, chance, as_prompt=as_prompt))
    if chat.has_legacy_input(wire):
        yield event(
            _head(wire, as_prompt=as_prompt) | {"choices": [], "usage": chat.usage(generations, wire)}
        )
    else:
        if _is_kimi(wire) or generations[0].conversation.states_usage:
            closing = {"choices": [], "usage": _counts(generations, wire)}
            padded = {"p": padding(chance)} if _is_kimi(wire) else {}
            yield event(_head(wire, as_prompt=as_prompt) | closing | padded)
        yield event({"response": "", "usage": chat.usage(generations, wire)})
    yield DONE


def _steps(index: int, generation: Generation, wire: Wire, chance: random.Random) -> Iterator[_Step]:
    thought = chat.reasoning_field(wire)
    spare = {} if chat.has_legacy_input(wire) else {"content": None}
    yield _Step(index, {"content": "", **({thought: None} if spare else {}), "role": "assistant"})
    for token in generation.thoughts():
        yield _Step(index, spare | {thought: token})
    for piece in generation:
        yield _Step(index, {"content": piece}, logprobs=chat.logprobs([piece], generation))
    for at, call in enumerate(generation.calls):
        for fragment in _fragments(wire.call_id(index, at, call.name), at, call, wire, chance):
            yield _Step(index, fragment)
    yield _Step(index, {thought: None} if spare else {"content": ""}, chat.finish(generation, wire))


def _fragments(
    call_id: str, at: int, call: ToolCall, wire: Wire, chance: random.Random
) -> Iterator[dict[str, Any]]:
    """Write one call: its name, then its arguments in pieces."""
    written = wire.arguments(call)
    named = {"function": {"arguments": "", "name": call.name}, "id": call_id, "index": at, "type": "function"}
    nulls: dict[str, Any] = {} if chat.has_legacy_input(wire) else {"id": None}
    nameless: dict[str, Any] = {} if chat.has_legacy_input(wire) else {"name": None}
    cut = 0
    if "arguments-first" in wire.faults:
        cut = len(written) // 2
        early = {"arguments": written[:cut], **nameless}
        yield {"tool_calls": [{"function": early, **nulls, "index": at, "type": "function"}]}
    yield {"content": None, "tool_calls": [named]}
    while cut < len(written):
        size = chance.randrange(4, 16)
        function = {"arguments": written[cut : cut + size], **nameless}
        yield {"tool_calls": [{"function": function, **nulls, "index": at, "type": "function"}]}
        cut += size


def _chunk(
    step: _Step, generations: Sequence[Generation], wire: Wire, chance: random.Random, *, as_prompt: bool
) -> dict[str, Any]:
    choice: dict[str, Any] = {"delta": step.delta, "finish_reason": step.finish, "index": step.choice}
    if as_prompt:
        text = step.delta.get("content") or ""
        choice = {"text": text, "finish_reason": step.finish, "index": step.choice}
    if step.logprobs or chat.has_legacy_input(wire):
        choice["logprobs"] = step.logprobs
    if chat.has_legacy_input(wire):
        usage = _counts(generations, wire)
        return _head(wire, as_prompt=as_prompt) | {"choices": [choice], "usage": usage}
    chunk: dict[str, Any] = {"choices": [choice]}
    if step.finish:
        chunk["usage"] = {"prompt_tokens": 0, "completion_tokens": 0}
    if _is_kimi(wire):
        return _head(wire, as_prompt=as_prompt) | chunk | {"p": padding(chance)}
    return chunk


def _head(wire: Wire, *, as_prompt: bool) -> dict[str, Any]:
    kind = "text_completion" if as_prompt else "chat.completion.chunk"
    return {"id": wire.chat_id, "object": kind, "created": wire.created, "model": wire.model.shown_name}


def _counts(generations: Sequence[Generation], wire: Wire) -> dict[str, Any]:
    """State the tokens so far, without neurons: chunks have none."""
    counts = wire.usage(generations)
    return {name: counts[name] for name in ("prompt_tokens", "total_tokens", "completion_tokens")}


def _is_kimi(wire: Wire) -> bool:
    return "kimi" in wire.model.name
