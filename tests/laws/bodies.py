"""Strategies for request bodies: whatever OpenAI's specification allows, and worse.

Source: OpenAI's specification, `CreateChatCompletionRequest` and `CreateCompletionRequest`. The bodies are
coherent (a tool choice names a tool, a tool's answer names a call), since what contradicts itself is
refused and would test little.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

Body = dict[str, Any]
Strategy = st.SearchStrategy[Any]

TEXTS = st.text(max_size=24)
FILLED = st.text(min_size=1, max_size=24)
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,11}", fullmatch=True)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)

# One pixel: the smallest image that is one.
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


def _optional(required: Mapping[str, Strategy], optional: Mapping[str, Strategy]) -> Strategy:
    return st.fixed_dictionaries(dict(required), optional=dict(optional))


# ---- Tools

_SCALARS = st.sampled_from(["string", "number", "integer", "boolean"])


def _described(fields: Mapping[str, Strategy]) -> Strategy:
    return _optional(fields, {"description": TEXTS, "title": TEXTS, "default": st.none() | st.integers()})


_LEAVES = st.one_of(
    _described({"type": _SCALARS}),
    _described({"type": st.lists(_SCALARS, min_size=1, max_size=2).map(lambda kinds: [*kinds, "null"])}),
    _described({"anyOf": _SCALARS.map(lambda kind: [{"type": kind}, {"type": "null"}])}),
    _described({"oneOf": st.lists(_SCALARS.map(lambda kind: {"type": kind}), min_size=1, max_size=3)}),
    _described({"enum": st.lists(st.integers() | TEXTS | st.none(), min_size=1, max_size=3)}),
    _described({"const": st.integers() | TEXTS | st.booleans()}),
    _described({"$ref": st.sampled_from(["#/$defs/Leaf", "#/$defs/Node", "#/$defs/Pair", "#"])}),
    st.just({}),
    st.booleans(),
)


def _containers(inner: Strategy) -> Strategy:
    return st.one_of(
        _described({"type": st.just("array"), "items": inner}),
        _described({"type": st.just("object"), "properties": st.dictionaries(TEXTS, inner, max_size=2)}),
        _described({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        _described({"anyOf": st.tuples(inner, st.just({"type": "null"})).map(list)}),
    )


PROPERTIES = st.recursive(_LEAVES, _containers, max_leaves=4)

# What the references above name: a leaf, a schema that contains itself, and two that contain each other.
_DEFINITIONS = {
    "Leaf": {"type": "string", "description": "a leaf"},
    "Node": {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/Node"}, "pair": {"$ref": "#/$defs/Pair"}},
    },
    "Pair": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Node"}, {"$ref": "#/$defs/Leaf"}]}},
}

_PROPERTY_MAPS = st.dictionaries(st.sampled_from(["city", "unitSystem", "a-b", "$ref", "", "π"]), PROPERTIES)

OBJECT_SCHEMAS = st.one_of(
    _optional(
        {"properties": _PROPERTY_MAPS},
        {
            "type": st.just("object"),
            "required": st.lists(st.sampled_from(["city", "a-b", "missing"]), unique=True),
            "additionalProperties": st.booleans(),
            "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
            "title": TEXTS,
        },
    ),
    st.lists(_PROPERTY_MAPS.map(lambda each: {"type": "object", "properties": each}), max_size=2).map(
        lambda members: {"allOf": members}
    ),
    st.just({"type": "object"}),
    st.just({}),
    st.just({"$ref": "#/$defs/Node"}),
).map(lambda schema: {**schema, "$defs": _DEFINITIONS})


def _functions(names: Strategy) -> Strategy:
    return _optional(
        {"name": names},
        {"description": st.none() | TEXTS, "parameters": OBJECT_SCHEMAS, "strict": st.none() | st.booleans()},
    )


_GRAMMAR = st.just({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}})
_CUSTOM = _optional(
    {"name": NAMES}, {"description": TEXTS, "format": st.just({"type": "text"}) | _GRAMMAR}
)  # fmt: skip
TOOLS = st.lists(
    st.one_of(
        _functions(NAMES).map(lambda function: {"type": "function", "function": function}),
        _CUSTOM.map(lambda custom: {"type": "custom", "custom": custom}),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool[tool["type"]]["name"],
)


def _named(tool: Body) -> Body:
    return {"type": tool["type"], tool["type"]: {"name": tool[tool["type"]]["name"]}}


def tool_choices(tools: list[Body]) -> Strategy:
    """Every form of `tool_choice` that some tools allow."""
    if not tools:
        return st.sampled_from(["none", "auto"])
    named = st.sampled_from(tools).map(_named)
    allowed = st.builds(
        lambda mode, some: {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": some}},
        st.sampled_from(["auto", "required"]),
        st.lists(named, min_size=1, max_size=2),
    )
    return st.sampled_from(["none", "auto", "required"]) | named | allowed


# ---- Messages


def _text_part(kind: str = "text") -> Strategy:
    return _optional(
        {"type": st.just(kind), kind: TEXTS},
        {"prompt_cache_breakpoint": st.just({"mode": "explicit"})} if kind == "text" else {},
    )


_TEXT_CONTENT = TEXTS | st.lists(_text_part(), max_size=3)
_URLS = st.sampled_from([PIXEL, "https://example.com/cat.png", "data:image/png;base64,###"])
_MEDIA = st.one_of(
    _optional({"url": _URLS}, {"detail": st.sampled_from(["auto", "low", "high"])}).map(
        lambda image: {"type": "image_url", "image_url": image}
    ),
    st.just({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    st.sampled_from([{"file_id": "file-1"}, {"filename": "a.pdf", "file_data": "JVBERi0="}]).map(
        lambda file: {"type": "file", "file": file}
    ),
)


def _speech(role: str, content: Strategy) -> Strategy:
    return _optional({"role": st.just(role), "content": content}, {"name": NAMES})


def _function_call(call_id: str, name: str, arguments: str) -> Body:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _custom_call(call_id: str, name: str, text: str) -> Body:
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": text}}


_ARGUMENTS = st.sampled_from(["{}", '{"city":"Oslo"}', "", "no json", '{"a":[1,{"b":null}]}'])


@st.composite
def _tool_turns(draw: st.DrawFn) -> list[Body]:
    """An assistant's turn with calls, and the answers to all of them."""
    ids = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=2, unique=True))
    build: Callable[[], Strategy] = lambda: st.sampled_from([_function_call, _custom_call])  # noqa: E731 - short
    calls = [draw(build())(call_id, draw(NAMES), draw(_ARGUMENTS)) for call_id in ids]
    turn: Body = {"role": "assistant", "tool_calls": calls}
    turn |= draw(st.sampled_from([{}, {"content": None}, {"content": ""}, {"content": "Let me see."}]))
    answers = [{"role": "tool", "tool_call_id": call_id, "content": draw(_TEXT_CONTENT)} for call_id in ids]
    return [turn, *answers]


