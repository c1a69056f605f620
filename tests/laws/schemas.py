"""What a model's input may be, by validators that share no code with the translators.

The simulator states a schema for every model of the catalogue, so that any checkout can be tested, and
checks bodies as the service does; where a published schema lies beside the checkout, a body must satisfy
that as well. A model of an unknown family may turn out to be of either kind: its bodies must satisfy both.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs

from gateway.simulator import validator
from gateway.simulator.models import models
from gateway.simulator.schemas import NEWER_INPUT, SEED_INPUT
from tests import published
from tests.laws.exchange import CATALOGUE

_STATED = {"seed": SEED_INPUT, "newer": NEWER_INPUT}

Check = Callable[[Any], str | None]


def input_schema(name: str) -> published.Schema:
    """A legacy input schema: `seed` or `newer`."""
    return _STATED[name]


def refusal(model: str, body: Any) -> str | None:
    """Why a model does not take a body, by the first validator that says so; None where all accept it."""
    return next((text for check in _checks(model) if (text := check(body)) is not None), None)


@cache
def _checks(model: str) -> tuple[Check, ...]:
    return tuple(_checks_of(model))


def _checks_of(model: str) -> Iterator[Check]:
    facts = CATALOGUE.facts(model)
    schema = published.input_schema(model)
    if schema is not None:
        yield _conforming(schema)
        if facts.family in {"legacy", "openai_legacy_input", "legacy_guard"}:
            # As published, the others refuse every ordinary request by the service's own rules.
            yield _as_the_service(schema)
    stated = models().get(model)
    if stated is not None:
        yield _conforming(stated.input)
        yield stated.refusal
    if facts.family == "unknown":
        yield _conforming(NEWER_INPUT)
        yield _as_the_service(NEWER_INPUT)


def _conforming(schema: published.Schema) -> Check:
    """A validator that follows JSON Schema."""
    checked = jsonschema_rs.validator_for(schema)
    return lambda body: next((str(error) for error in checked.iter_errors(body)), None)


def _as_the_service(schema: published.Schema) -> Check:
    """A validator that follows Workers AI's own rules: the simulator's."""
    return lambda body: validator.refusal(schema, body)
