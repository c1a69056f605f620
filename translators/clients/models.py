"""OpenAI's list of models."""

from collections.abc import Iterable
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model that a client may ask for. Clients ignore the fields that OpenAI does not have."""

    id: str
    created: int
    owned_by: str
    context_length: int | None = None
    capabilities: tuple[str, ...] = ()


def fields(model: Model) -> dict[str, Any]:
    """A model as OpenAI's object."""
    return {"id": model.id, "object": "model", **msgspec.to_builtins(model)}


def write_model(model: Model) -> bytes:
    """The body of `GET /v1/models/{id}`."""
    return msgspec.json.encode(fields(model))


def write_list(models: Iterable[Model]) -> bytes:
    """The body of `GET /v1/models`."""
    return msgspec.json.encode({"object": "list", "data": [fields(model) for model in models]})
