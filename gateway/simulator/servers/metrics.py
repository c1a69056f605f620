"""The products' metrics in Prometheus' text, under their own names. How full a cache is, is invented."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

# The second is TensorRT-LLM's; all answer at both (inferred).
PATHS: Final = ("/metrics", "/prometheus/metrics")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a server knows of itself."""

    slots: int
    running: int
    waiting: int
    prompt_tokens: int
    generated_tokens: int
    prefix_tokens_queried: int
    prefix_tokens_hit: int

    @property
    def fullness(self) -> float:
        """How full the memory is: by the share of the slots that are taken."""
        return min(1.0, self.running / self.slots) if self.slots else 1.0

    @property
    def hit_rate(self) -> float:
        """The share of prompt tokens that were known."""
        return self.prefix_tokens_hit / self.prefix_tokens_queried if self.prefix_tokens_queried else 0.0


class _Line(NamedTuple):
    name: str
    kind: str
    figure: str
    labels: str = ""


_VLLM: Final = 'engine="0",model_name="{model}"'
_SGLANG: Final = 'engine_type="unified",model_name="{model}",tp_rank="0",pp_rank="0"'
_LMDEPLOY: Final = 'model_name="{model}",engine="0"'
_LINES: Final[Mapping[str, tuple[_Line, ...]]] = {
    "vllm": (
        _Line("vllm:num_requests_running", "gauge", "running", _VLLM),
        _Line("vllm:num_requests_waiting", "gauge", "waiting", _VLLM),
        _Line("vllm:num_requests_waiting_by_reason", "gauge", "waiting", f'{_VLLM},reason="capacity"'),
        _Line("vllm:kv_cache_usage_perc", "gauge", "fullness", _VLLM),
        _Line("vllm:prefix_cache_queries_total", "counter", "prefix_tokens_queried", _VLLM),
        _Line("vllm:prefix_cache_hits_total", "counter", "prefix_tokens_hit", _VLLM),
        _Line("vllm:prompt_tokens_total", "counter", "prompt_tokens", _VLLM),
        _Line("vllm:generation_tokens_total", "counter", "generated_tokens", _VLLM),
    ),
    "sglang": (
        _Line("sglang:num_running_reqs", "gauge", "running", _SGLANG),
        _Line("sglang:num_queue_reqs", "gauge", "waiting", _SGLANG),
        _Line("sglang:token_usage", "gauge", "fullness", _SGLANG),
        _Line("sglang:utilization", "gauge", "fullness", _SGLANG),
        _Line("sglang:cache_hit_rate", "gauge", "hit_rate", _SGLANG),
        _Line("sglang:prompt_tokens_total", "counter", "prompt_tokens", _SGLANG),
        _Line("sglang:generation_tokens_total", "counter", "generated_tokens", _SGLANG),
    ),
    "llama_cpp": (
        _Line("llamacpp:prompt_tokens_total", "counter", "prompt_tokens"),
        _Line("llamacpp:tokens_predicted_total", "counter", "generated_tokens"),
        _Line("llamacpp:requests_processing", "gauge", "running"),
        _Line("llamacpp:requests_deferred", "gauge", "waiting"),
        _Line("llamacpp:n_busy_slots_per_decode", "gauge", "running"),
    ),
    "tgi": (
        _Line("tgi_queue_size", "gauge", "waiting"),
        _Line("tgi_batch_current_size", "gauge", "running"),
    ),
    "lmdeploy": (
        _Line("lmdeploy:num_requests_running", "gauge", "running", _LMDEPLOY),
        _Line("lmdeploy:num_requests_waiting", "gauge", "waiting", _LMDEPLOY),
        _Line("lmdeploy:gpu_cache_usage_perc", "gauge", "fullness", _LMDEPLOY),
    ),
    "tensorrt_llm": (
        _Line("trtllm_num_requests_running", "gauge", "running", 'model_name="{model}"'),
        _Line("trtllm_num_requests_waiting", "gauge", "waiting", 'model_name="{model}"'),
        _Line("trtllm_kv_cache_utilization", "gauge", "fullness", 'model_name="{model}"'),
    ),
}


def written(product: str, model: str, figures: Figures) -> str | None:
    """Write the metrics; None where the product has none."""
    lines = _LINES.get(product)
    if lines is None:
        return None
    text = ""
    for line in lines:
        labels = f"{{{line.labels.format(model=model)}}}" if line.labels else ""
        described = line.name.replace(":", " ").replace("_", " ")
        text += f"# HELP {line.name} The {described}.\n# TYPE {line.name} {line.kind}\n"
        text += f"{line.name}{labels} {float(getattr(figures, line.figure))}\n"
    return text
