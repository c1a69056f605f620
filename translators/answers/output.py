"""The Responses shape, in which gpt-oss may answer: a list of output items, read as OpenAI's message.

The items are OpenAI's: a message of text parts, reasoning, function calls (OpenAI's specification,
`Response`). It comes whole only.
"""

from typing import Any


def read_output(output: Any, status: Any) -> dict[str, Any]:
    """One choice in OpenAI's chat shape with what the items say."""
    items = [each for each in output if isinstance(each, dict)] if isinstance(output, list) else []
    message = {
        "content": _texts(items, "message", "output_text"),
        "reasoning_content": _texts(items, "reasoning", "reasoning_text"),
        "refusal": _texts(items, "message", "refusal"),
        "tool_calls": [_call(item) for item in items if item.get("type") == "function_call"],
    }
    return {"message": message, "finish_reason": "length" if status == "incomplete" else None}


def _texts(items: list[dict[str, Any]], kind: str, part_kind: str) -> str:
    parts = [
        part
        for item in items
        if item.get("type") == kind and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict) and part.get("type") == part_kind
    ]
    texts = (part.get("text") or part.get("refusal") for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _call(item: dict[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}
