"""What the account says of its models: the search and the schemas."""

from collections.abc import Mapping
from typing import Any

from gateway.simulator import codes, edge
from gateway.simulator.models import Model, entry, find, models


def search(asked: Mapping[str, str]) -> dict[str, Any]:
    """Answer `GET /ai/models/search`; every filter that is stated has to fit.

    `per_page` is ignored, as the live service does.
    """
    found = [entry(model) for model in models().values() if _fits(model, asked)]
    count = len(found)
    page = found if asked.get("page", "1") == "1" else []
    info = {"count": len(page), "page": 1, "per_page": 100, "total_count": count}
    return {"success": True, "result": page, "errors": [], "messages": [], "result_info": info}


def _fits(model: Model, asked: Mapping[str, str]) -> bool:
    author = model.name.split("/")[1]
    return (
        asked.get("search", "").lower() in model.name.lower()
        and asked.get("task", "Text Generation").lower() in {"", "text generation", "text-generation"}
        and asked.get("author", author).lower() in {"", author}
        and not (asked.get("hide_experimental") == "true" and "beta" in model.can)
    )


def schema(name: str, request_id: str) -> dict[str, Any] | edge.Refusal:
    """Answer `GET /ai/models/schema`; what the live service says of an unknown model is inferred."""
    model = find(name)
    if model is None:
        return codes.refusal(5007, model=name, request_id=request_id)
    stated = {"input": model.input, "output": model.output()}
    return {"success": True, "result": stated, "errors": [], "messages": []}
