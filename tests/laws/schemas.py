"""The input schemas of live models, and two validators that share no code with the translators.

The seed's and the newer schema are stated by the simulator, so that every checkout can be tested; where
the published files lie beside the checkout, a body must satisfy those as well.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from gateway.simulator.schemas import NEWER_INPUT, SEED_INPUT
from gateway.simulator.validator import refusal

_DATA = Path(__file__).parents[3] / "shared" / "data"
_FILES = {
    "seed": "seed/_seed_llama-3.1-8b-instruct-fast.schema.json",
    "newer": "workers-ai-models/_legacy_text_generation.schema.json",
    "vision": "workers-ai-models/llama-4-scout-17b-16e-instruct.json",
}
_STATED = {"seed": SEED_INPUT, "newer": NEWER_INPUT}

Schema = dict[str, Any]
Check = Callable[[Any], str | None]


@cache
def input_schemas(name: str) -> tuple[Schema, ...]:
    """A model's input schema as stated and as published; the test is skipped where there is neither."""
    stated = [_STATED[name]] if name in _STATED else []
    path = _DATA / _FILES[name]
    published = [json.loads(path.read_text())["schema"]["input"]] if path.exists() else []
    if not (stated or published):
        pytest.skip("this model's schema is published only, and the file is not beside this checkout")
    return (*stated, *published)


def input_schema(name: str) -> Schema:
    """A model's input schema."""
    return input_schemas(name)[0]


@cache
def conforming(name: str) -> Check:
    """A validator that follows JSON Schema."""
    validators = [jsonschema_rs.validator_for(schema) for schema in input_schemas(name)]
    return lambda body: next((str(error) for each in validators for error in each.iter_errors(body)), None)


@cache
def cloudflare(name: str) -> Check:
    """A validator that follows Workers AI's own rules: the simulator's."""
    schemas = input_schemas(name)
    return lambda body: next(filter(None, (refusal(schema, body) for schema in schemas)), None)
