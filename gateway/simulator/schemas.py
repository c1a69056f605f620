"""The input schemas of the simulated models, as data: what a body may hold and the order it is checked in.

The order is part of the statement. The validator reports the first property that fails, and Cloudflare's
schemas list properties by name, so `max_tokens` is reported before `messages` and `messages` before
`temperature`. Descriptions are left out: nothing depends on them.
"""

from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
# Model page of llama-3.1-8b-instruct-fast: a string holds at most 131,072 characters.
_LONGEST_TEXT = 131_072


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the schema of the seed model and that of its younger siblings differ in numbers."""

    penalty: tuple[float, float]  # frequency_penalty and presence_penalty
    top_p: tuple[float, float]
    text: int | None  # longest prompt and longest message, in UTF-16 code units


# Model page of @cf/meta/llama-3.1-8b-instruct-fast, Parameters.
SEED_BOUNDS = Bounds(penalty=(0, 2), top_p=(0, 2), text=_LONGEST_TEXT)
# cloudflare-docs, llama-3.3-70b-instruct-fp8-fast.json.
NEWER_BOUNDS = Bounds(penalty=(-2, 2), top_p=(0.001, 1), text=None)


def text(longest: int | None, shortest: int | None = None) -> Schema:
    """State a string with optional bounds on its length."""
    bounds = {"maxLength": longest, "minLength": shortest}
    return {**_STRING, **{keyword: bound for keyword, bound in bounds.items() if bound is not None}}


def _number(bounds: tuple[float, float], **more: Any) -> Schema:
    return {"type": "number", "minimum": bounds[0], "maximum": bounds[1], **more}


def _integer(lowest: int, highest: int) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def _object(properties: Schema, *required: str, typed: bool = True) -> Schema:
    stated: Schema = {"type": "object"} if typed else {}
    stated["properties"] = properties
    return {**stated, "required": list(required)} if required else stated


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _sampling(bounds: Bounds) -> Schema:
    """State the parameters that both forms of the input share."""
    return {
        "frequency_penalty": _number(bounds.penalty),
        "max_tokens": {"type": "integer", "default": 256},
        "presence_penalty": _number(bounds.penalty),
        "repetition_penalty": _number((0, 2)),
        "seed": _integer(1, 9_999_999_999),
        "stream": {"type": "boolean", "default": False},
        "temperature": _number((0, 5), default=0.6),
        "top_k": _integer(1, 50),
        "top_p": _number(bounds.top_p),
    }


_IMAGE: Schema = {"oneOf": [_array({"type": "number"}), {**_STRING, "format": "binary"}]}
_RAW: Schema = {"type": "boolean", "default": False}
_RESPONSE_FORMAT: Schema = {
    "title": "JSON Mode",
    **_object({"type": {**_STRING, "enum": ["json_object", "json_schema"]}, "json_schema": {}}),
}
_FUNCTIONS: Schema = _array(_object({"code": _STRING, "name": _STRING}, "name", "code"))
_PARAMETERS: Schema = _object(
    {
        "properties": {
            "type": "object",
            "additionalProperties": _object({"description": _STRING, "type": _STRING}, "type", "description"),
        },
        "required": _array(_STRING),
        "type": _STRING,
    },
    "type",
    "properties",
)
_FLAT_TOOL: Schema = {"description": _STRING, "name": _STRING, "parameters": _PARAMETERS}
_DESCRIBED = ("name", "description", "parameters")
_TOOLS: Schema = _array(
    {
        "type": "object",
        "oneOf": [
            _object(_FLAT_TOOL, *_DESCRIBED, typed=False),
            _object(
                {"function": _object(_FLAT_TOOL, *_DESCRIBED), "type": _STRING},
                "type",
                "function",
                typed=False,
            ),
        ],
    }
)
# The published type is a union of string and parts; whether the live schema spells it oneOf or anyOf is
# not known. oneOf is the stricter: it refuses two parts.
_TEXT_OR_PARTS: Schema = {"oneOf": [_STRING, _array(_object({"type": _STRING, "text": _STRING}))]}


# Models that see pictures in messages also take one part alone; anyOf, as the generated types have it.
_PART = _object({"type": _STRING, "text": _STRING, "image_url": _object({"url": _STRING})})
_IMAGE_PARTS: Schema = {"anyOf": [_STRING, _array(_PART), _PART]}
CONTENTS: dict[str, Schema] = {
    "string": _STRING,
    "text_parts": _TEXT_OR_PARTS,
    "image_parts": _IMAGE_PARTS,
}


def legacy_input(
    bounds: Bounds, *, content: Schema, image: bool, json_mode: bool, guided: bool = False
) -> Schema:
    """State the input of the legacy text-generation family: a prompt or messages, never both."""
    shared = _sampling(bounds)
    if guided:
        shared["guided_json"] = {"type": "object"}
    if image:
        shared["image"] = _IMAGE
    if json_mode:
        shared |= {"raw": _RAW, "response_format": _RESPONSE_FORMAT}
    prompt = {**shared, "lora": _STRING, "prompt": text(bounds.text, shortest=1), "raw": _RAW}
    # Generated types: where messages may hold pictures, neither role nor content is required.
    required = () if content is _IMAGE_PARTS else ("role", "content")
    message = _object({"content": content, "role": _STRING}, *required)
    messages = {**shared, "functions": _FUNCTIONS, "messages": _array(message), "tools": _TOOLS}
    return {
        "type": "object",
        "oneOf": [
            {"title": "Prompt", **_object(_by_name(prompt), "prompt", typed=False)},
            {"title": "Messages", **_object(_by_name(messages), "messages", typed=False)},
        ],
    }


def _by_name(properties: Schema) -> Schema:
    return dict(sorted(properties.items()))


SEED_INPUT = legacy_input(SEED_BOUNDS, content=text(_LONGEST_TEXT), image=True, json_mode=False)
NEWER_INPUT = legacy_input(NEWER_BOUNDS, content=_TEXT_OR_PARTS, image=False, json_mode=True)
# Generated types of llama-guard-3-8b: a plain object, so that its refusals have no list in front.
GUARD_INPUT: Schema = _object(
    {
        "max_tokens": {"type": "number"},
        "messages": _array(
            _object(
                {"role": {**_STRING, "enum": ["user", "assistant"]}, "content": _STRING}, "role", "content"
            )
        ),
        "response_format": {"anyOf": [_object({"type": _STRING})]},
        "temperature": {"type": "number"},
    },
    "messages",
)
