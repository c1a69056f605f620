"""What Cloudflare says of its models, `/ai/models/search` and `/ai/models/schema`, as facts of ours.

A search states what changes: windows, prices, capabilities, efforts, planned retirements. It says nothing
of a model's wire family; for a model that we do not know, its schema tells most of that. What is read
here goes over the facts that are shipped, and replaces of each what it states.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from translators.backends.workers_ai.catalogue import Catalogue, Facts, Family

DOLLARS_PER_NEURON: Final = 0.000_011  # Cloudflare's pricing page

_TASK: Final = "Text Generation"
_CAPABILITIES: Final = {
    "function_calling": "tools",
    "reasoning": "reasoning",
    "vision": "vision",
    "lora": "lora",
    "beta": "beta",
    "async_queue": "batch",
    "require_workers_paid": "paid",
}
_KINDS: Final = {
    "per M input tokens": "input",
    "per M output tokens": "output",
    "per M cached input tokens": "cached_input",
}
_SWITCHES: Final = frozenset({"toggle", "low_effort", "no_think"})
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")

Json = Mapping[str, Any]


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model's schema tells of the bodies that it takes."""

    family: Family = "unknown"
    content: Literal["string", "text_parts", "image_parts", "openai"] = "string"
    bounds: Literal["seed", "newer"] = "newer"
    json: Literal["response_format", "guided_json", "prompt"] = "prompt"


class Listed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a search states of one model; the names are those of `Facts`.

    Attributes:
        shape: Read from its schema, where we know none of the model.
    """

    window: int | None = None
    can: frozenset[str] = frozenset()
    price: Mapping[str, float] = {}
    efforts: tuple[str, ...] = ()
    effort: str | None = None
    effort_aliases: Mapping[str, str] = {}
    released: str | None = None
    retires: str | None = None
    shape: Shape | None = None


class _Property(msgspec.Struct):
    property_id: str
    value: Any = None


class _Task(msgspec.Struct):
    name: str = ""


class _Item(msgspec.Struct):
    name: str
    task: _Task = msgspec.field(default_factory=_Task)
    created_at: str | None = None
    properties: list[_Property] = []


class _Info(msgspec.Struct):
    total_count: int | None = None


class _Search(msgspec.Struct):
    result: list[_Item]
    result_info: _Info | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a search: its text models, how many entries it has, and how many there are on all pages."""

    models: dict[str, Listed]
    entries: int
    total: int | None


def read_search(body: bytes) -> Page:
    """The text models of an answer to `/ai/models/search`.

    Raises:
        msgspec.MsgspecError: It is no such answer.
    """
    search = msgspec.json.decode(body, type=_Search)
    models = {item.name: _listed(item) for item in search.result if item.task.name == _TASK}
    total = search.result_info.total_count if search.result_info is not None else None
    return Page(models, len(search.result), total)


def _listed(item: _Item) -> Listed:
    stated = {each.property_id: each.value for each in item.properties}
    effort = _object(stated.get("reasoning_effort"))
    efforts = tuple(each for each in _list(effort.get("supported_efforts")) if isinstance(each, str))
    return Listed(
        window=_whole_number(stated.get("context_window")),
        can=frozenset(_capabilities(stated, effort, efforts)),
        price=dict(_prices(stated.get("price"))),
        efforts=efforts,
        effort=_text(effort.get("default_effort")),
        effort_aliases=dict(_aliases(effort.get("normalizes_to"))),
        released=_day(item.created_at),
        retires=_day(stated.get("planned_deprecation_date")),
    )


def _capabilities(stated: Json, effort: Json, efforts: tuple[str, ...]) -> Iterator[str]:
    for name, capability in _CAPABILITIES.items():
        if stated.get(name) in ("true", True):
            yield capability
    # Thinking that can be turned off without a level for it is turned off by the chat template.
    if effort.get("mandatory") is False and efforts and "none" not in efforts:
        yield "toggle"


def _aliases(value: Any) -> Iterator[tuple[str, str]]:
    for alias, effort in _object(value).items():
        if isinstance(effort, str) and alias != "null":  # what stands for no effort at all is the default
            yield alias, effort


