"""OpenAI's list of models, with the fields that clients look for beyond OpenAI's own.

Those are OpenRouter's (`context_length`, `architecture`, `pricing` in dollars per token, as text;
`expiration_date`) and vLLM's (`max_model_len`); clients ignore what they do not know. A longest answer is
not stated: Workers AI has none beside the window, and clients take it off their room for the prompt.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

_PRICES: Final = {"input": "prompt", "output": "completion", "cached_input": "input_cache_read"}


class Model(msgspec.Struct, frozen=True):
    """One model that a client may ask for.

    Attributes:
        price: Dollars per million tokens by kind: input, output, cached_input.
        neurons: Neurons per million tokens by the same kinds.
        retires: The day it is planned to go, as YYYY-MM-DD.
    """

    id: str
    created: int
    owned_by: str
    context_length: int | None = None
    capabilities: tuple[str, ...] = ()
    efforts: tuple[str, ...] = ()
    effort: str | None = None
    price: Mapping[str, float] = {}
    neurons: Mapping[str, float] = {}
    retires: str | None = None


def fields(model: Model) -> dict[str, Any]:
    """A model as OpenAI's object; what is not known is left out."""
    inputs = ["text", "image"] if "vision" in model.capabilities else ["text"]
    more: dict[str, Any] = {
        "context_length": model.context_length,
        "max_model_len": model.context_length,
        "capabilities": model.capabilities,
        "architecture": {"input_modalities": inputs, "output_modalities": ["text"]},
        "reasoning_efforts": model.efforts,
        "default_reasoning_effort": model.effort,
        "pricing": {
            _PRICES[kind]: _per_token(price) for kind, price in model.price.items() if kind in _PRICES
        },
        "neurons_per_million_tokens": model.neurons,
        "expiration_date": model.retires,
    }
    known = {name: value for name, value in more.items() if value}
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by, **known}


def _per_token(price: float) -> str:
    """A price per million tokens as one per token, in plain digits."""
    return f"{price / 1_000_000:.12f}".rstrip("0").rstrip(".")


def write_model(model: Model) -> bytes:
    """The body of `GET /v1/models/{id}`."""
    return msgspec.json.encode(fields(model))


def write_list(models: Iterable[Model]) -> bytes:
    """The body of `GET /v1/models`."""
    return msgspec.json.encode({"object": "list", "data": [fields(model) for model in models]})