@st.composite
def _function_turns(draw: st.DrawFn) -> list[Body]:
    name = draw(NAMES)
    call = {"name": name, "arguments": draw(_ARGUMENTS)}
    answer = {"role": "function", "name": name, "content": draw(st.none() | TEXTS)}
    return [{"role": "assistant", "content": None, "function_call": call}, answer]


_ASSISTANT = _optional(
    {
        "role": st.just("assistant"),
        "content": TEXTS | st.lists(_text_part() | _text_part("refusal"), max_size=2),
    },
    {
        "refusal": st.none() | TEXTS,
        "name": NAMES,
        "reasoning_content": st.none() | TEXTS,
        "audio": st.none(),
    },
)


def messages(*, media: bool) -> Strategy:
    """A conversation of a few turns, in every role."""
    parts = _text_part() | _MEDIA if media else _text_part()
    single = st.one_of(
        _speech("system", _TEXT_CONTENT),
        _speech("developer", _TEXT_CONTENT),
        _speech("user", TEXTS | st.lists(parts, max_size=3)),
        _ASSISTANT,
    ).map(lambda turn: [turn])
    rounds = st.lists(single | _tool_turns() | _function_turns(), min_size=1, max_size=4)
    return rounds.map(lambda turns: [turn for each in turns for turn in each])