def _prices(value: Any) -> Iterator[tuple[str, float]]:
    for each in _list(value):
        kind, price = _KINDS.get(str(_object(each).get("unit"))), _object(each).get("price")
        if kind is not None and isinstance(price, int | float) and not isinstance(price, bool):
            yield kind, price


def refreshed(catalogue: Catalogue, listed: Mapping[str, Listed]) -> Catalogue:
    """The catalogue with what a search has stated; models that it does not list stay as they are."""
    models = {name: _refreshed(catalogue.models.get(name, Facts()), each) for name, each in listed.items()}
    return msgspec.structs.replace(catalogue, models={**catalogue.models, **models})


def _refreshed(facts: Facts, listed: Listed) -> Facts:
    """What the list does not state is kept; what it can only leave out, a capability, goes with it."""
    is_new_window = listed.window is not None and listed.window != facts.advertised
    changes: dict[str, Any] = {
        "window": listed.window if is_new_window else facts.window,
        "advertised": None if is_new_window else facts.advertised,
        # The switches of a chat template are no properties of the list.
        "can": listed.can | (facts.can & _SWITCHES),
        "efforts": listed.efforts or facts.efforts,
        "effort": listed.effort or facts.effort,
        # They are about these levels, and go with them.
        "effort_aliases": listed.effort_aliases if listed.efforts else facts.effort_aliases,
        "released": listed.released or facts.released,
        "retires": listed.retires,
    }
    if facts.family == "unknown" and listed.shape is not None:
        changes |= msgspec.structs.asdict(listed.shape)
    if listed.price and listed.price != facts.price:
        changes |= {"price": listed.price, "neurons": _neurons(listed.price)}
    return msgspec.structs.replace(facts, **changes)


def _neurons(price: Mapping[str, float]) -> dict[str, float]:
    return {kind: round(dollars / DOLLARS_PER_NEURON) for kind, dollars in price.items()}


def read_schema(body: bytes) -> Shape | None:
    """What an answer to `/ai/models/schema` tells; None where it tells nothing.

    Raises:
        msgspec.MsgspecError: It is no JSON object.
    """
    result = _object(msgspec.json.decode(body, type=dict[str, Any]).get("result"))
    fields = dict(_properties(_object(result.get("input"))))
    message = dict(_properties(_object(_object(fields.get("messages")).get("items"))))
    if "messages" not in fields:
        return None
    family = _family(fields, message, dict(_properties(_object(result.get("output")))))
    return Shape(
        family=family,
        content="openai" if family in ("openai", "openai+responses") else _content(message.get("content")),
        bounds="seed" if _object(fields.get("top_p")).get("maximum") == 2 else "newer",
        json=_json(fields),
    )


def _family(fields: Json, message: Json, output: Json) -> Family:
    if "max_completion_tokens" in fields:  # OpenAI's own, which no legacy schema has
        return "openai+responses" if "input" in fields else "openai"
    if "prompt" not in fields and _object(message.get("role")).get("enum") == ["user", "assistant"]:
        return "legacy_guard"
    return "openai_legacy_input" if "choices" in output else "legacy"


def _json(fields: Json) -> Literal["response_format", "guided_json", "prompt"]:
    if "response_format" in fields:
        return "response_format"
    return "guided_json" if "guided_json" in fields else "prompt"


def _content(schema: Any) -> Literal["string", "text_parts", "image_parts"]:
    parts = [each for each in _alternatives(_object(schema)) if each.get("type") == "array"]
    if not parts:
        return "string"
    return (
        "image_parts"
        if "image_url" in _object(_object(parts[0].get("items")).get("properties"))
        else "text_parts"
    )


def _properties(schema: Json) -> Iterator[tuple[str, Any]]:
    """The properties of a schema, and of the forms that it is a choice of."""
    for form in _alternatives(schema):
        yield from _object(form.get("properties")).items()


def _alternatives(schema: Json) -> Iterator[Json]:
    yield schema
    for key in ("anyOf", "oneOf"):
        yield from (each for each in _list(schema.get(key)) if isinstance(each, dict))


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole_number(value: Any) -> int | None:
    """A number of the list, which writes it as text."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _day(value: Any) -> str | None:
    """The day of a moment as the list writes it: `2026-09-30 14:20:40.668`."""
    day = _DAY.match(value) if isinstance(value, str) else None
    return day.group() if day is not None else None
