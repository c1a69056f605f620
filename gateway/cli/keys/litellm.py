"""Reads what LiteLLM keeps, its configuration and its list of keys, and makes ours of it.

Nothing is sent here: what comes out is a plan, with a line for each thing that is taken over and for each
that is not. LiteLLM stores the plain SHA-256 of a key, so a key goes on working without anybody knowing it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ACCOUNT: Final = re.compile(r"/accounts/([A-Za-z0-9_-]+)/")
_VARIABLE: Final = re.compile(r"os\.environ/(\w+)")
_LONGEST_NAME: Final = 200

# LiteLLM's words for models that a key may use, which say nothing of our names.
_ALL_MODELS: Final = frozenset({"all-proxy-models", "*"})
_TEAMS_MODELS: Final = "all-team-models"
_NO_MODELS: Final = "no-default-models"
# Of what a key may ask for there, that which is asked for here.
_ASKING: Final = frozenset({"llm_api_routes", "openai_routes", "*"})
_ASKED: Final = re.compile(r"/(v1/)?(chat/)?completions")
_LIMITS: Final = {
    "rpm_limit": "rpm",
    "tpm_limit": "tpm",
    "tpd_limit": "tpd",
    "max_parallel_requests": "concurrency",
}
_PER_MODEL: Final = {"model_rpm_limit": "rpm", "model_tpm_limit": "tpm"}

# What is read above, or says nothing of what a key may.
_READ: Final = frozenset({
    "token", "key_name", "key_alias", "expires", "models", "blocked", "metadata", "tags", "team_id",
    "created_at", "updated_at", "created_by", "updated_by", "last_active", "last_refreshed_at", "api_key",
    "team_models", "team_blocked", "budget_reset_at", "rotation_count", "last_rotation_at", "key_rotation_at",
    "key_type", "user_role", *_PER_MODEL, *_LIMITS,
})  # fmt: skip
_NO_TEAMS: Final = (
    "what holds for the team is not in this list: make one, and put the key into it with "
    "`penstock keys update --team`"
)
_NO_BUDGETS: Final = "there are no budgets yet"
_WHY: Final = {
    **dict.fromkeys(("max_budget", "soft_budget", "budget_duration", "budget_id"), _NO_BUDGETS),
    "model_max_budget": _NO_BUDGETS,
    "spend": "what was spent before is not counted here",
    "user_id": "keys have teams and no users; it is in the metadata",
    "allowed_routes": "a key's role says what it may",
}
_NOTHING_LIKE_IT: Final = "there is nothing like it here"


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one thing: taken over, or not and why."""

    what: str
    words: str
    taken: bool = True

    def __str__(self) -> str:
        return f"{'took' if self.taken else 'left'}  {self.what}: {self.words}"


@dataclass(frozen=True, slots=True)
class Planned:
    """A key to be brought in, as the admin API takes it, and the number of the line that says so."""

    body: Json
    line: int


@dataclass(slots=True)
class Plan:
    """What is to be done: keys to be brought in, and settings to be written."""

    keys: list[Planned] = field(default_factory=list)
    settings: Json = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def took(self, what: str, words: str) -> None:
        """Note what is taken over."""
        self.lines.append(Line(what, words))

    def left(self, what: str, words: str) -> None:
        """Note what is not."""
        self.lines.append(Line(what, words, taken=False))


class NotLiteLLMError(Exception):
    """It is neither a configuration of LiteLLM nor its list of keys; the text says what would be."""


def plan_of(read: Any) -> Plan:
    """What to make of a file's content.

    Raises:
        NotLiteLLMError: There is nothing of LiteLLM in it.
    """
    if isinstance(read, dict) and isinstance(read.get("keys"), list):
        return _of_keys(read["keys"], read.get("total_count"))
    if isinstance(read, list):
        return _of_keys(read, None)
    if isinstance(read, dict) and read.keys() & {"model_list", "general_settings", "litellm_settings"}:
        return _of_configuration(read)
    raise NotLiteLLMError(
        "this is neither LiteLLM's configuration, with its model_list, nor its list of keys, as "
        "GET /key/list?return_full_object=true answers it"
    )


def _of_keys(keys: list[Any], total: Any) -> Plan:
    plan = Plan()
    for number, key in enumerate(keys):
        if isinstance(key, dict):
            _plan_key(plan, key, number)
        else:
            plan.left(f"key {number + 1}", "only its hash is listed: ask with return_full_object=true")
    if isinstance(total, int) and total > len(keys):
        plan.left("the rest", f"this is one page, with {len(keys)} of {total} keys: fetch &page=2 as well")
    return plan


