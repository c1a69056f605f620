"""The schemas of the OpenAI family as data: Chat Completions and a prompt in, for gpt-oss Responses as well.

From Cloudflare's generated types (`ChatCompletionsInput`); bounds where its parameter pages name them. That
such a model also takes `prompt` is documented for gpt-oss. For the others it is inferred: the types have such
a form, and captured refusals begin with a list of forms.
"""

from typing import Any

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_BOOLEAN: Schema = {"type": ["boolean", "null"]}
_NUMBER: Schema = {"type": ["number", "null"]}
_ANYTHING: Schema = {}


def _object(properties: Schema, *required: str) -> Schema:
    stated: Schema = {"type": "object", "properties": properties}
    return {**stated, "required": list(required)} if required else stated


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _any(*options: Schema) -> Schema:
    return {"anyOf": list(options)}


def _within(lowest: float, highest: float) -> Schema:
    return {**_NUMBER, "minimum": lowest, "maximum": highest}


_TEXT_PART = _object({"type": {"const": "text"}, "text": _STRING}, "type", "text")
_TEXT_OR_PARTS = _any(_STRING, _array(_TEXT_PART))
_USER_PART = _any(
    _TEXT_PART,
    _object({"type": {"const": "image_url"}, "image_url": _object({"url": _STRING}, "url")}, "type"),
    _object({"type": {"const": "input_audio"}, "input_audio": _object({})}, "type"),
    _object({"type": {"const": "file"}, "file": _object({})}, "type"),
)
_ASSISTANT_PART = _any(_TEXT_PART, _object({"type": {"const": "refusal"}, "refusal": _STRING}, "type"))
_CALL = _any(
    _object(
        {
            "id": _STRING,
            "type": {"const": "function"},
            "function": _object({"name": _STRING, "arguments": _STRING}, "name", "arguments"),
        },
        "id", "type", "function",
    ),
    _object(
        {
            "id": _STRING,
            "type": {"const": "custom"},
            "custom": _object({"name": _STRING, "input": _STRING}, "name", "input"),
        },
        "id", "type", "custom",
    ),
)  # fmt: skip


def _message(role: str, content: Schema, *required: str, **more: Schema) -> Schema:
    return _object({"role": {"const": role}, "content": content, "name": _STRING, **more}, "role", *required)


_MESSAGE = _any(
    _message("developer", _TEXT_OR_PARTS, "content"),
    _message("system", _TEXT_OR_PARTS, "content"),
    _message("user", _any(_STRING, _array(_USER_PART)), "content"),
    _message(
        "assistant",
        _any(_STRING, {"type": "null"}, _array(_ASSISTANT_PART)),
        refusal={"type": ["string", "null"]},
        tool_calls=_array(_CALL),
    ),
    _message("tool", _TEXT_OR_PARTS, "content", "tool_call_id", tool_call_id=_STRING),
    _message("function", _STRING, "content", "name"),
)
_TOOL = _any(
    _object(
        {
            "type": {"const": "function"},
            "function": _object(
                {"name": _STRING, "description": _STRING, "parameters": _object({}), "strict": _BOOLEAN},
                "name",
            ),
        },
        "type", "function",
    ),
    _object({"type": {"const": "custom"}, "custom": _object({"name": _STRING}, "name")}, "type", "custom"),
)  # fmt: skip
# `any` is not in the schema, but the engine is what refuses it, with another code (8001).
_TOOL_CHOICE = _any(
    {"type": "string", "enum": ["none", "auto", "required", "any"]},
    _object(
        {"type": {"const": "function"}, "function": _object({"name": _STRING}, "name")}, "type", "function"
    ),
    _object({"type": {"const": "custom"}, "custom": _object({"name": _STRING}, "name")}, "type", "custom"),
    _object({"type": {"const": "allowed_tools"}, "allowed_tools": _object({})}, "type", "allowed_tools"),
)
# Typed as OpenAI's envelope; Cloudflare's own provider sends the bare schema, so both pass.
_RESPONSE_FORMAT = _any(
    _object({"type": {"const": "text"}}, "type"),
    _object({"type": {"const": "json_object"}}, "type"),
    _object({"type": {"const": "json_schema"}, "json_schema": _object({})}, "type", "json_schema"),
)
_SHARED: Schema = {
    "chat_template_kwargs": _object({"enable_thinking": _FLAG, "clear_thinking": _FLAG}),
    "frequency_penalty": _within(-2, 2),
    "logit_bias": {"type": ["object", "null"]},
    "logprobs": _BOOLEAN,
    "max_completion_tokens": _NUMBER,
    "max_tokens": _NUMBER,
    "metadata": {"type": ["object", "null"]},
    "model": _STRING,
    "n": _within(1, 128),
    "parallel_tool_calls": _FLAG,
    "presence_penalty": _within(-2, 2),
    "response_format": _RESPONSE_FORMAT,
    "seed": _NUMBER,
    "stop": _any(_STRING, _array(_STRING), {"type": "null"}),
    "store": _BOOLEAN,
    "stream": _BOOLEAN,
    "stream_options": _object({"include_usage": _FLAG, "include_obfuscation": _FLAG}),
    "temperature": _NUMBER,
    "tool_choice": _TOOL_CHOICE,
    "tools": _array(_TOOL),
    "top_logprobs": _within(0, 20),
    "top_p": _NUMBER,
    "user": _STRING,
}  # fmt: skip
_RESPONSES: Schema = {
    "input": _any(_STRING, _array(_object({}))),
    "instructions": {"type": ["string", "null"]},
    "max_output_tokens": _NUMBER,
    "reasoning": {"type": ["object", "null"]},
    "stream": _BOOLEAN,
    "temperature": _NUMBER,
    "text": _object({"format": _object({})}),
    "tool_choice": _ANYTHING,
    "tools": _array(_object({"type": _STRING}, "type")),
    "top_p": _NUMBER,
}


def chat_input(efforts: tuple[str, ...], *, responses: bool) -> Schema:
    """State the input of a model of the OpenAI family that knows these reasoning efforts."""
    shared = dict(_SHARED)
    if efforts:
        shared["reasoning_effort"] = {"enum": [*efforts, None]}
    forms = [
        _object({"prompt": _STRING, **shared}, "prompt"),
        _object({"messages": _array(_MESSAGE), **shared}, "messages"),
    ]
    return _any(*forms, *([_object(_RESPONSES, "input")] if responses else []))


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_USAGE = _object({name: {"type": "number"} for name in _COUNTS})
_LEGACY_CALL = _object({"arguments": _object({}), "name": _STRING})
LEGACY_OUTPUT = _object({"response": _STRING, "tool_calls": _array(_LEGACY_CALL), "usage": _USAGE})
CHAT_OUTPUT = _object(
    {
        "id": _STRING,
        "object": _STRING,
        "created": {"type": "number"},
        "model": _STRING,
        "choices": _array(_object({"index": {"type": "number"}, "finish_reason": _STRING})),
        "usage": _USAGE,
    },
    "id", "object", "created", "model", "choices",
)  # fmt: skip
