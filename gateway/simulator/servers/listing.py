"""What the products tell of themselves: their models, their health, their load."""

from typing import Any, Final

from gateway.simulator.servers.metrics import Figures
from gateway.simulator.servers.products import Product
from gateway.simulator.servers.refusals import Refusal

_SINCE: Final = 1_750_000_000
_PERMISSION: Final = {
    "id": "modelperm-simulated",
    "object": "model_permission",
    "created": _SINCE,
    "allow_create_engine": False,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}
_OWNERS: Final = {"llama_cpp": "llamacpp", "ollama": "library", "openai": "openai"}
# vLLM and TGI list their models, but show none of them alone (as do others, by what is known).
_SHOW_ONE: Final = {"sglang", "ollama", "openai", "generic"}


def models(product: Product, names: tuple[str, ...], window: int) -> dict[str, Any]:
    """List the models."""
    return {"object": "list", "data": [_model(product, name, window) for name in names]}


def model(product: Product, name: str, names: tuple[str, ...], window: int) -> dict[str, Any] | None:
    """Show one model, where the product shows it."""
    return _model(product, name, window) if product.name in _SHOW_ONE and name in names else None


def shows_one(product: Product) -> bool:
    """Whether there is a path for one model."""
    return product.name in _SHOW_ONE


def _model(product: Product, name: str, window: int) -> dict[str, Any]:
    owner = _OWNERS.get(product.name, product.name)
    if product.name == "ollama" and "/" in name:
        owner = name.partition("/")[0]
    stated: dict[str, Any] = {"id": name, "object": "model", "created": _SINCE, "owned_by": owner}
    match product.name:
        case "vllm":
            stated |= {"root": name, "parent": None, "max_model_len": window, "permission": [_PERMISSION]}
        case "sglang":
            stated |= {"root": name, "parent": None, "max_model_len": window}
        case "llama_cpp":
            stated["meta"] = {"n_vocab": 128_256, "n_ctx": window, "n_ctx_train": 4 * window}
        case "lmdeploy":
            stated |= {"root": name, "parent": None, "permission": [_PERMISSION]}
        case "tgi":
            stated |= {"created": 0, "owned_by": name}
    return stated


def well(product: Product, path: str) -> Refusal:
    """Say that the server is well, as the product says it."""
    match product.name:
        case "llama_cpp":
            return Refusal(200, {"status": "ok"})
        case "ollama":
            return Refusal(200, {"version": "0.12.3"} if path == "/api/version" else "Ollama is running")
        case _:
            return Refusal(200, None)


def load(product: Product, path: str, figures: Figures, names: tuple[str, ...], window: int) -> Any:
    """Tell of load and settings as the product does under this path; None where it has no such path."""
    match product.name, path:
        case "vllm", "/load":
            return {"server_load": figures.running + figures.waiting}
        case "vllm", "/version":
            return {"version": "0.33.0"}
        case "sglang", "/v1/loads":
            queued = {"num_running_reqs": figures.running, "num_waiting_reqs": figures.waiting}
            return {"loads": [{"dp_rank": 0, **queued, "token_usage": figures.fullness}]}
        case "llama_cpp", "/slots":
            busy = range(figures.slots)
            return [{"id": at, "n_ctx": window, "is_processing": at < figures.running} for at in busy]
        case "llama_cpp", "/props":
            return {"total_slots": figures.slots, "default_generation_settings": {"n_ctx": window}}
        case "tgi", "/info":
            return {"model_id": names[0], "max_total_tokens": window, "version": "3.3.6"}
        case _:
            return None
