"""The products that speak OpenAI's API, a row each: what they take, and where they tell of themselves.

Adding a product is adding a row. The facts are those of vLLM 0.33, SGLang 0.5.23, llama.cpp of October 2026,
Ollama of August 2026, TGI, LMDeploy and TensorRT-LLM, read from their sources.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Choice = Literal["all", "modes", "none"]

# What all of them take beside the dialogue, the tools and the format of the answer.
_SAMPLING: Final = frozenset({
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "logprobs", "top_logprobs",
})  # fmt: skip

_OPENAI: Final = _SAMPLING | {
    "logit_bias", "reasoning_effort", "verbosity", "service_tier", "modalities", "audio", "prediction",
    "web_search_options", "store", "metadata", "moderation", "safety_identifier", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "user",
}  # fmt: skip

_MORE_SAMPLING: Final = frozenset({"top_k", "min_p", "repetition_penalty", "min_tokens"})

_VLLM: Final = _SAMPLING | _MORE_SAMPLING | {
    "logit_bias", "stop_token_ids", "ignore_eos", "structured_outputs", "priority", "cache_salt",
    "include_reasoning", "thinking_token_budget", "vllm_xargs", "reasoning_effort", "prompt_logprobs",
    "length_penalty", "skip_special_tokens", "spaces_between_special_tokens", "include_stop_str_in_output",
    "user",
}  # fmt: skip


class Server(msgspec.Struct, frozen=True):
    """One product.

    Attributes:
        name: As it is set in `backends.X.server`.
        takes: Parameters that it takes under their common name; others are dropped unless allowed.
        refuses: Values of these that ask for what happens anyway, and that it refuses: they are left out.
        renames: Common name of a parameter -> its name there.
        limit: The name of the most tokens of an answer.
        tool_choice: What it takes: all forms, the words alone ("auto", "none", "required"), or nothing.
        takes_parallel: Whether it knows `parallel_tool_calls`.
        takes_custom_tools: Whether it knows tools of OpenAI's custom kind.
        format: How it is asked for JSON: as OpenAI is, or in TGI's own form.
        keeps_format: Whether its JSON can be relied on, because its sampler can write nothing else.
        streams_format: Whether such an answer can be had as a stream.
        constraints: What else an answer can be held to, by vLLM's names, and the parameter that says so.
        thoughts: The field in which earlier thinking is sent back; empty where there is none.
        thinks_in_text: Whether thoughts may stand in the text, between tags.
        developer: Whether it knows the role `developer`.
        health: The path, beside `/v1`, that says whether it is well.
        ready: A better one, that costs nothing.
        metrics: The path of its metrics.
        running_metric: The metric of requests in work, queue_metric that of those waiting, saturation_metric
            that of how full its memory of keys and values is, from 0 to 1.
        keep_alive: Seconds for which an idle connection is used again: less than it keeps them itself.
        counts_along: Whether it can say with every piece of a stream how much it has used.
        chooses: Whether it gives several answers to a prompt at once, which it then reads once: it tells them
            apart in streams as well, and counts them all.
        continues: What is added to a body for the model to go on with the assistant's last message; None
            where it cannot be had.
    """

    name: str
    takes: frozenset[str] = _SAMPLING
    refuses: Mapping[str, Any] = {}
    renames: Mapping[str, str] = {}
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    tool_choice: Choice = "all"
    takes_parallel: bool = True
    takes_custom_tools: bool = False
    format: Literal["openai", "tgi"] = "openai"
    keeps_format: bool = True
    streams_format: bool = True
    constraints: Mapping[str, str] = {}
    thoughts: Literal["", "reasoning", "reasoning_content"] = "reasoning_content"
    thinks_in_text: bool = True
    developer: bool = False
    health: str | None = "/health"
    ready: str | None = None
    metrics: str | None = "/metrics"
    running_metric: str | None = None
    queue_metric: str | None = None
    saturation_metric: str | None = None
    keep_alive: float = 15.0
    counts_along: bool = False
    chooses: bool = False
    continues: Mapping[str, Any] | None = None


_ROWS: Final = (
    Server(
        "vllm",
        takes=_VLLM,
        thoughts="reasoning",
        limit="max_completion_tokens",
        running_metric="vllm:num_requests_running",
        queue_metric="vllm:num_requests_waiting",
        saturation_metric="vllm:kv_cache_usage_perc",
        keep_alive=4.0,  # its uvicorn closes after 5 s
        counts_along=True,
        chooses=True,
        continues={"continue_final_message": True, "add_generation_prompt": False},
    ),
    Server(
        "sglang",
        takes=_SAMPLING
        | _MORE_SAMPLING
        | {
            "logit_bias",
            "regex",
            "ebnf",
            "stop_regex",
            "stop_token_ids",
            "ignore_eos",
            "separate_reasoning",
            "cache_salt",
            "priority",
            "reasoning_effort",
            "user",
        },
        limit="max_completion_tokens",
        constraints={"regex": "regex", "grammar": "ebnf"},
        ready="/ready",  # /health has it make a token
        running_metric="sglang:num_running_reqs",
        queue_metric="sglang:num_queue_reqs",
        saturation_metric="sglang:token_usage",
        keep_alive=4.0,
        counts_along=True,
        chooses=True,
        continues={"continue_final_message": True},
    ),
    Server(
        "llama_cpp",
        takes=_SAMPLING
        | (_MORE_SAMPLING - {"min_tokens"})
        | {"logit_bias", "ignore_eos", "grammar", "json_schema", "cache_prompt", "id_slot"}
        | {"reasoning_effort"},
        renames={"repetition_penalty": "repeat_penalty"},
        constraints={"grammar": "grammar"},
        tool_choice="modes",
        running_metric="llamacpp:requests_processing",
        queue_metric="llamacpp:requests_deferred",
        keep_alive=4.0,
        continues={},
    ),
    Server(
        "ollama",
        takes=_SAMPLING | {"reasoning", "reasoning_effort"},
        tool_choice="none",
        takes_parallel=False,
        thoughts="reasoning",
        health="/api/version",
        metrics=None,
    ),
    Server(
        "tgi",  # its `logit_bias` is a list of numbers, of which it makes nothing
        refuses={"top_p": 1},
        takes_parallel=False,
        format="tgi",
        thoughts="",
        running_metric="tgi_batch_current_size",
        queue_metric="tgi_queue_size",
    ),
    Server(
        "lmdeploy",
        takes=_SAMPLING
        | {
            "top_k",
            "repetition_penalty",
            "min_new_tokens",
            "min_p",
            "logit_bias",
            "reasoning_effort",
            "enable_thinking",
            "stop_token_ids",
            "ignore_eos",
            "skip_special_tokens",
            "user",
        },
        renames={"min_tokens": "min_new_tokens"},
        limit="max_completion_tokens",
        takes_parallel=False,
        running_metric="lmdeploy:num_requests_running",
        queue_metric="lmdeploy:num_requests_waiting",
        saturation_metric="lmdeploy:gpu_cache_usage_perc",
        keep_alive=4.0,
    ),
    Server(
        "tensorrt_llm",
        takes=_SAMPLING | {"top_k", "logit_bias", "thinking", "cache_salt", "priority", "user"},
        limit="max_completion_tokens",
        takes_parallel=False,
        metrics="/prometheus/metrics",  # /metrics are figures of its own, in JSON
        running_metric="trtllm_num_requests_running",
        queue_metric="trtllm_num_requests_waiting",
        saturation_metric="trtllm_kv_cache_utilization",
        keep_alive=4.0,
    ),
    Server(
        "openai",
        takes=_OPENAI,
        limit="max_completion_tokens",
        takes_custom_tools=True,
        chooses=True,
        thoughts="",
        thinks_in_text=False,
        developer=True,
        health=None,
        metrics=None,
    ),
    # Cloudflare's own OpenAI-shaped endpoint, `/ai/v1`; set by an account's dialect.
    Server(
        "workers_ai",
        takes=_SAMPLING | {"top_k", "logit_bias", "reasoning_effort", "user"},
        limit="max_completion_tokens",
        keeps_format=False,
        streams_format=False,  # code 5023
        health=None,
        metrics=None,
    ),
    Server(
        "generic",
        takes=_SAMPLING | {"logit_bias", "reasoning_effort", "user"},
        keeps_format=False,
        health=None,
        metrics=None,
    ),
)

SERVERS: Final[Mapping[str, Server]] = {row.name: row for row in _ROWS}


class Served(msgspec.Struct, frozen=True):
    """What is known of a model at such a server.

    Attributes:
        server: The product.
        window: Context window in tokens, prompt and answer together; None where nobody says.
        can: Capabilities: tools, vision, json.
        allow: Further parameters that the operator lets through as they are.
        price: Dollars per million tokens by kind, neurons the same in neurons: known of none of them.
        efforts: Reasoning efforts that it knows, effort the one that it takes by itself.
        released: The day it came, and retires: the day it is planned to go.
    """

    server: Server
    window: int | None = None
    can: frozenset[str] = frozenset({"tools", "vision", "json"})
    allow: frozenset[str] = frozenset()
    price: Mapping[str, float] = {}
    neurons: Mapping[str, float] = {}
    efforts: tuple[str, ...] = ()
    effort: str | None = None
    released: str | None = None
    retires: str | None = None

    def takes(self, parameter: str) -> bool:
        """Whether a parameter goes out as it came."""
        return parameter in self.server.takes or parameter in self.allow

    @property
    def family(self) -> str:
        """Whose it is, where the models of Workers AI have their wire family."""
        return self.server.name
