"""Streamed answers, in each product's form."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.simulator.model import Generation
from gateway.simulator.servers import refusals
from gateway.simulator.servers.wire import DONE, Json, Wire, event, written
from gateway.simulator.tools import ToolCall

_PIECE: Final = 8  # characters of arguments in one event
_BEFORE_ERROR: Final = 4  # events that come before an error


class _Step(NamedTuple):
    """What one chunk says of one choice."""

    choice: int
    delta: Json
    finish: str | None = None
    logprobs: Json | None = None


def chat(generations: Sequence[Generation], wire: Wire) -> Iterator[bytes]:
    """Write a chat completion as events; several choices take turns."""
    steps = [_steps(at, generation, wire) for at, generation in enumerate(generations)]
    chunks = (_chunk(step, generations, wire) for step in _in_turns(steps))
    yield from _events(chunks, generations, wire, "chat.completion.chunk", "chatcmpl")


def completion(generations: Sequence[Generation], wire: Wire) -> Iterator[bytes]:
    """Write a text completion as events."""
    steps = [_text_steps(at, generation, wire) for at, generation in enumerate(generations)]
    chunks = (_text_chunk(step, generations, wire) for step in _in_turns(steps))
    yield from _events(chunks, generations, wire, "text_completion", "cmpl")


def _in_turns(steps: Sequence[Iterator[_Step]]) -> Iterator[_Step]:
    for round_ in itertools.zip_longest(*steps):
        yield from filter(None, round_)


def _events(
    chunks: Iterator[Json], generations: Sequence[Generation], wire: Wire, kind: str, prefix: str
) -> Iterator[bytes]:
    fails = "error-event" in wire.faults
    if fails:
        unfinished = itertools.takewhile(lambda chunk: chunk["choices"][0]["finish_reason"] is None, chunks)
        chunks = itertools.islice(unfinished, _BEFORE_ERROR)
    for chunk in chunks:
        yield event(wire.head(kind, prefix) | chunk)
    if fails:
        yield from _failed(wire, kind, prefix)
        return
    if wire.question.states_usage:
        last = {"choices": [], "usage": wire.usage(generations)}
        yield event(wire.head(kind, prefix) | last | wire.timings(generations))
    yield DONE


def _failed(wire: Wire, kind: str, prefix: str) -> Iterator[bytes]:
    """End as a server does whose engine has died; of Ollama's error nothing is left."""
    failure = refusals.in_stream(wire.product, "The engine has died.")
    if failure is None:
        empty = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        yield event(wire.head(kind, prefix) | {"model": "", "choices": [empty]})
        return
    yield event(failure)
    if wire.product.errors not in {"llama", "openai"}:
        yield DONE


def _steps(at: int, generation: Generation, wire: Wire) -> Iterator[_Step]:
    """Say an answer in the product's steps."""
    steps = _plain_steps(at, generation, wire)
    return _with_roles(_finished_on_the_last(steps) if wire.product.name == "tgi" else steps, wire)


def _plain_steps(at: int, generation: Generation, wire: Wire) -> Iterator[_Step]:
    product = wire.product
    if product.role == "alone":
        yield _Step(at, {"role": "assistant", **product.role_fields})
    for token in generation.thoughts():
        if product.thoughts:
            yield _Step(at, {product.thoughts: token})
    for piece in generation:
        yield _Step(at, {"content": piece}, logprobs=wire.logprobs([piece], generation))
    for nth, call in enumerate(wire.calls(generation)):
        for fragment in _fragments(wire.call_id(at, nth), nth, call, wire):
            yield _Step(at, {"tool_calls": [fragment]})
    yield _Step(at, {} if product.role == "alone" else {"content": ""}, wire.finish(generation))


def _finished_on_the_last(steps: Iterator[_Step]) -> Iterator[_Step]:
    """Put the finish reason on the last token's step."""
    held: _Step | None = None
    for step in steps:
        if held and not step.finish:
            yield held
        held = held._replace(finish=step.finish) if held and step.finish else step
    if held:
        yield held


def _with_roles(steps: Iterator[_Step], wire: Wire) -> Iterator[_Step]:
    for nth, step in enumerate(steps):
        if wire.product.role == "every" or (wire.product.role == "first" and nth == 0):
            yield step._replace(delta={"role": "assistant"} | step.delta)
        else:
            yield step


def _fragments(call_id: str, nth: int, call: ToolCall, wire: Wire) -> Iterator[Json]:
    """Write one call as the product does: whole, or its name and then its arguments in pieces."""
    text = written(call)
    pieces = [text[cut : cut + _PIECE] for cut in range(0, len(text), _PIECE)]
    form = wire.product.calls
    named = {"index": nth, "id": call_id, "type": "function"}
    match form:
        case "whole":
            yield named | {"function": {"name": call.name, "arguments": text}}
            return
        case "tgi":
            named["index"] = 0
            for at, piece in enumerate(pieces):
                yield named | {"function": {"name": None if at else call.name, "arguments": piece}}
            return
    yield named | {"function": {"name": call.name, "arguments": ""}}
    for piece in pieces:
        function: Json = {"arguments": piece}
        match form:
            case "nulls":
                nulls = {"id": None, "index": nth, "type": "function"}
                yield nulls | {"function": {"name": None, **function}}
            case "typed":
                yield {"index": nth, "type": "function", "function": function}
            case _:
                yield {"index": nth, "function": function}


def _chunk(step: _Step, generations: Sequence[Generation], wire: Wire) -> Json:
    product = wire.product
    delta = dict.fromkeys(product.nulls) | step.delta
    choice: Json = {"index": step.choice, "delta": delta}
    if step.logprobs or product.name != "ollama":
        choice["logprobs"] = step.logprobs
    choice["finish_reason"] = step.finish
    if step.finish and product.name in {"vllm", "sglang"}:
        choice |= product.choice
    elif product.name == "sglang":
        choice["matched_stop"] = None
    return {"choices": [choice]} | _usage_so_far(generations, wire)


def _text_steps(at: int, generation: Generation, wire: Wire) -> Iterator[_Step]:
    if wire.question.echo:
        yield _Step(at, {"content": generation.conversation.asked})
    for piece in generation:
        yield _Step(at, {"content": piece})
    yield _Step(at, {"content": ""}, wire.finish(generation))


def _text_chunk(step: _Step, generations: Sequence[Generation], wire: Wire) -> Json:
    choice = {
        "index": step.choice,
        "text": step.delta["content"],
        "logprobs": None,
        "finish_reason": step.finish,
    }
    return {"choices": [choice]} | _usage_so_far(generations, wire)


def _usage_so_far(generations: Sequence[Generation], wire: Wire) -> Json:
    if wire.question.usage_each:
        return {"usage": wire.usage(generations)}
    is_null = wire.product.usage_nulls and wire.question.states_usage
    return {"usage": None} if is_null else {}
