"""The legacy wire form of an answer: `{response, tool_calls, usage}`, whole or as server-sent events."""

import json
import random
from collections.abc import Iterator
from typing import Any

from gateway.simulator import edge, guard
from gateway.simulator.model import Generation
from gateway.simulator.tools import ToolCall
from gateway.simulator.wire import DONE, Wire, event, padding


def whole(generation: Generation, wire: Wire) -> dict[str, Any] | edge.Refusal:
    """Write the `result` of a whole answer. It has no finish reason and its calls have no ids."""
    text = "".join(generation)
    calls = [{"name": call.name, "arguments": _arguments(call, wire)} for call in generation.calls]
    response: Any = None if calls else _spelled(text, wire)
    if generation.conversation.schema is not None and not calls:
        try:
            response = _parsed(text, wire)
        except ValueError:
            # The text is documented, status and code are inferred.
            return edge.model_refusal(400, 5024, "JSON Mode couldn't be met")
    usage = wire.usage([generation])
    if wire.model.family == "legacy_guard":
        return {"response": response, "usage": usage}
    return {"response": response, "tool_calls": calls, "usage": usage}


def _parsed(text: str, wire: Wire) -> Any:
    if "unmet-json" in wire.faults:
        raise ValueError("JSON mode gives up")
    return json.loads(text)


def judged(generation: Generation, found: list[str], wire: Wire) -> dict[str, Any]:
    """Write a verdict of Llama Guard as it stands in JSON mode."""
    text = "".join(generation)
    verdict = {"safe": not found, "categories": found} if text == guard.verdict(found) else text
    return {"response": verdict, "usage": wire.usage([generation])}


def _spelled(text: str, wire: Wire) -> Any:
    if "object-response" in wire.faults:
        return {"answer": text}
    return _response(text, wire)


def _arguments(call: ToolCall, wire: Wire) -> Any:
    written = wire.arguments(call)
    if wire.faults & {"string-arguments", "broken-arguments"}:
        return written
    return json.loads(written)


def events(generation: Generation, wire: Wire) -> Iterator[bytes]:
    """Write a streamed answer, one event a token; nothing but the last JSON event has the usage."""
    # Not for secrets: the same request is to be padded the same.
    chance = random.Random(wire.fingerprint)  # noqa: S311 - no secret
    yield event({"response": "", "tool_calls": [], "p": padding(chance)})
    for piece in generation:
        yield event({"response": _response(piece, wire), "tool_calls": [], "p": padding(chance)})
    for index, call in enumerate(generation.calls):
        for fragment in _call_events(index, call, wire, chance):
            yield event({"tool_calls": [fragment], "p": padding(chance)})
    if generation.calls:
        nothing = {"id": None, "type": None, "function": {"name": None, "arguments": ""}}
        yield event({"tool_calls": [nothing]})
        yield event({"finish_reason": "tool_calls"})
    if "finish-error" in wire.faults:
        yield event({"finish_reason": "error"})
    yield event({"response": "", "usage": wire.usage([generation])})
    yield DONE


def _response(piece: str, wire: Wire) -> str | int:
    """Spell a token that is a number as one, where asked to, as the live wire sometimes does."""
    is_number = piece.isascii() and piece.isdecimal() and len(piece) < 16 and str(int(piece)) == piece
    return int(piece) if is_number and "numeric-response" in wire.faults else piece


def _call_events(index: int, call: ToolCall, wire: Wire, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Write one call in OpenAI's nested form; often its first event holds all arguments already."""
    written = wire.arguments(call)
    if "arguments-first" in wire.faults:
        early, written = written[: len(written) // 2], written[len(written) // 2 :]
        yield {"index": index, "function": {"arguments": early}}
    cut = len(written) if chance.random() < 0.5 else 0
    function = {"name": call.name, "arguments": written[:cut]}
    yield {"id": wire.call_id(0, index, call.name), "type": "function", "index": index, "function": function}
    while cut < len(written):
        size = chance.randrange(2, 9)
        yield {"index": index, "function": {"arguments": written[cut : cut + size]}}
        cut += size
