"""The models of the simulated account, from the catalogue's data file, and how a search shows each."""

import functools
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from gateway.simulator import chat_schemas, schemas, strict, validator

Schema = dict[str, Any]
Family = Literal["legacy", "legacy_guard", "openai", "openai_legacy_input", "openai+responses"]

# The file is data; nothing of the package around it is imported.
_CATALOGUE: Final = Path(__file__).parents[2] / "translators" / "backends" / "workers_ai" / "catalogue.json"
# Granite is typed as legacy. Of Apertus no schema is published; inferred: as all newcomers.
_SERVED_AS: Final[Mapping[str, Family]] = {"openai_or_legacy": "legacy", "unknown": "openai"}
# Neither the seed model nor the LoRA bases are on the pricing page. Inferred: the price of
# llama-3.1-8b-instruct-fp8-fast, a sibling of the seed.
_UNPRICED: Final = {"input": 4_119, "output": 34_868}
# Generated types: no `response_format`, and which have `guided_json`.
_WITHOUT_JSON_MODE: Final = (
    "llama-3.2-11b-vision",
    "mistral-small-3.1",
    "qwq-32b",
    "llama-3.1-8b-instruct-fast",
)
# Nor does any documentation say that these obey it.
_IGNORES_FORMAT: Final = ("mistral-small-3.1", "qwq-32b")
_IGNORES_CHOICE: Final = ("mistral-",)  # `tool_choice` is unsupported there (langchain-cloudflare)
_OPENAI_ALONE: Final = frozenset({"n", "logprobs", "top_logprobs", "max_completion_tokens"})
_GUIDED_JSON: Final = ("mistral-small-3.1", "qwq-32b", "llama-4-scout")
# Reasoning effort: what a model takes another name for (documentation comments of the generated types).
_EFFORT_ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "kimi-k2.6": {"low": "high", "medium": "high", "max": "high"},
    "glm-5.2": {"low": "high", "medium": "high", "xhigh": "max", "minimal": "none"},
    "glm-5.3": {"none": "max", "minimal": "max", "medium": "max", "xhigh": "max"},
    "deepseek-v4": {"minimal": "low", "medium": "high", "xhigh": "high"},
}
_ALWAYS_THINKS: Final = ("gpt-oss", "kimi-k2.7-code", "glm-5.3")
_UNITS: Final = {
    "input": "per M input tokens",
    "output": "per M output tokens",
    "cached_input": "per M cached input tokens",
}
_FLAGS: Final = {
    "tools": "function_calling",
    "reasoning": "reasoning",
    "vision": "vision",
    "lora": "lora",
    "beta": "beta",
    "batch": "async_queue",
    "paid": "require_workers_paid",
}


class _Facts(msgspec.Struct, frozen=True):
    """One row of the data file."""

    family: str
    content: str
    bounds: str
    window: int | None = None
    advertised: int | None = None
    can: frozenset[str] = frozenset()
    price: dict[str, float] = {}
    neurons: dict[str, float] = {}
    efforts: tuple[str, ...] = ()
    effort: str | None = None
    released: str | None = None
    retires: str | None = None


class _Retired(msgspec.Struct, frozen=True):
    """A model that is gone, and the one that answers its requests."""

    successor: str | None = None


class _Catalogue(msgspec.Struct, frozen=True):
    models: dict[str, _Facts]
    retired: dict[str, _Retired] = {}


