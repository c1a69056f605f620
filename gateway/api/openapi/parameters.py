"""The parameters of requests: which there are and what they take is read off the tables that read them.

Here are the sentences about them. A parameter without one, or a sentence about none, is a KeyError or a
failing test.
"""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas import (
    BOOLEAN,
    FILLED,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Schema,
    array,
    either,
    obj,
    of_reader,
    or_null,
    ref,
    said,
)
from translators.backends.workers_ai import parameters as workers_ai
from translators.clients import body, openai_completions
from translators.clients.openai_chat import parameters as openai_chat
from translators.clients.openai_chat.tools import MOST_TOOLS

_POSITIVE: Final[Schema] = {"type": "integer", "minimum": 1}
_CHOICES: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 128}
_ONE_STOP: Final[Schema] = {**FILLED, "maxLength": body.LONGEST_STOP}
_STOP: Final[Schema] = either(_ONE_STOP, array(_ONE_STOP, most=body.MOST_STOPS))
_STREAM_OPTIONS: Final[Schema] = obj(
    include_usage=said(or_null(BOOLEAN), "End the stream with an event that holds the usage."),
    include_obfuscation=said(or_null(BOOLEAN), "Read and not needed: nothing is padded."),
)

_EMBEDDED: Final[Schema] = array(either(ref("Function"), ref("EmbeddedFunction")))

# What has a field of its own in the common request is read one by one, so its schema stands here.
_CHAT: Final[Mapping[str, Schema]] = {
    "function_call": either(ref("FunctionChoiceMode"), ref("NamedFunction")),
    "functions": either(array(ref("Function"), most=MOST_TOOLS), _EMBEDDED),
    "max_completion_tokens": _POSITIVE,
    "max_tokens": _POSITIVE,
    "messages": array(ref("Message"), 1),
    "model": FILLED,
    "n": _CHOICES,
    "parallel_tool_calls": BOOLEAN,
    "response_format": ref("ResponseFormat"),
    "stop": _STOP,
    "stream": BOOLEAN,
    "stream_options": _STREAM_OPTIONS,
    "tool_choice": ref("ToolChoice"),
    "tools": array(ref("Tool"), most=MOST_TOOLS),
}
_COMPLETION: Final[Mapping[str, Schema]] = {
    "echo": BOOLEAN,
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": 2**31},
    "model": FILLED,
    "n": _CHOICES,
    "prompt": either(STRING, array(STRING, 1)),
    "stop": _STOP,
    "stream": BOOLEAN,
    "stream_options": _STREAM_OPTIONS,
    "suffix": {"type": "string", "maxLength": 0},
}
_REQUIRED: Final = frozenset({"messages", "model", "prompt"})

# What OpenAI has no name for and Workers AI takes; which there are is read off its tables.
_EXTRA: Final[Mapping[str, Schema]] = {
    "chat_template_kwargs": OBJECT,
    "image": either(STRING, array(NUMBER)),
    "lora": STRING,
    "options": OBJECT,
    "raw": BOOLEAN,
    "repetition_penalty": NUMBER,
    "top_k": INTEGER,
}

