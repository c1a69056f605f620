"""The families of models: a new one is one row here, and every law holds for it or is red.

A family is told by its catalogue row alone; what its models take and answer is stated in tests/laws/schemas
and tests/laws/answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.laws.answers import Spoken, Test, one_of, parametrized
from tests.laws.exchange import CATALOGUE
from translators.backends.workers_ai.catalogue import Facts

UNLISTED: Final = "@cf/somebody/not-in-the-catalogue"


@dataclass(frozen=True, repr=False)
class Family:
    """Models that are asked in one way, and the shapes in which they answer, by name."""

    name: str
    models: tuple[str, ...]
    shapes: tuple[str, ...]

    def __repr__(self) -> str:
        return self.name


def _models(belongs: Callable[[Facts], bool]) -> tuple[str, ...]:
    return tuple(model for model, facts in CATALOGUE.models.items() if belongs(facts))


def _of(family: str) -> tuple[str, ...]:
    return _models(lambda facts: facts.family == family and facts.bounds != "seed")


FAMILIES: Final = (
    Family("seed", _models(lambda facts: facts.bounds == "seed"), ("legacy",)),
    Family("legacy", _of("legacy"), ("legacy", "thinking")),
    Family("openai_legacy_input", _of("openai_legacy_input"), ("openai", "completion")),
    Family("openai", _of("openai"), ("openai", "scored")),
    Family("openai+responses", _of("openai+responses"), ("openai", "scored", "responses")),
    Family("legacy_guard", _of("legacy_guard"), ("guard",)),
    Family("openai_or_legacy", _of("openai_or_legacy"), ("legacy", "openai")),
    Family("unknown", (*_of("unknown"), UNLISTED), ("legacy", "openai", "responses")),
)

# One model of each family.
ONE_OF_EACH: Final = st.tuples(*(st.sampled_from(family.models) for family in FAMILIES))


def each_family(test: Test) -> Test:
    """Hold a property for each family, on its share of the examples."""
    return parametrized("family", FAMILIES)(test)


@dataclass(frozen=True)
class Asked:
    """A model, and what it answers."""

    model: str
    answer: Spoken


def asked(family: Family) -> st.SearchStrategy[Asked]:
    """A model of a family with an answer in one of its shapes."""
    return st.builds(Asked, st.sampled_from(family.models), one_of(family.shapes))