# ---- Parameters

_STOP = FILLED | st.lists(FILLED, min_size=1, max_size=4)
_STRINGS = st.dictionaries(NAMES, TEXTS, max_size=3)

_SAMPLING: Mapping[str, Strategy] = {
    "temperature": st.floats(0, 2) | st.integers(0, 2),
    "top_p": st.floats(0, 1),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "user": TEXTS,
    "stop": _STOP,
}

# Every optional parameter of the chat request but the tools', which hang together.
CHAT_PARAMETERS: Mapping[str, Strategy] = {
    **_SAMPLING,
    "logit_bias": st.dictionaries(st.integers(0, 99).map(str), st.integers(-100, 100), max_size=3),
    "logprobs": st.booleans(),
    "max_completion_tokens": st.integers(1, 10**6),
    "max_tokens": st.integers(1, 10**6),
    "metadata": _STRINGS,
    "modalities": st.just(["text"]),
    "moderation": st.just({"model": "omni-moderation-latest"}),
    "n": st.integers(1, 3),
    "parallel_tool_calls": st.booleans(),
    "prediction": st.just({"type": "content", "content": "x"}),
    "prompt_cache_key": TEXTS,
    "prompt_cache_options": st.just({"ttl": "30m", "mode": "explicit"}),
    "prompt_cache_retention": st.sampled_from(["in_memory", "24h"]),
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "response_format": st.one_of(
        st.just({"type": "text"}),
        st.just({"type": "json_object"}),
        OBJECT_SCHEMAS.map(
            lambda schema: {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        ),
        st.just({"type": "json_schema", "json_schema": {"name": "answer", "strict": True}}),
    ),
    "safety_identifier": TEXTS,
    "service_tier": st.sampled_from(["auto", "default", "flex", "scale", "priority"]),
    "store": st.booleans(),
    "stream": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "verbosity": st.sampled_from(["low", "medium", "high"]),
    "web_search_options": st.just({"search_context_size": "low"}),
}

# What asks for speech: this family refuses it.
AUDIO_PARAMETERS: Mapping[str, Strategy] = {
    "audio": st.just({"voice": "alloy", "format": "wav"}),
    "modalities": st.just(["text", "audio"]),
}

TOOL_PARAMETERS = frozenset({"tools", "tool_choice", "functions", "function_call"})

# What OpenAI has no name for: Workers AI's own parameters, other servers', and anything else.
EXTRAS: Mapping[str, Strategy] = {
    "top_k": st.integers(-5, 100),
    "repetition_penalty": st.floats(-1, 3),
    "lora": NAMES,
    "raw": st.booleans(),
    "image": st.lists(st.integers(0, 255), max_size=4) | st.text(max_size=8),
    "prompt": TEXTS,
    "guided_json": st.just({"type": "object"}),
    "chat_template_kwargs": st.just({"enable_thinking": False}),
    "x" * 70: JSON_VALUES,
    "ünï cödé\n": JSON_VALUES,
}

_EMBEDDED = st.lists(NAMES.map(lambda name: {"name": name, "code": "return 1"}), min_size=1, max_size=2)


@st.composite
def _tool_fields(draw: st.DrawFn) -> Body:
    """Tools of today, deprecated functions, both, or none; with a choice that they allow."""
    body: Body = {}
    tools: list[Body] = []
    if draw(st.booleans()):
        tools = body["tools"] = draw(TOOLS)
    if draw(st.integers(0, 3)) == 0:
        functions = draw(
            st.lists(_functions(NAMES), min_size=1, max_size=2, unique_by=lambda each: each["name"])
        )
        body["functions"] = functions
        if not tools:
            tools = [{"type": "function", "function": each} for each in functions]
        names = [tool["function"]["name"] for tool in tools if tool["type"] == "function"]
        if draw(st.booleans()):
            choices = ["none", "auto", *({"name": name} for name in names)]
            body["function_call"] = draw(st.sampled_from(choices))
    elif draw(st.integers(0, 7)) == 0:
        body["functions"] = draw(_EMBEDDED)
    if draw(st.booleans()):
        body["tool_choice"] = draw(tool_choices(tools))
    return body


@st.composite
def _fields(draw: st.DrawFn, parameters: Mapping[str, Strategy], least: int = 0) -> Body:
    """Some of the parameters; now and then one of them is null."""
    names = draw(st.lists(st.sampled_from(sorted(parameters)), unique=True, min_size=least, max_size=8))
    return {name: None if draw(st.integers(0, 7)) == 0 else draw(parameters[name]) for name in names}


def _with_stream_options(draw: st.DrawFn, body: Body) -> Body:
    if body.get("stream") and draw(st.booleans()):
        options = _optional({}, {"include_usage": st.booleans(), "include_obfuscation": st.booleans()})
        body["stream_options"] = draw(st.none() | options)
    return body


@st.composite
def chat_bodies(draw: st.DrawFn, *, media: bool = True, extras: bool = True) -> Body:
    """A body for `/v1/chat/completions`. Without media, nothing is asked that this family lacks."""
    body: Body = {"model": "small", "messages": draw(messages(media=media))}
    body |= draw(_tool_fields())
    body |= draw(_fields(CHAT_PARAMETERS))
    if media and draw(st.integers(0, 9)) == 0:
        body |= draw(_fields(AUDIO_PARAMETERS))
    if extras:
        body |= draw(_fields(EXTRAS))
    return _with_stream_options(draw, body)


COMPLETION_PARAMETERS: Mapping[str, Strategy] = {
    **_SAMPLING,
    "best_of": st.integers(1, 20),
    "echo": st.booleans(),
    "logit_bias": CHAT_PARAMETERS["logit_bias"],
    "logprobs": st.integers(0, 5),
    "max_tokens": st.integers(1, 10**6),
    "n": st.integers(1, 3),
    "stream": st.booleans(),
    "suffix": st.none() | st.just(""),
}


@st.composite
def completion_bodies(draw: st.DrawFn) -> Body:
    """A body for `/v1/completions`."""
    body: Body = {"model": "small", "prompt": draw(FILLED | st.lists(FILLED, min_size=1, max_size=3))}
    body |= draw(_fields(COMPLETION_PARAMETERS))
    body |= {name: value for name, value in draw(_fields(EXTRAS)).items() if name != "prompt"}
    return _with_stream_options(draw, body)


EVERY_PARAMETER = {
    *CHAT_PARAMETERS,
    *COMPLETION_PARAMETERS,
    *AUDIO_PARAMETERS,
    *TOOL_PARAMETERS,
    *EXTRAS,
}


@st.composite
def spoilt(draw: st.DrawFn, bodies: Strategy) -> Body:
    """A body of which some fields hold anything at all, or nothing."""
    body: Body = draw(bodies)
    names = sorted({*body, *EVERY_PARAMETER})
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        value = body.get(name)
        if isinstance(value, list) and value and isinstance(value[-1], dict) and draw(st.booleans()):
            inner = dict(value[-1])
            key = draw(st.sampled_from(sorted(inner) or ["type"]))
            inner[key] = draw(HOSTILE)
            body[name] = [*value[:-1], inner]
        else:
            body[name] = draw(HOSTILE)
    return body


# Numbers that overflow something, references to nowhere, and everything that JSON has.
_NOWHERE = st.sampled_from([
    "#/$defs/none", "#/allOf/" + "9" * 5000, "https://example.com/schema.json", "file:///etc/passwd",
])  # fmt: skip
HOSTILE = st.one_of(
    JSON_VALUES,
    st.sampled_from([10**400, -(10**400), 1e308, 2**64, -1, 0, "", [], {}, [None], {"": None}]),
    _NOWHERE.map(lambda reference: {"type": "object", "properties": {"a": {"$ref": reference}}}),
)
