"""Strategies for the parameters of a request, each by its name."""

import json
from collections.abc import Mapping

from hypothesis import strategies as st

from tests.laws.bodies.tools import OBJECT_SCHEMAS
from tests.laws.bodies.values import FILLED, JSON_VALUES, NAMES, TEXTS, Strategy, fields

_STOP = FILLED | st.lists(FILLED, min_size=1, max_size=4)
_STRINGS = st.dictionaries(NAMES, TEXTS, max_size=3)
_BIASES = st.dictionaries(st.integers(0, 99).map(str), st.integers(-100, 100), max_size=3)

_SAMPLING: Mapping[str, Strategy] = {
    "temperature": st.floats(0, 2) | st.integers(0, 2),
    "top_p": st.floats(0, 1),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "user": TEXTS,
    "stop": _STOP,
    "logit_bias": _BIASES,
    "n": st.integers(1, 3),
    "stream": st.booleans(),
    "max_tokens": st.integers(1, 10**6),
}

_ENVELOPES = fields(
    {"name": NAMES},
    {"schema": OBJECT_SCHEMAS, "strict": st.none() | st.booleans(), "description": TEXTS},
)
_FORMATS = st.one_of(
    st.just({"type": "text"}),
    st.just({"type": "json_object"}),
    _ENVELOPES.map(lambda envelope: {"type": "json_schema", "json_schema": envelope}),
)
_PLACE = {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}

# Every optional parameter of the chat request but the tools', which hang together.
CHAT_PARAMETERS: Mapping[str, Strategy] = {
    **_SAMPLING,
    "logprobs": st.booleans(),
    "max_completion_tokens": st.integers(1, 10**6),
    "metadata": _STRINGS,
    "modalities": st.just(["text"]),
    "moderation": st.just({"model": "omni-moderation-latest"}),
    "parallel_tool_calls": st.booleans(),
    "prediction": st.sampled_from(["x", [{"type": "text", "text": "x"}]]).map(
        lambda content: {"type": "content", "content": content}
    ),
    "prompt_cache_key": TEXTS,
    "prompt_cache_options": st.just({"ttl": "30m", "mode": "explicit"}),
    "prompt_cache_retention": st.sampled_from(["in_memory", "24h"]),
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "response_format": _FORMATS,
    "safety_identifier": TEXTS,
    "service_tier": st.sampled_from(["auto", "default", "flex", "scale", "priority"]),
    "store": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "verbosity": st.sampled_from(["low", "medium", "high"]),
    "web_search_options": fields(
        {}, {"search_context_size": st.just("low"), "user_location": st.just(_PLACE)}
    ),
}

# What asks for speech: no text model has it.
AUDIO_PARAMETERS: Mapping[str, Strategy] = {
    "audio": st.just({"voice": "alloy", "format": "wav"}),
    "modalities": st.just(["text", "audio"]),
}

TOOL_PARAMETERS = frozenset({"tools", "tool_choice", "functions", "function_call"})

COMPLETION_PARAMETERS: Mapping[str, Strategy] = {
    **_SAMPLING,
    "best_of": st.integers(1, 20),
    "echo": st.booleans(),
    "logprobs": st.integers(0, 5),
    "suffix": st.none() | st.just(""),
}

_CONSTRAINTS = st.one_of(
    fields({"json": OBJECT_SCHEMAS}, {"disable_any_whitespace": st.booleans()}),
    st.sampled_from([{"json_object": True}, {"regex": "a+"}, {"choice": ["a", "b"]}, {"grammar": "g"}, {}]),
)
_REASONING = fields(
    {},
    {
        "effort": st.sampled_from(["none", "low", "high", "max", "huge"]),
        "enabled": st.booleans(),
        "max_tokens": st.integers(-1, 2000),
        "summary": st.just("auto"),
    },
)
_THINKING = fields(
    {}, {"type": st.sampled_from(["enabled", "disabled", "?"]), "budget_tokens": st.integers(-1, 2000)}
)
_TEMPLATE = fields(
    {}, {"enable_thinking": st.booleans(), "clear_thinking": st.booleans(), "low_effort": st.booleans()}
)

# What OpenAI has no name for: Workers AI's own parameters, other servers', and anything else.
EXTRAS: Mapping[str, Strategy] = {
    "top_k": st.integers(-5, 100),
    "repetition_penalty": st.floats(-1, 3),
    "lora": NAMES,
    "raw": st.booleans(),
    "image": st.lists(st.integers(0, 255), max_size=4) | st.text(max_size=8),
    "prompt": TEXTS,
    "guided_json": OBJECT_SCHEMAS | OBJECT_SCHEMAS.map(json.dumps),
    "chat_template_kwargs": _TEMPLATE,
    "options": fields({}, {"rejectIfBusy": st.booleans(), "num_ctx": st.just(1)}),
    "guided_regex": TEXTS,
    "structured_outputs": _CONSTRAINTS,
    "reasoning": _REASONING,
    "thinking": _THINKING | st.booleans(),
    "enable_thinking": st.booleans() | st.just("yes"),
    "input": TEXTS,
    "requests": st.just([]),
    "x" * 70: JSON_VALUES,
    "ünï cödé\n": JSON_VALUES,
}

EVERY_PARAMETER = {
    *CHAT_PARAMETERS,
    *COMPLETION_PARAMETERS,
    *AUDIO_PARAMETERS,
    *TOOL_PARAMETERS,
    *EXTRAS,
}
