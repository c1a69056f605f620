"""The products, a row each: how each spells answers, what it takes, which words it refuses with.

Adding a product is adding a row. Facts are those of vLLM 0.33, SGLang 0.5.23, llama.cpp of October 2026,
Ollama of August 2026, TGI, LMDeploy and TensorRT-LLM, read from their sources; what is inferred says so.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.simulator.words import listed

Errors = Literal["nested", "flat", "llama", "ollama", "tgi", "openai"]
Calls = Literal["pieces", "typed", "nulls", "whole", "tgi"]
Continues = Literal["flags", "flag", "always", "never"]

# Parameters of the two products that have a closed list of them.
_COMMON: Final = listed(
    """model messages prompt frequency_penalty max_tokens presence_penalty response_format seed stop stream
    stream_options temperature tools top_p logprobs top_logprobs reasoning_effort"""
)
_OF_OLLAMA: Final = _COMMON | {"reasoning", "_debug_render_only", "suffix", "echo"}
_OF_TENSORRT: Final = _COMMON | listed(
    """add_generation_prompt add_special_tokens best_of cache_salt chat_template chat_template_kwargs
    conversation_params detokenize disaggregated_params documents early_stopping echo ignore_eos
    include_stop_str_in_output length_penalty logit_bias lora_request max_completion_tokens min_p min_tokens
    n priority prompt_ignore_length repetition_penalty return_context_logits skip_special_tokens
    spaces_between_special_tokens stop_token_ids suffix thinking thinking_token_budget tool_choice top_k
    top_p_min truncate_prompt_tokens use_beam_search user"""
)


@dataclass(frozen=True, slots=True)
class Product:
    """One product.

    Attributes:
        name: As the gateway's settings name it.
        errors: The form of a refusal.
        error_in_stream: What a stream that fails says: an event, then `[DONE]`, or nothing that tells of it.
        guards: What wants the key where one is set: paths that begin like this, but those of `open_paths`.
        open_paths: Paths that want no key.
        knows_models: Whether a model that is not there is refused; others answer for any name.
        takes: The parameters it has; None: all. `ignores`: whether others pass unread, or are refused.
        chooses: What it makes of `tool_choice`: all forms, the words alone, or nothing.
        many: Whether it gives several choices.
        obeys_parallel: Whether it makes one call alone where `parallel_tool_calls` is false.
        named_ends_with: The finish reason of an answer that had to call one named tool.
        role: Whether the first chunk of a stream only states the role, or the first piece of text has it, or
            every chunk; `role_fields` is what a chunk for the role alone says beside it.
        created_each: Whether each chunk has its own time.
        calls: How a call is streamed: in pieces, with `type` in each, with nulls, or whole.
        nulls: Fields that stand empty in each delta.
        thoughts: The field of thinking; None where there is none.
        usage_nulls: Whether all other chunks say `usage: null` where usage was asked for.
        usage_each: Whether it can state the usage on every chunk.
        early: Whether the headers of a stream go out before the first token is there (inferred).
        heartbeat: A comment while a stream is silent, and after how many seconds; 0: only where set.
        continues: When it goes on with the assistant's last message.
        health: The paths that tell of its health; `health_seconds` is what one look takes at least.
        window_text: How it refuses a prompt that is too long.
        message, choice, answer: What a whole answer has beside the usual, empty as it is.
    """

    name: str
    errors: Errors
    error_in_stream: Literal["nested", "object", "tgi", "lost"] = "nested"
    guards: tuple[str, ...] = ("/v1",)
    open_paths: tuple[str, ...] = ()
    knows_models: bool = False
    takes: frozenset[str] | None = None
    ignores: bool = True
    chooses: Literal["all", "words", "nothing"] = "all"
    many: bool = True
    obeys_parallel: bool = True
    named_ends_with: str = "tool_calls"
    role: Literal["alone", "first", "every"] = "alone"
    role_fields: dict[str, Any] = field(default_factory=lambda: {"content": ""})
    created_each: bool = False
    calls: Calls = "pieces"
    nulls: tuple[str, ...] = ()
    thoughts: str | None = "reasoning_content"
    usage_nulls: bool = False
    usage_each: bool = False
    early: bool = True
    heartbeat: tuple[bytes, float] | None = None
    continues: Continues = "never"
    health: tuple[str, ...] = ("/health",)
    health_seconds: float = 0.0
    window_text: str = (
        "This model's maximum context length is {window} tokens. However, you requested {prompt} tokens in "
        "the messages and {answer} in the completion. Please reduce the length of either."
    )
    message: dict[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)


_ROWS: Final = (
    Product(
        "vllm",
        "nested",
        guards=("/v1", "/v2", "/inference", "/cohere"),
        knows_models=True,
        named_ends_with="stop",
        thoughts="reasoning",
        usage_each=True,
        heartbeat=(b": keep-alive\n\n", 0.0),
        continues="flags",
        health=("/health", "/ping"),
        message={
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "tool_calls": [],
            "reasoning": None,
        },
        choice={"stop_reason": None, "token_ids": None},
        answer={
            "service_tier": None,
            "system_fingerprint": None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "kv_transfer_params": None,
        },
    ),
    Product(
        "sglang",
        "flat",
        error_in_stream="object",
        guards=("/",),
        open_paths=("/health", "/health_generate", "/ready", "/metrics"),
        role_fields={"content": ""},
        calls="nulls",
        nulls=("reasoning_content",),
        usage_each=True,
        continues="flag",
        health=("/health", "/health_generate", "/ready"),
        health_seconds=1.0,
        window_text=(
            "The input ({prompt} tokens) is longer than the model's context length ({window} tokens)."
        ),
        message={"reasoning_content": None, "tool_calls": None},
        choice={"matched_stop": None},
        answer={"metadata": {"weight_version": "default"}},
    ),
    Product(
        "llama_cpp",
        "llama",
        guards=("/",),
        open_paths=("/health", "/v1/health", "/models", "/v1/models", "/"),
        chooses="words",
        role_fields={"content": None},
        created_each=True,
        early=False,
        heartbeat=(b":\n\n", 30.0),
        continues="always",
        health=("/health", "/v1/health"),
        window_text=(
            "the request exceeds the available context size ({prompt} of {window} tokens), try increasing it"
        ),
        answer={"system_fingerprint": "b6900-simulated"},
    ),
    Product(
        "ollama",
        "ollama",
        error_in_stream="lost",
        guards=(),
        knows_models=True,
        takes=_OF_OLLAMA,
        chooses="nothing",
        many=False,
        obeys_parallel=False,
        role="first",
        calls="whole",
        thoughts="reasoning",
        early=False,
        health=("/", "/api/version"),
        answer={"system_fingerprint": "fp_ollama"},
    ),
    Product(
        "tgi",
        "tgi",
        error_in_stream="tgi",
        guards=(),
        many=False,
        obeys_parallel=False,
        role="every",
        created_each=True,
        calls="tgi",
        thoughts=None,
        heartbeat=(b":\n\n", 15.0),
        window_text=(
            "`inputs` tokens + `max_new_tokens` must be <= {window}. Given: {prompt} `inputs` tokens and "
            "{answer} `max_new_tokens`"
        ),
        answer={"system_fingerprint": "3.3.6-simulated"},
    ),
    Product(
        "lmdeploy",
        "flat",
        error_in_stream="object",
        guards=("/",),
        open_paths=("/health", "/docs", "/redoc", "/nodes"),
        knows_models=True,
        obeys_parallel=False,
        role="every",
        calls="typed",
        usage_nulls=True,
        message={"reasoning_content": None, "tool_calls": None},
    ),
    Product(
        "tensorrt_llm",
        "flat",
        error_in_stream="object",
        guards=(),
        takes=_OF_TENSORRT,
        ignores=False,
        obeys_parallel=False,
        calls="typed",
        usage_each=True,
        message={"reasoning_content": None, "reasoning": None, "tool_calls": []},
        choice={"stop_reason": None, "disaggregated_params": None, "avg_decoded_tokens_per_iter": None},
        answer={"prompt_token_ids": None},
    ),
    Product(
        "openai",
        "openai",
        knows_models=True,
        named_ends_with="stop",
        role_fields={"content": "", "refusal": None},
        thoughts=None,
        usage_nulls=True,
        health=(),
        message={"refusal": None, "annotations": []},
        answer={"service_tier": "default", "system_fingerprint": "fp_simulated"},
    ),
    Product("generic", "openai", knows_models=True, usage_nulls=True),
)

PRODUCTS: Final[dict[str, Product]] = {row.name: row for row in _ROWS}
