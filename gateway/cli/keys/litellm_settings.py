"""LiteLLM's configuration written anew as ours: models of Workers AI, and of servers that speak like OpenAI.

LiteLLM serves what is in its list and nothing else, and so do the backends that come of it. A secret that
stands in the file is not copied.
"""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final, NamedTuple

from gateway.cli.keys.plans import NOTHING_LIKE_IT, VARIABLE, Json, Plan, is_count, listed, mapping
from translators.backends.workers_ai.request import is_model_id

_ACCOUNT: Final = re.compile(r"/accounts/([A-Za-z0-9_-]+)/")
_ADDRESS: Final = re.compile(r"https?://[!-~]+")
_OPENAI: Final = "https://api.openai.com/v1"


class _Provider(NamedTuple):
    """What LiteLLM calls so: the product, where it is unless that is said, and the variable of its key."""

    server: str
    base_url: str | None
    variable: str


_PROVIDERS: Final = {
    "hosted_vllm": _Provider("vllm", None, "HOSTED_VLLM_API_KEY"),
    "huggingface": _Provider("tgi", None, "HUGGINGFACE_API_KEY"),
    "llamafile": _Provider("llama_cpp", "http://127.0.0.1:8080/v1", "LLAMAFILE_API_KEY"),
    "lm_studio": _Provider("generic", None, "LM_STUDIO_API_KEY"),
    "ollama": _Provider("ollama", "http://localhost:11434", "OLLAMA_API_KEY"),
    "ollama_chat": _Provider("ollama", "http://localhost:11434", "OLLAMA_API_KEY"),
    "openai": _Provider("openai", _OPENAI, "OPENAI_API_KEY"),
    "openai_like": _Provider("generic", None, "OPENAI_LIKE_API_KEY"),
    "text-completion-openai": _Provider("openai", _OPENAI, "OPENAI_API_KEY"),
}
_LIMITS: Final = {"rpm": "rpm", "tpm": "tpm", "max_parallel_requests": "concurrency"}
_READ: Final = frozenset({
    "model", "custom_llm_provider", "api_key", "api_base", "base_url", "order", "weight", *_LIMITS,
})  # fmt: skip


def settings_of(read: Json) -> Plan:
    """The settings that a configuration becomes."""
    plan = Plan()
    backends: dict[str, Json] = {}
    models: dict[str, Json] = {}
    for number, entry in enumerate(listed(read.get("model_list"))):
        _plan_model(plan, entry, number, backends, models)
    _plan_general(plan, mapping(read.get("general_settings")))
    _plan_settings(plan, mapping(read.get("litellm_settings")))
    for name in read.keys() - {"model_list", "general_settings", "litellm_settings"}:
        plan.left(str(name), NOTHING_LIKE_IT)
    if backends:
        plan.settings["backends"] = backends
    if models:
        plan.settings["models"] = models
    return plan


def _plan_model(
    plan: Plan, entry: Json, number: int, backends: dict[str, Json], models: dict[str, Json]
) -> None:
    parameters = mapping(entry.get("litellm_params"))
    name = str(entry.get("model_name") or f"model {number + 1}")
    what, model = f"model '{name}'", str(parameters.get("model") or "")
    provider, own = _split(model, parameters.get("custom_llm_provider"))
    made = _cloudflare(parameters, own) if provider == "cloudflare" else _server(parameters, provider, own)
    if isinstance(made, str):
        plan.left(what, f"'{model}' {made}")
        return
    backend = _named(made, backends)
    if "*" in own:
        backends[backend].pop("catalogue", None)
        plan.took(what, f"backend {backend}, whose models are asked for under its own names")
    else:
        target = {"backend": backend, "model": own, **_of_target(parameters)}
        models.setdefault(name, {"targets": []})["targets"].append(target)
        plan.took(what, ", ".join([f"target {backend}: {own}", *_said(target)]))
    for parameter in parameters.keys() - _READ:
        plan.left(f"{what} {parameter}", "there is nothing like it in a target")
    if parameters.get("api_key") and not VARIABLE.fullmatch(str(parameters["api_key"])):
        secret = made.get("api_token") or made["api_key"]
        plan.left(f"{what} api_key", f"a secret is not copied: put it into the variable {secret[2:-1]}")


def _split(model: str, told: Any) -> tuple[str, str]:
    """The provider of a model, which may be told beside it, and the name that it has there."""
    before, mark, after = model.partition("/")
    if told:
        return str(told), after if before == told else model
    return (before, after) if mark else ("", model)


