"""The legacy wire form of an answer: `{response, tool_calls, usage}`, whole or as server-sent events."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.simulator.model import Generation
from gateway.simulator.models import Model
from gateway.simulator.tools import ToolCall

# Captured streams pad each event with a prefix of this alphabet (no c, q, w), repeated; why is not said.
_PADDING = "abdefghijklmnoprstuvxyz1234567890" * 2
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Wire:
    """How this simulator spells what captured answers spell in more than one way."""

    fingerprint: bytes  # of the request; ids and padding derive from it
    numeric_responses: bool = (
        False  # a token that is a number is sent as a number, as the live wire sometimes does
    )


def usage(generation: Generation, model: Model) -> dict[str, float]:
    """State the cost of a finished answer; neurons by the price table, to four places (inferred)."""
    prompt, completion = generation.prompt_tokens, generation.completion_tokens
    neurons = (prompt * model.neurons[0] + completion * model.neurons[1]) / 1_000_000
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "neurons": round(neurons, 4),
    }


def whole(generation: Generation, model: Model) -> dict[str, Any]:
    """Write the `result` of a whole answer. It has no finish reason and its calls have no ids."""
    text = "".join(generation)
    calls = [{"name": call.name, "arguments": call.arguments} for call in generation.calls]
    return {
        "response": None if calls else text,
        "tool_calls": calls,
        "usage": usage(generation, model),
    }


def events(generation: Generation, model: Model, wire: Wire) -> Iterator[bytes]:
    """Write a streamed answer, one event a token; nothing but the last JSON event has the usage."""
    # Not for secrets: the same request is to be padded the same.
    chance = random.Random(wire.fingerprint)  # noqa: S311 - no secret
    yield _event({"response": "", "tool_calls": [], "p": _padding(chance)})
    for piece in generation:
        response = _response(piece, numeric=wire.numeric_responses)
        yield _event({"response": response, "tool_calls": [], "p": _padding(chance)})
    for index, call in enumerate(generation.calls):
        for fragment in _call_events(index, call, wire, chance):
            yield _event({"tool_calls": [fragment], "p": _padding(chance)})
    if generation.calls:
        nothing = {"id": None, "type": None, "function": {"name": None, "arguments": ""}}
        yield _event({"tool_calls": [nothing]})
        yield _event({"finish_reason": "tool_calls"})
    yield _event({"response": "", "usage": usage(generation, model)})
    yield b"data: [DONE]\n\n"


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + _encode(payload) + b"\n\n"


def _padding(chance: random.Random) -> str:
    return _PADDING[: chance.randrange(7, 48)]  # shortest and longest seen in captures


def _response(piece: str, *, numeric: bool) -> str | int:
    if numeric and piece.isascii() and piece.isdecimal() and str(int(piece)) == piece:
        return int(piece)
    return piece


def _call_events(index: int, call: ToolCall, wire: Wire, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Write one call in OpenAI's nested form; often its first event holds all arguments already."""
    digest = hashlib.blake2b(wire.fingerprint + index.to_bytes(4, "big"), digest_size=12).hexdigest()
    written = _encode(call.arguments).decode()
    cut = len(written) if chance.random() < 0.5 else 0
    function = {"name": call.name, "arguments": written[:cut]}
    yield {"id": f"call_{digest}", "type": "function", "index": index, "function": function}
    while cut < len(written):
        size = chance.randrange(2, 9)
        yield {"index": index, "function": {"arguments": written[cut : cut + size]}}
        cut += size
