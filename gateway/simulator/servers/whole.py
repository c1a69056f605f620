"""Whole answers, in each product's form."""

from collections.abc import Sequence

from gateway.simulator.model import Generation
from gateway.simulator.servers.wire import Json, Wire, written
from gateway.simulator.tools import ToolCall


def chat(generations: Sequence[Generation], wire: Wire) -> Json:
    """Write a chat completion."""
    choices = [_choice(at, generation, wire) for at, generation in enumerate(generations)]
    end = {"usage": wire.usage(generations)} | wire.timings(generations)
    return wire.head("chat.completion") | {"choices": choices} | wire.product.answer | end


def completion(generations: Sequence[Generation], wire: Wire) -> Json:
    """Write a text completion."""
    choices = [
        {"index": at, **_text(generation, wire), "finish_reason": wire.finish(generation)}
        for at, generation in enumerate(generations)
    ]
    usage = {"usage": wire.usage(generations)}
    return wire.head("text_completion", "cmpl") | {"choices": choices} | usage | wire.timings(generations)


def _text(generation: Generation, wire: Wire) -> Json:
    before = generation.conversation.asked if wire.question.echo else ""
    return {"text": before + "".join(generation), "logprobs": None}


def _choice(at: int, generation: Generation, wire: Wire) -> Json:
    thought = "".join(generation.thoughts())
    pieces = list(generation)
    said: Json = {
        "index": at,
        "message": _message(at, generation, wire, "".join(pieces), thought),
        "logprobs": wire.logprobs(pieces, generation),
        "finish_reason": wire.finish(generation),
    }
    return said | wire.product.choice


def _message(at: int, generation: Generation, wire: Wire, text: str, thought: str) -> Json:
    calls = [
        {"id": wire.call_id(at, nth), "type": "function", "function": _function(call, wire)}
        for nth, call in enumerate(wire.calls(generation))
    ]
    message: Json = {"role": "assistant", "content": text or (None if calls else "")}
    message |= wire.product.message
    if calls:
        message["tool_calls"] = calls
        if wire.product.calls == "tgi":
            del message["content"]
        if wire.product.name == "ollama":
            message["content"] = ""
    if thought and wire.product.thoughts:
        message[wire.product.thoughts] = thought
    return message


def _function(call: ToolCall, wire: Wire) -> Json:
    """Write what is called; TGI has the arguments as an object."""
    if wire.product.calls == "tgi":
        return {"description": None, "name": call.name, "arguments": call.arguments}
    return {"name": call.name, "arguments": written(call)}