SENTENCES: Final[Mapping[str, str]] = {
    "audio": "Spoken output. Refused: no text model has it.",
    "best_of": "Dropped unless it is 1: the model cannot rank its answers.",
    "chat_template_kwargs": "What the model's chat template is told, such as `enable_thinking`.",
    "echo": "Begin the answer with the prompt.",
    "frequency_penalty": "Penalty by a token's frequency so far; clamped to what the model takes.",
    "function_call": "Deprecated: `tool_choice` for `functions`.",
    "functions": "Deprecated: `tools`. With `code`, the embedded functions of Workers AI.",
    "image": "An image for models that take one beside the messages: base64, or its bytes as numbers.",
    "logit_bias": "Token id -> bias. Dropped where the model takes none.",
    "logprobs": "Log probabilities of the answer's tokens. Dropped where the model reports none.",
    "lora": "Name of a LoRA adapter.",
    "options": "With `rejectIfBusy`: rather have an error at once than wait for a busy model.",
    "max_completion_tokens": "Most tokens of the answer; clamped to the model's window.",
    "max_tokens": "The older name of `max_completion_tokens`, which counts where both are sent.",
    "messages": "The dialogue.",
    "metadata": "Dropped: answers are not stored.",
    "modalities": "What the answer is made of. Only text.",
    "model": "A route's name or a Workers AI id such as `@cf/meta/llama-3.1-8b-instruct-fast`.",
    "moderation": "Dropped: the model moderates nothing.",
    "n": "How many answers; each is a call of its own.",
    "parallel_tool_calls": "Whether an answer may call several tools; false is enforced by the gateway.",
    "prediction": "Dropped: it would only be faster.",
    "presence_penalty": "Penalty on tokens that were used; clamped to what the model takes.",
    "prompt": "The text to go on with, or several.",
    "prompt_cache_key": "Its hash is sent as 'x-session-affinity': such requests meet the same cache.",
    "prompt_cache_options": "Dropped: prompts are cached as the service sees fit.",
    "prompt_cache_retention": "Dropped: prompts are cached as the service sees fit.",
    "raw": "Give the prompt to the model without its chat template.",
    "reasoning_effort": "How much the model thinks; becomes the nearest effort that it has.",
    "repetition_penalty": "Penalty on repeated tokens; clamped to what the model takes.",
    "response_format": "Text, any JSON object, or JSON after a schema. The answer is checked against it.",
    "safety_identifier": "Dropped: Workers AI takes no end-user id.",
    "seed": "Seed of the sampling; folded into the range that the model takes.",
    "service_tier": "Dropped: there is one tier.",
    "stop": "Strings at which the answer ends; they are not part of it.",
    "store": "Dropped unless false: answers are not stored.",
    "stream": "Answer with server-sent events.",
    "stream_options": "Only with `stream`.",
    "suffix": "Only empty: the model cannot fill a gap.",
    "temperature": "Randomness; clamped to what the model takes.",
    "tool_choice": "Whether and which tools the model must call.",
    "tools": "The tools that the model may call.",
    "top_k": "Number of likeliest tokens to sample from; clamped to what the model takes.",
    "top_logprobs": "How many likely tokens to report at each place. Dropped where the model reports none.",
    "top_p": "Share of probability to sample from; clamped to what the model takes.",
    "user": "An end user's id; passed on where the model's schema has it.",
    "verbosity": "Dropped unless it is `medium`: the model has no such setting.",
    "web_search_options": "Dropped: the model cannot search the web.",
}


def chat_request() -> Schema:
    """The body of a chat request."""
    return _request(
        "OpenAI's chat request. What OpenAI allows is translated, emulated or dropped with a word in "
        "`x-penstock-translation`. Unknown fields are dropped in the same way.",
        {name: _CHAT[name] for name in openai_chat.STRUCTURAL}
        | {name: of_reader(read) for name, read in openai_chat.PLAIN.items()},
    )


def completion_request() -> Schema:
    """The body of a completions request."""
    return _request(
        "OpenAI's older completions request: a prompt in, text out.",
        {name: _COMPLETION[name] for name in openai_completions.STRUCTURAL}
        | {name: of_reader(read) for name, read in openai_completions.PLAIN.items()},
    )


def extra_fields() -> frozenset[str]:
    """What Workers AI takes beyond the parameters of OpenAI's two requests."""
    openai = {
        *openai_chat.STRUCTURAL,
        *openai_chat.PLAIN,
        *openai_completions.STRUCTURAL,
        *openai_completions.PLAIN,
    }
    return frozenset({*workers_ai.LEGACY, *workers_ai.OPENAI}) - openai


def _request(description: str, fields: Mapping[str, Schema]) -> Schema:
    every = {**{name: _EXTRA[name] for name in extra_fields()}, **fields}
    properties = {
        name: said(every[name] if name in _REQUIRED else or_null(every[name]), SENTENCES[name])
        for name in sorted(every)
    }
    required = tuple(sorted(_REQUIRED & fields.keys()))
    return obj(description, required=required, **properties)
