"""Reads what LiteLLM keeps, its list of keys or its configuration, and makes ours of it.

Nothing is sent here: what comes out is a plan, with a line for each thing that is taken over and for each
that is not. LiteLLM stores the plain SHA-256 of a key, so a key goes on working without anybody knowing it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gateway.cli.keys.litellm_settings import settings_of
from gateway.cli.keys.plans import NOTHING_LIKE_IT, Json, Plan, Planned, is_count, mapping

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
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
    "what holds for the team is not in this list: make one, and put its keys into it with --team {team}=NAME"
)
_NO_BUDGETS: Final = "there are no budgets yet"
_WHY: Final = {
    **dict.fromkeys(("max_budget", "soft_budget", "budget_duration"), _NO_BUDGETS),
    "budget_id": "what that budget allows, requests and tokens a minute as well, is not in this list",
    "model_max_budget": _NO_BUDGETS,
    "spend": "what was spent before is not counted here",
    "user_id": "keys have teams and no users; it is in the metadata",
    "allowed_routes": "a key's role says what it may",
}


class NotLiteLLMError(Exception):
    """It is neither a configuration of LiteLLM nor its list of keys; the text says what would be."""


def plan_of(read: Any, teams: Mapping[str, str] | None = None) -> Plan:
    """What to make of a file's content.

    Args:
        read: The content.
        teams: The id of a team there -> what it is called here.

    Raises:
        NotLiteLLMError: There is nothing of LiteLLM in it.
    """
    if isinstance(read, dict) and isinstance(read.get("keys"), list):
        return _of_keys(read["keys"], read.get("total_count"), teams or {})
    if isinstance(read, list):
        return _of_keys(read, None, teams or {})
    if isinstance(read, dict) and read.keys() & {"model_list", "general_settings", "litellm_settings"}:
        return settings_of(read)
    raise NotLiteLLMError(
        "this is neither LiteLLM's configuration, with its model_list, nor its list of keys, as "
        "GET /key/list?return_full_object=true answers it"
    )


def _of_keys(keys: list[Any], total: Any, teams: Mapping[str, str]) -> Plan:
    plan = Plan()
    for number, key in enumerate(keys):
        if isinstance(key, dict):
            _plan_key(plan, key, number, teams.get(str(key.get("team_id") or "")))
        else:
            plan.left(f"key {number + 1}", "only its hash is listed: ask with return_full_object=true")
    if isinstance(total, int) and total > len(keys):
        plan.left("the rest", f"this is one page, with {len(keys)} of {total} keys: fetch &page=2 as well")
    return plan


def _plan_key(plan: Plan, key: Json, number: int, team: str | None) -> None:
    shown = str(key.get("key_name") or "")
    name = _name(str(key.get("key_alias") or shown or f"key {number + 1}"))
    what = f"key '{name}'"
    token = str(key.get("token") or "")
    if why := next(_why_not(key, token, has_team=team is not None), None):
        plan.left(what, why)
        return
    ends, models = _moment(key.get("expires")), _models(key)
    body: Json = {"name": name, "sha256": token, "redacted": _redacted(shown, token)}
    if ends is not None:
        body["expires_at"] = ends.isoformat(timespec="seconds")
    if models is not None:
        body["models"] = models
    if team is not None:
        body["team"] = team
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
    if team is None and key.get("team_id"):
        plan.left(f"{what} team_id", _NO_TEAMS.format(team=key["team_id"]))


def _why_not(key: Json, token: str, *, has_team: bool) -> Iterator[str]:
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
    elif not has_team and _may_use_its_teams(key):
        yield (
            "it may use its team's models, which are not in this list: make a team that may use them, and "
            f"put its keys into it with --team {key.get('team_id') or 'ID'}=NAME"
        )
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
    """The models that a key may use; None for all, of those that its team may where it has one.

    LiteLLM asks both: a key that may use all, or has an empty list, may use what its team may.
    """
    own, teams = set(key.get("models") or ()), key.get("team_models") or []
    if not own or own & _ALL_MODELS:
        names = list(teams)
    else:
        names = [name for each in key["models"] for name in (teams if each == _TEAMS_MODELS else [each])]
    if not names or _ALL_MODELS & set(names):
        return None
    return [name for name in dict.fromkeys(names) if name != _NO_MODELS]


def _may_use_its_teams(key: Json) -> bool:
    """Whether what a key may use is what its team may, and nobody here knows what that is."""
    has_one = key.get("team_id") or _TEAMS_MODELS in (key.get("models") or ())
    return bool(has_one) and not key.get("team_models") and _models(key) is None


def _is_names(value: Any) -> bool:
    return not value or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _tags(key: Json) -> list[str]:
    given = key.get("tags") or mapping(key.get("metadata")).get("tags")
    tags = [str(tag).strip() for tag in given] if isinstance(given, list) else []
    return [tag for tag in tags if tag.isprintable() and 0 < len(tag) <= 64][:64]


def _left_of_key(key: Json) -> Iterator[tuple[str, str]]:
    for name, value in key.items():
        if value and name not in _READ:
            yield name, _WHY.get(name, NOTHING_LIKE_IT)
    kept = _metadata(key)
    for name, value in mapping(key.get("metadata")).items():
        if value and str(name) not in kept and name not in _READ:
            yield f"metadata {name}", "notes are text, at most 16 of them with up to 512 characters"


def _said(body: Json) -> str:
    parts = [f"{count} {name}" for name, count in body.get("limits", {}).items() if name != "per_model"]
    if "per_model" in body.get("limits", {}):
        parts.append("limits per model")
    if "team" in body:
        parts.append(f"team {body['team']}")
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
    return key.get(name) or mapping(key.get("metadata")).get(name)


def _unread_limits(key: Json) -> Iterator[str]:
    """The limits that a key has, and that are none that could hold here."""
    for name in _LIMITS:
        if key.get(name) is not None and not is_count(key[name]):
            yield name
    for name in _PER_MODEL:
        given = _per_model(key, name) or {}
        if not isinstance(given, dict) or not all(map(is_count, given.values())):
            yield name


def _metadata(key: Json) -> dict[str, str]:
    """Notes: those that are text, and what is known of the key in LiteLLM's own terms."""
    notes = {f"litellm_{name}": str(key[name]) for name in ("user_id", "team_id") if key.get(name)}
    notes |= {
        str(name): value for name, value in mapping(key.get("metadata")).items() if isinstance(value, str)
    }
    fitting = {name: value for name, value in notes.items() if 0 < len(name) <= 64 and 0 < len(value) <= 512}
    return dict(list(fitting.items())[:16])


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
