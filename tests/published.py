"""The input schemas as Cloudflare published them, which the project does not contain.

They are used where they lie beside the checkout.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

Schema = dict[str, Any]

FOLDER: Final = Path(__file__).parents[2] / "shared" / "data"


_LITERAL: Final[Schema] = {"type": "object", "properties": {}}


@cache
def input_schema(model: str) -> Schema | None:
    """A model's input schema, made usable; None where none is at hand."""
    name = model.rpartition("/")[2]
    seed = FOLDER / "seed" / f"_seed_{name}.schema.json"
    path = seed if seed.exists() else FOLDER / "workers-ai-models" / f"{name}.json"
    published = json.loads(path.read_text()).get("schema") if path.exists() else None
    return None if published is None else repaired(published["input"])


def repaired(schema: Any) -> Any:
    """Undo what generating the schema from types did: literals and filled lists became objects."""
    if isinstance(schema, list):
        return [repaired(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    if schema == _LITERAL:
        return {}
    members = schema.get("anyOf", ())
    if any(member.get("type") == "array" for member in members):  # then it is one of a list, of the empty one
        schema = {**schema, "anyOf": [member for member in members if member != _LITERAL]}
    return {key: repaired(value) for key, value in schema.items()}
