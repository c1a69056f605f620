"""The Responses wire form that gpt-oss also speaks: `input` as messages, and an answer as output items.

Whole answers only, as documented: such a model does not stream Responses.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.simulator.model import Generation
from gateway.simulator.wire import Wire


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Say a Responses request as a chat request."""
    asked = body.get("input")
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    messages = [_message(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    if isinstance(instructions := body.get("instructions"), str):
        messages.insert(0, {"role": "system", "content": instructions})
    reasoning, text = body.get("reasoning"), body.get("text")
    return {
        **{key: body[key] for key in ("tools", "tool_choice", "temperature", "top_p") if key in body},
        "messages": messages,
        "max_tokens": body.get("max_output_tokens"),
        "reasoning_effort": reasoning.get("effort") if isinstance(reasoning, dict) else None,
        "response_format": _format(text.get("format")) if isinstance(text, dict) else None,
    }


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    match item.get("type"):
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            return {"role": "assistant", "content": "", "tool_calls": [call]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
        case _:
            return {"role": item.get("role"), "content": item.get("content")}


def _format(stated: Any) -> Any:
    """Put the format's schema where Chat Completions has it."""
    if isinstance(stated, dict) and stated.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {"schema": stated.get("schema", {})}}
    return stated


def whole(generation: Generation, wire: Wire) -> dict[str, Any]:
    """Write the `result` of a whole answer."""
    output = list(_items(generation, wire))
    counts = wire.usage([generation])
    is_cut = generation.finish == "length"
    return {
        "id": f"resp_{wire.fingerprint.hex()}",
        "created_at": wire.created,
        "object": "response",
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "error": None,
        "model": wire.model.shown_name,
        "output": output,
        "usage": {
            "input_tokens": counts["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": counts["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": generation.reasoning_tokens},
            "total_tokens": counts["total_tokens"],
            "neurons": counts["neurons"],
        },
    }


def _items(generation: Generation, wire: Wire) -> Iterator[dict[str, Any]]:
    mark = wire.fingerprint.hex()
    if thought := "".join(generation.thoughts()):
        content = [{"type": "reasoning_text", "text": thought}]
        yield {"type": "reasoning", "id": f"rs_{mark}", "summary": [], "content": content}
    text = "".join(generation)
    for index, call in enumerate(generation.calls):
        yield {
            "type": "function_call",
            "id": f"fc_{mark}_{index}",
            "call_id": wire.call_id(0, index, call.name),
            "name": call.name,
            "arguments": wire.arguments(call),
            "status": "completed",
        }
    if text or not generation.calls:
        said = [{"type": "output_text", "text": text, "annotations": []}]
        status = "incomplete" if generation.finish == "length" else "completed"
        yield {"type": "message", "id": f"msg_{mark}", "role": "assistant", "status": status, "content": said}