def _plan_key(plan: Plan, key: Json, number: int) -> None:
    shown = str(key.get("key_name") or "")
    name = _name(str(key.get("key_alias") or shown or f"key {number + 1}"))
    what = f"key '{name}'"
    token = str(key.get("token") or "")
    if why := next(_why_not(key, token), None):
        plan.left(what, why)
        return
    ends, models = _moment(key.get("expires")), _models(key)
    body: Json = {"name": name, "sha256": token, "redacted": _redacted(shown, token)}
    if ends is not None:
        body["expires_at"] = ends.isoformat(timespec="seconds")
    if models is not None:
        body["models"] = models
    if limits := _limits(key):
        body["limits"] = limits
    metadata = _metadata(key)
    if metadata:
        body["metadata"] = metadata
    if tags := _tags(key):
        body["tags"] = tags
    plan.keys.append(Planned(body, len(plan.lines)))
    plan.took(what, "its holders go on using it" + (f"; {_said(body)}" if _said(body) else ""))
    for field_name, words in _left_of_key(key):
        plan.left(f"{what} {field_name}", words)


def _why_not(key: Json, token: str) -> Iterator[str]:
    """Why a key is not brought in; above all, that it could then do more than it may there."""
    if not _SHA256.fullmatch(token):
        yield "its token is no SHA-256, so it cannot be known again: make a new one for its holder"
    if key.get("blocked"):
        yield "it is blocked"
    if key.get("team_blocked"):
        yield "its team is blocked"
    if key.get("max_budget") == 0:
        yield "its max_budget is 0, so it may spend nothing"
    yield from _why_it_has_ended(key)
    if not _asks_models(key.get("allowed_routes")):
        yield "its allowed_routes say that it may not ask models there, which is all that it could here"
    if not all(_is_names(key.get(name)) for name in ("models", "team_models")):
        yield "what models it may use cannot be read"
    elif _TEAMS_MODELS in (key.get("models") or ()) and not key.get("team_models"):
        yield "it may use its team's models, which are not in this list: make it a new one in a team"
    for name in _unread_limits(key):
        yield f"its {name} is no whole number"


def _why_it_has_ended(key: Json) -> Iterator[str]:
    ends = _moment(key.get("expires"))
    if ends is None and key.get("expires"):
        yield "when it expires cannot be read"
    if ends is not None and ends <= datetime.now(UTC):
        yield "it has expired"


def _asks_models(routes: Any) -> bool:
    """Whether who may use these routes may ask models."""
    if not routes:
        return True
    given = [str(each) for each in routes] if isinstance(routes, list) else []
    return any(each in _ASKING or _ASKED.fullmatch(each) for each in given)


def _models(key: Json) -> list[str] | None:
    """The models that a key may use; None for all."""
    own, teams = key.get("models") or [], key.get("team_models") or []
    names = [name for each in own or teams for name in (teams if each == _TEAMS_MODELS else [each])]
    if not names or _ALL_MODELS & set(names):
        return None
    return [name for name in names if name != _NO_MODELS]


def _is_names(value: Any) -> bool:
    return not value or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _tags(key: Json) -> list[str]:
    given = key.get("tags") or _mapping(key.get("metadata")).get("tags")
    tags = [str(tag).strip() for tag in given] if isinstance(given, list) else []
    return [tag for tag in tags if tag.isprintable() and 0 < len(tag) <= 64][:64]


def _left_of_key(key: Json) -> Iterator[tuple[str, str]]:
    for name, value in key.items():
        if value and name not in _READ:
            yield name, _WHY.get(name, _NOTHING_LIKE_IT)
    kept = _metadata(key)
    for name, value in _mapping(key.get("metadata")).items():
        if value and str(name) not in kept and name not in _READ:
            yield f"metadata {name}", "notes are text, at most 16 of them with up to 512 characters"
    if key.get("team_id"):
        yield "team_id", _NO_TEAMS


def _said(body: Json) -> str:
    parts = [f"{count} {name}" for name, count in body.get("limits", {}).items() if name != "per_model"]
    if "per_model" in body.get("limits", {}):
        parts.append("limits per model")
    if "models" in body:
        parts.append(f"models {', '.join(body['models'])}")
    if "expires_at" in body:
        parts.append(f"until {body['expires_at']}")
    return ", ".join(parts)


def _limits(key: Json) -> Json:
    limits: Json = {ours: int(key[theirs]) for theirs, ours in _LIMITS.items() if key.get(theirs) is not None}
    per_model: dict[str, Json] = {}
    for theirs, ours in _PER_MODEL.items():
        for model, count in (_per_model(key, theirs) or {}).items():
            per_model.setdefault(str(model), {})[ours] = int(count)
    return {**limits, "per_model": per_model} if per_model else limits


def _per_model(key: Json, name: str) -> Any:
    """Limits for some models, which older versions keep in the metadata."""
    return key.get(name) or _mapping(key.get("metadata")).get(name)


def _unread_limits(key: Json) -> Iterator[str]:
    """The limits that a key has, and that are none that could hold here."""
    for name in _LIMITS:
        if key.get(name) is not None and not _is_count(key[name]):
            yield name
    for name in _PER_MODEL:
        given = _per_model(key, name) or {}
        if not isinstance(given, dict) or not all(map(_is_count, given.values())):
            yield name


