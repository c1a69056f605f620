"""The families of models: a new one is one row here, and every law holds for it or is red.

A family is told by its catalogue row alone; what its models take and answer is stated in tests/laws/schemas
and tests/laws/answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.laws.exchange import CATALOGUE
from translators.backends.workers_ai.catalogue import Facts

UNLISTED: Final = "@cf/somebody/not-in-the-catalogue"


@dataclass(frozen=True)
class Family:
    """Models that are asked in one way, and the shapes in which they answer."""

    name: str
    models: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def _models(belongs: Callable[[Facts], bool]) -> tuple[str, ...]:
    return tuple(model for model, facts in CATALOGUE.models.items() if belongs(facts))


def _of(family: str) -> tuple[str, ...]:
    return _models(lambda facts: facts.family == family and facts.bounds != "seed")


FAMILIES: Final = (
    Family("seed", _models(lambda facts: facts.bounds == "seed")),
    Family("legacy", _of("legacy")),
    Family("openai_legacy_input", _of("openai_legacy_input")),
    Family("openai", _of("openai")),
    Family("openai+responses", _of("openai+responses")),
    Family("legacy_guard", _of("legacy_guard")),
    Family("openai_or_legacy", _of("openai_or_legacy")),
    Family("unknown", (*_of("unknown"), UNLISTED)),
)

# One model of each family.
ONE_OF_EACH: Final = st.tuples(*(st.sampled_from(family.models) for family in FAMILIES))