@dataclass(frozen=True, slots=True)
class Model:
    """One model and its facts."""

    name: str
    family: Family  # the wire form of its input and output
    input: Schema  # what its bodies are checked against
    window: int | None  # tokens of prompt and answer together; None where nobody says
    neurons: tuple[float, float]  # per million prompt tokens and per million completion tokens
    stated: _Facts  # what a search says of it
    can: frozenset[str] = frozenset()
    efforts: tuple[str, ...] = ()
    effort: str | None = None
    alias: str = ""  # the name that it answers under, where that is another

    @property
    def shown_name(self) -> str:
        """The name that answers state."""
        return self.alias or self.name

    @property
    def speaks_openai(self) -> bool:
        """Whether bodies are OpenAI's, not only the answers."""
        return self.family in {"openai", "openai+responses"}

    @property
    def thinks_always(self) -> bool:
        """Whether thinking cannot be turned off."""
        return self.is_any_of(_ALWAYS_THINKS)

    @property
    def effort_aliases(self) -> Mapping[str, str]:
        """Efforts that the model takes for others."""
        return next((aliases for part, aliases in _EFFORT_ALIASES.items() if part in self.name), {})

    def is_any_of(self, parts: tuple[str, ...]) -> bool:
        """Whether the name is one of those, each told by a part of it."""
        return any(self.name.rpartition("/")[2].startswith(part) for part in parts)

    def refusal(self, body: Any) -> str | None:
        """Say why a body is refused; None when it is not."""
        check = strict.refusal if self.speaks_openai else validator.refusal
        return check(self.input, body)

    def understood(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what the model's schema lets through and the model does not look at."""
        ignored = set() if self.speaks_openai else set(_OPENAI_ALONE)
        if "tools" not in self.can:
            ignored.add("tools")
        if self.is_any_of(_IGNORES_CHOICE):
            ignored.add("tool_choice")
        if self.is_any_of(_IGNORES_FORMAT):
            ignored.add("response_format")
        if not self.is_any_of(_GUIDED_JSON):
            ignored.add("guided_json")
        return {key: value for key, value in body.items() if key not in ignored}

    def output(self) -> Schema:
        """State what an answer looks like."""
        openai = self.speaks_openai or self.family == "openai_legacy_input"
        return chat_schemas.CHAT_OUTPUT if openai else chat_schemas.LEGACY_OUTPUT


@functools.cache
def models() -> Mapping[str, Model]:
    """Give the models that are listed."""
    return {name: _model(name, facts) for name, facts in _catalogue().models.items()}


def find(name: str) -> Model | None:
    """Find a model by its id. Some that are gone are answered by others, of which the account says nothing.

    What the live service answers for those without a successor is not confirmed; inferred: as for no model.
    """
    gone = _catalogue().retired.get(name)
    return models().get(gone.successor or name if gone else name)


@functools.cache
def _catalogue() -> _Catalogue:
    return msgspec.json.decode(_CATALOGUE.read_bytes(), type=_Catalogue)


def _model(name: str, facts: _Facts) -> Model:
    neurons = facts.neurons or _UNPRICED
    model = Model(
        name=name,
        family=_SERVED_AS.get(facts.family) or msgspec.convert(facts.family, Family),
        input={},
        window=facts.window,
        neurons=(neurons["input"], neurons["output"]),
        stated=facts,
        can=facts.can,
        efforts=facts.efforts,
        effort=facts.effort,
    )
    return replace(model, input=_input(model, facts))


def _input(model: Model, facts: _Facts) -> Schema:
    if model.family == "legacy_guard":
        return schemas.GUARD_INPUT
    if model.speaks_openai:
        efforts = tuple(dict.fromkeys((*model.efforts, *model.effort_aliases)))
        return chat_schemas.chat_input(efforts, responses=model.family == "openai+responses")
    if facts.bounds == "seed":
        return schemas.SEED_INPUT
    return schemas.legacy_input(
        schemas.NEWER_BOUNDS,
        content=schemas.CONTENTS[facts.content],
        image=model.is_any_of(("llama-3.2-11b-vision",)),
        json_mode=not model.is_any_of(_WITHOUT_JSON_MODE),
        guided=model.is_any_of(_GUIDED_JSON),
    )


def entry(model: Model) -> dict[str, Any]:
    """State a model as a search finds it. The data file has no descriptions, and a day for most."""
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, model.name)),
        "source": 1,
        "name": model.name,
        "description": f"Simulation of {model.name.rpartition('/')[2]}.",
        "task": {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, "Text Generation")),
            "name": "Text Generation",
            "description": "Models that continue text or answer messages.",
        },
        "created_at": f"{model.stated.released or '2025-01-01'} 00:00:00.000",
        "tags": [],
        "properties": [{"property_id": name, "value": value} for name, value in _properties(model)],
    }


def _properties(model: Model) -> Iterator[tuple[str, Any]]:
    stated = model.stated
    if (window := stated.advertised or stated.window) is not None:
        yield "context_window", str(window)
    if stated.price:
        yield (
            "price",
            [
                {"unit": unit, "price": stated.price[kind], "currency": "USD"}
                for kind, unit in _UNITS.items()
                if kind in stated.price
            ],
        )
    if stated.retires:
        yield "planned_deprecation_date", stated.retires
    for flag, name in _FLAGS.items():
        if flag in model.can:
            yield name, "true"
    if model.efforts:
        efforts: dict[str, Any] = {
            "supported_efforts": list(model.efforts),
            "default_effort": model.effort,
            "mandatory": model.thinks_always,
            "default_enabled": True,
        }
        aliases = {"normalizes_to": dict(model.effort_aliases)} if model.effort_aliases else {}
        yield "reasoning_effort", efforts | aliases