def _metadata(key: Json) -> dict[str, str]:
    """Notes: those that are text, and what is known of the key in LiteLLM's own terms."""
    notes = {f"litellm_{name}": str(key[name]) for name in ("user_id", "team_id") if key.get(name)}
    notes |= {
        str(name): value for name, value in _mapping(key.get("metadata")).items() if isinstance(value, str)
    }
    fitting = {name: value for name, value in notes.items() if 0 < len(name) <= 64 and 0 < len(value) <= 512}
    return dict(list(fitting.items())[:16])


def _of_configuration(read: Json) -> Plan:
    plan = Plan()
    backends: dict[str, Json] = {}
    models: dict[str, Json] = {}
    for number, entry in enumerate(_listed(read.get("model_list"))):
        _plan_model(plan, entry, number, backends, models)
    general, settings = _mapping(read.get("general_settings")), _mapping(read.get("litellm_settings"))
    _plan_general(plan, general)
    _plan_settings(plan, settings)
    for name in read.keys() - {"model_list", "general_settings", "litellm_settings"}:
        plan.left(str(name), _NOTHING_LIKE_IT)
    if backends:
        plan.settings["backends"] = backends
    if models:
        plan.settings["models"] = models
    return plan


def _plan_model(
    plan: Plan, entry: Json, number: int, backends: dict[str, Json], models: dict[str, Json]
) -> None:
    parameters = _mapping(entry.get("litellm_params"))
    name = str(entry.get("model_name") or f"model {number + 1}")
    what, model = f"model '{name}'", str(parameters.get("model") or "")
    provider, _, own = model.partition("/")
    if provider != "cloudflare" or not own.startswith("@"):
        plan.left(what, f"'{model}' is not of Workers AI, the one kind of backend that is there yet")
        return
    backend = _backend(parameters, backends)
    targets = models.setdefault(name, {"targets": []})["targets"]
    targets.append({"backend": backend, "model": own})
    plan.took(what, f"target {backend}: {own}")
    limits = {ours: parameters[ours] for ours in ("rpm", "tpm") if _is_count(parameters.get(ours))}
    if limits:
        held = models[name].setdefault("limits", {})
        held.update({ours: held.get(ours, 0) + count for ours, count in limits.items()})
        plan.took(f"{what} {', '.join(limits)}", "a limit of the model on all replicas together")
    for parameter in parameters.keys() - {"model", "api_key", "api_base", "rpm", "tpm"}:
        plan.left(f"{what} {parameter}", "there is nothing like it in a target")


def _backend(parameters: Json, backends: dict[str, Json]) -> str:
    """The backend of a model's account; made where there is none of that yet."""
    found = _ACCOUNT.search(str(parameters.get("api_base") or ""))
    backend = {
        "kind": "workers_ai",
        "account_id": found[1] if found else "${CLOUDFLARE_ACCOUNT_ID}",
        "api_token": _credential(parameters.get("api_key")),
    }
    for name, known in backends.items():
        if known == backend:
            return name
    name = "cloudflare" if not backends else f"cloudflare{len(backends) + 1}"
    backends[name] = backend
    return name


def _credential(given: Any) -> str:
    """A variable's name, as it is written here; a secret that stands in the file is not copied."""
    found = _VARIABLE.fullmatch(str(given or ""))
    return f"${{{found[1]}}}" if found else "${CLOUDFLARE_API_TOKEN}"


def _plan_general(plan: Plan, general: Json) -> None:
    for name, value in general.items():
        found = _VARIABLE.fullmatch(str(value))
        if name == "master_key":
            variable = found[1] if found else "PENSTOCK_MASTER_KEY"
            plan.settings["keys"] = {"master": f"${{{variable}}}"}
            words = f"keys.master, from the variable {variable}"
            plan.took(name, words if found else f"{words}, into which to put it")
        elif name == "database_url":
            plan.left(name, "keys are in the store at redis_url: bring them over with the list of keys")
        else:
            plan.left(name, _NOTHING_LIKE_IT)


def _plan_settings(plan: Plan, settings: Json) -> None:
    for name, value in settings.items():
        if name == "drop_params" and value is True:
            plan.took(name, "what a model cannot take is dropped and reported, unless a route is strict")
        elif name == "request_timeout" and isinstance(value, int | float) and value > 0:
            plan.settings["deadlines"] = {"total": float(value)}
            plan.took(name, f"deadlines.total: {float(value):g}")
        else:
            plan.left(name, _NOTHING_LIKE_IT)


def _moment(given: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(given))
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC)


def _redacted(shown: str, token: str) -> str:
    """What may be shown of the secret: LiteLLM keeps `sk-...abcd`."""
    may_be_shown = shown.isprintable() and len(shown) <= 64 and "..." in shown
    return shown if may_be_shown else f"sk-(sha256 {token[:8]})"


def _name(given: str) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in given)
    return plain.strip()[:_LONGEST_NAME].strip() or "imported"


def _is_count(value: Any) -> bool:
    if isinstance(value, float):
        return value >= 0 and value.is_integer()  # which infinity is not
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