def _of_target(parameters: Json) -> Json:
    """What holds for the target alone, as LiteLLM has it."""
    counts: dict[str, int] = {name: int(value) for name, value in parameters.items() if is_count(value)}
    limits = {ours: counts[own] for own, ours in _LIMITS.items() if own in counts}
    found: Json = {"limits": limits} if limits else {}
    if 1 <= counts.get("order", 0) <= 100:
        found["tier"] = counts["order"]
    if 1 <= counts.get("weight", 0) <= 1000:
        found["weight"] = counts["weight"]
    return found


def _said(target: Json) -> Iterator[str]:
    yield from (f"{amount} {name}" for name, amount in target.get("limits", {}).items())
    yield from (f"{name} {target[name]}" for name in ("tier", "weight") if name in target)


def _cloudflare(parameters: Json, own: str) -> Json | str:
    """The backend of a model's account; or why there is none."""
    if "*" not in own and not is_model_id(own):
        return "is no model of Workers AI"
    found = _ACCOUNT.search(str(_base(parameters) or ""))
    return {
        "kind": "workers_ai",
        "account_id": found[1] if found else "${CLOUDFLARE_ACCOUNT_ID}",
        "api_token": _credential(parameters.get("api_key"), "CLOUDFLARE_API_TOKEN"),
        "catalogue": "listed",
    }


def _server(parameters: Json, provider: str, own: str) -> Json | str:
    """The backend of a model's server; or why there is none."""
    known = _PROVIDERS.get(provider)
    if known is None or not own:
        return "is of no kind of backend that there is: Workers AI, and servers that speak OpenAI's API"
    base_url = _written(_base(parameters)) or known.base_url
    if base_url is None:
        return "has no address: an api_base that begins with http:// or https://"
    backend: Json = {"kind": "openai", "base_url": base_url.rstrip("/"), "catalogue": "listed"}
    server = "generic" if known.server == "openai" and not base_url.startswith(_OPENAI) else known.server
    if server != "generic":
        backend["server"] = server
    if parameters.get("api_key") or server == "openai":
        backend["api_key"] = _credential(parameters.get("api_key"), known.variable)
    return backend


def _named(made: Json, backends: dict[str, Json]) -> str:
    """The name of a backend, which is put among the others where it is not there yet."""
    bare = {name: value for name, value in made.items() if name != "catalogue"}
    for name, known in backends.items():
        if {each: value for each, value in known.items() if each != "catalogue"} == bare:
            return name
    base = "cloudflare" if made["kind"] == "workers_ai" else str(made.get("server", "server"))
    name = next(each for each in _names(base) if each not in backends)
    backends[name] = made
    return name


def _names(base: str) -> Iterator[str]:
    yield base
    yield from (f"{base}{number}" for number in count(2))


def _base(parameters: Json) -> Any:
    return parameters.get("api_base") or parameters.get("base_url")


def _written(given: Any) -> str | None:
    """An address, or the variable that holds it as it is written here; None for what is neither."""
    found = VARIABLE.fullmatch(str(given or ""))
    if found:
        return f"${{{found[1]}}}"
    return given if isinstance(given, str) and _ADDRESS.fullmatch(given) else None


def _credential(given: Any, variable: str) -> str:
    """The variable that holds a credential, as it is written here."""
    found = VARIABLE.fullmatch(str(given or ""))
    return f"${{{found[1] if found else variable}}}"


def _plan_general(plan: Plan, general: Json) -> None:
    for name, value in general.items():
        found = VARIABLE.fullmatch(str(value))
        if name == "master_key":
            variable = found[1] if found else "PENSTOCK_MASTER_KEY"
            plan.settings["keys"] = {"master": f"${{{variable}}}"}
            words = f"keys.master, from the variable {variable}"
            plan.took(name, words if found else f"{words}, into which to put it")
        elif name == "database_url":
            plan.left(name, "keys are in the store at redis_url: bring them over with the list of keys")
        else:
            plan.left(name, NOTHING_LIKE_IT)


def _plan_settings(plan: Plan, settings: Json) -> None:
    for name, value in settings.items():
        if name == "drop_params" and value is True:
            plan.took(name, "what a model cannot take is dropped and reported, unless a route is strict")
        elif name == "request_timeout" and isinstance(value, int | float) and value > 0:
            plan.settings["deadlines"] = {"total": float(value)}
            plan.took(name, f"deadlines.total: {float(value):g}")
        else:
            plan.left(name, NOTHING_LIKE_IT)
