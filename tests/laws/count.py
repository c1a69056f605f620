"""Counts, family by family, what became of generated requests: python -m tests.laws.count [REQUESTS]

Each request is put to one model of each family. A request that ended in a 400 asked for what the model
lacks; where a body that would be sent is refused by a validator, or a 400 has no good reason, the first law
is broken and the exit status is 1.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.laws import bodies, demands, schemas
from tests.laws.exchange import CATALOGUE, translated
from tests.laws.families import FAMILIES, ONE_OF_EACH
from translators.errors import ApiError

REQUESTS = bodies.any_bodies()


@dataclass(frozen=True)
class Verdict:
    """What became of a request to one model."""

    refused: str | None = None  # the parameter that a 400 names
    broken: str | None = None  # how the first law is broken


def judge(body: dict[str, Any], model: str) -> Verdict:
    """Translate a request that OpenAI allows, and hold what would be sent against the model's schema."""
    try:
        exchange = translated(body, model)
    except ApiError as error:
        return Verdict(error.param or "nothing", _without_reason(error, body, model))
    texts = (schemas.refusal(model, sent) for sent in exchange.bodies)
    return Verdict(broken=next((text for text in texts if text is not None), None))


def _without_reason(error: ApiError, body: dict[str, Any], model: str) -> str | None:
    """What is wrong with a refusal: it must be a 400 that names what the model cannot meet."""
    name = error.param
    if error.status != 400 or name is None or f"'{name}" not in error.message:
        return f"{error.status} naming {name}: {error.message}"
    if not demands.cannot_be_met(name, body, CATALOGUE.facts(model)):
        return f"'{name}' can be met: {error.message}"
    return None


@dataclass
class Tally:
    """The verdicts on the requests to one family."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # parameter -> how many 400s name it
    broken: list[str] = field(default_factory=list)

    def add(self, model: str, verdict: Verdict) -> None:
        """Add a verdict."""
        if verdict.broken is not None:
            self.broken.append(f"{model}: {verdict.broken}")
        elif verdict.refused is None:
            self.accepted += 1
        else:
            self.refused[verdict.refused.partition("[")[0]] += 1


def count(requests: int, batch: int = 0) -> dict[str, Tally]:
    """Tallies by family over so many generated requests; another batch has others."""
    tallies = {family.name: Tally() for family in FAMILIES}

    @seed(batch)
    @settings(
        max_examples=requests,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(body=REQUESTS, models=ONE_OF_EACH)
    def put(body: dict[str, Any], models: tuple[str, ...]) -> None:
        for family, model in zip(FAMILIES, models, strict=True):
            tallies[family.name].add(model, judge(body, model))

    put()
    return tallies


def _report(tallies: dict[str, Tally], write: Callable[[str], object]) -> bool:
    """Write the table; whether the law holds."""
    write(f"{'family':20} accepted  refused  share of 400s  which name\n")
    for name, tally in tallies.items():
        refused = tally.refused.total()
        share = refused / (tally.accepted + refused + len(tally.broken))
        reasons = ", ".join(f"{parameter} {times}" for parameter, times in tally.refused.most_common())
        write(f"{name:20} {tally.accepted:8} {len(tally.broken):8} {share:14.1%}  {reasons}\n")
    for text in list(dict.fromkeys(each for tally in tallies.values() for each in tally.broken))[:20]:
        write(f"BROKEN {text[:1000]}\n")
    return not any(tally.broken for tally in tallies.values())


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    sys.exit(0 if _report(count(asked), sys.stdout.write) else 1)
