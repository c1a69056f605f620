"""The schemas that live models publish, and two validators that share no code with the translators."""

import importlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

_DATA = Path(__file__).parents[3] / "shared" / "data"
_FILES = {
    "seed": "seed/_seed_llama-3.1-8b-instruct-fast.schema.json",
    "newer": "workers-ai-models/_legacy_text_generation.schema.json",
    "vision": "workers-ai-models/llama-4-scout-17b-16e-instruct.json",
}

Check = Callable[[Any], str | None]


@cache
def input_schema(name: str) -> dict[str, Any]:
    """A model's input schema; the test is skipped where the data is not beside the checkout."""
    path = _DATA / _FILES[name]
    if not path.exists():
        pytest.skip("the models' published schemas are not beside this checkout")
    schema: dict[str, Any] = json.loads(path.read_text())["schema"]["input"]
    return schema


@cache
def conforming(name: str) -> Check:
    """A validator that follows JSON Schema."""
    validator = jsonschema_rs.validator_for(input_schema(name))
    return lambda body: next((str(error) for error in validator.iter_errors(body)), None)


@cache
def cloudflare(name: str) -> Check:
    """A validator that follows Workers AI's own rules: the simulator's."""
    schema = input_schema(name)
    refusal = importlib.import_module("gateway.simulator.validator").refusal
    return lambda body: refusal(schema, body)
