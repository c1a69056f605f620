"""Every parameter of OpenAI's chat request, and how it is read.

Source: OpenAI's specification, `CreateChatCompletionRequest`. A parameter that is missing here is a field
that OpenAI has no name for; it goes into `ChatRequest.extra`. Most accept null, which says nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from translators.clients import body
from translators.clients.body import Object

Reader = Callable[[Any, str], Any]


def string_map(value: Any, place: str) -> Object:
    """An object of strings."""
    return {key: body.text(each, f"{place}.{key}") for key, each in body.obj(value, place).items()}


def biases(value: Any, place: str) -> Object:
    """An object of numbers."""
    return {key: body.number(each, f"{place}.{key}") for key, each in body.obj(value, place).items()}


def words(value: Any, place: str) -> list[str]:
    """An array of strings."""
    return [body.text(each, f"{place}[{k}]") for k, each in enumerate(body.array(value, place))]


# Parameters that the common request has a field for; `read` treats them one by one.
STRUCTURAL: Final = frozenset({
    "function_call", "functions", "max_completion_tokens", "max_tokens", "messages", "model", "n",
    "parallel_tool_calls", "response_format", "stop", "stream", "stream_options", "tool_choice", "tools",
})  # fmt: skip

# Parameters that go into `ChatRequest.parameters` under their own name.
PLAIN: Final[Mapping[str, Reader]] = {
    "audio": body.obj,
    "frequency_penalty": body.number,
    "logit_bias": biases,
    "logprobs": body.boolean,
    "metadata": string_map,
    "modalities": words,
    "moderation": body.obj,
    "prediction": body.obj,
    "presence_penalty": body.number,
    "prompt_cache_key": body.text,
    "prompt_cache_options": body.obj,
    "prompt_cache_retention": body.text,
    "reasoning_effort": body.one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "safety_identifier": body.text,
    "seed": body.integer,
    "service_tier": body.text,
    "store": body.boolean,
    "temperature": body.number,
    "top_logprobs": body.IntegerIn(0, 20),
    "top_p": body.number,
    "user": body.text,
    "verbosity": body.one_of("low", "medium", "high"),
    "web_search_options": body.obj,
}

# All that OpenAI has a name for.
OPENAI: Final = STRUCTURAL | PLAIN.keys()

# The client's name -> the common name, where the two differ.
COMMON_NAMES: Final[Mapping[str, str]] = {
    "function_call": "tool_choice",
    "functions": "tools",
    "max_completion_tokens": "max_tokens",
}
