"""Which target is asked next, by how they are doing and by what the request needs; or why none can be.

`needs` is what a request needs, `policies` the ways to choose among those that can, `lines` where requests
wait while all are full, `retries` how many may ask once more, `hedges` how many may ask two at once.
"""

from collections.abc import Collection, Iterator
from itertools import groupby
from math import inf
from time import monotonic
from typing import Final

import msgspec

from gateway.balance.hedges import Hedges
from gateway.balance.lines import Lines, Place
from gateway.balance.needs import NOTHING, Needs, lacking, needs_of, needs_within
from gateway.balance.policies import Policies
from gateway.balance.retries import Retries
from gateway.health import LOOK, Condition, Health
from gateway.routing import Plan, Target

__all__ = [
    "NOTHING", "Balancer", "Lines", "Needs", "Obstacle", "Outlook", "Place", "Retries", "Tried", "needs_of",
    "needs_within",
]  # fmt: skip

Tried = Collection[tuple[str, str]]  # backends with their models


class Obstacle(msgspec.Struct, frozen=True):
    """Why a target cannot be asked now.

    Attributes:
        why: drained, aside, open (its breaker), full, or what it lacks.
        wait: Seconds until that may be over; None where nobody knows.
    """

    why: str
    wait: float | None = None


class Outlook(msgspec.Struct, frozen=True):
    """How a target stands for a request of now.

    Attributes:
        place: When it is asked, from 1 on, while those before it fail; None where it is not.
        why: What gave it its place; empty where it has none.
        obstacle: Why it has none; None where it is asked already, standing further up in the plan.
    """

    target: Target
    place: int | None
    why: str = ""
    obstacle: Obstacle | None = None


class Balancer:
    """Chooses targets for one worker.

    Args:
        health: How the backends are doing.
    """

    def __init__(self, health: Health) -> None:
        self.health: Final = health
        self.lines: Final = Lines()
        self.retries: Final = Retries()
        self.hedges: Final = Hedges()
        self._policies = Policies(self._backend_of, self._share_of)

    def choose(self, plan: Plan, needs: Needs = NOTHING, tried: Tried = ()) -> Target | None:
        """The target to ask next; None where none can be asked now."""
        now = monotonic()
        if len(plan.targets) == 1:
            target = plan.targets[0]
            is_free = (target.backend, target.model) not in tried and not self._blocked(
                target, now, alone=True
            )
            return target if is_free else None
        free = self._free(plan, needs, tried, now, one=plan.balance == "ordered")
        return self._policies.pick(plan.balance, plan.route, free, needs) if free else None

    def reserve(self, target: Target) -> None:
        """The target will be asked: nobody else is to look meanwhile whether it is well again."""
        health = self.health
        for each in (health.backends[target.backend], health.of(target.backend, target.model)):
            if each.breaker.until is not None:
                each.breaker.begin()
            if each.look_at != inf:
                each.look_at = monotonic() + LOOK

    def release(self, target: Target) -> None:
        """The target was not asked after all."""
        self._backend_of(target).breaker.left()
        self.health.of(target.backend, target.model).breaker.left()

    def can_choose(self, plan: Plan, needs: Needs, tried: Tried) -> bool:
        """Whether a further target can be asked now."""
        return len(plan.targets) > 1 and bool(self._free(plan, needs, tried, monotonic(), one=True))

    def _free(self, plan: Plan, needs: Needs, tried: Tried, now: float, *, one: bool) -> list[Target]:
        """The targets of the lowest tier that has any that can be asked; or the first one alone."""
        lacks = _lacks(plan, needs)
        free: list[Target] = []
        for target in plan.targets:
            if free and (one or target.tier != free[0].tier):
                break
            if tried and (target.backend, target.model) in tried:
                continue
            if not (lacks and lacking(target, needs)) and not self._blocked(target, now):
                free.append(target)
        return free

    def able(self, plan: Plan, needs: Needs) -> frozenset[tuple[str, str]]:
        """The targets that can answer such a request, busy or not."""
        lacks = _lacks(plan, needs)
        fit = (target for target in plan.targets if not (lacks and lacking(target, needs)))
        return frozenset((target.backend, target.model) for target in fit)

    def obstacles(self, plan: Plan, needs: Needs = NOTHING) -> Iterator[tuple[Target, Obstacle | None]]:
        """Each target, with why it cannot be asked now."""
        now, lacks = monotonic(), _lacks(plan, needs)
        for target in plan.targets:
            lack = lacking(target, needs) if lacks else ""
            yield (
                target,
                Obstacle(lack) if lack else self._obstacle(target, now, alone=len(plan.targets) == 1),
            )

    def outlook(self, plan: Plan, needs: Needs = NOTHING) -> list[Outlook]:
        """All targets: first those that would be asked one after the other, then those that would not.

        Nothing is different after it: choices are tried on a copy of what the policies remember.
        """
        rehearsal = self._policies.rehearsal(plan.route)
        tried: set[tuple[str, str]] = set()
        asked: list[Outlook] = []
        others: list[Outlook] = []
        for _tier, group in groupby(self.obstacles(plan, needs), lambda each: each[0].tier):
            free: list[Target] = []
            for target, obstacle in group:
                if obstacle is None and (target.backend, target.model) not in tried:
                    tried.add((target.backend, target.model))
                    free.append(target)
                else:
                    others.append(Outlook(target, None, "", obstacle))
            while free:
                chosen, why = rehearsal.pick_with_reason(plan.balance, plan.route, free, needs)
                free = [each for each in free if each is not chosen]
                asked.append(Outlook(chosen, len(asked) + 1, why))
        return asked + others

    def _backend_of(self, target: Target) -> Condition:
        return self.health.backends[target.backend]

    def _share_of(self, target: Target) -> float:
        backend = self.health.backends[target.backend].breaker
        model = self.health.of(target.backend, target.model).breaker
        if backend.back_since is None and model.back_since is None:
            return 1.0
        now = monotonic()
        return min(backend.share(now), model.share(now))

    def _blocked(self, target: Target, now: float, *, alone: bool = False) -> bool:
        """Whether a target cannot be asked now; what is cheap to know, for it is asked for every request.

        One that is alone is asked although it was set aside: that costs it nothing, and its own refusal says
        more than ours.
        """
        model = self.health.of(target.backend, target.model)
        if target.most is not None and model.in_flight >= target.most:
            return True
        for each in (self.health.backends[target.backend], model):
            if each.drained or (each.most is not None and each.is_full):
                return True
            if each.breaker.until is not None and not each.breaker.lets_in(now):
                return True
            if each.aside_until > now and not alone and each.is_aside(now):
                return True
        return False

    def _obstacle(self, target: Target, now: float, *, alone: bool) -> Obstacle | None:
        if not self._blocked(target, now, alone=alone):
            return None
        backend, model = self._backend_of(target), self.health.of(target.backend, target.model)
        if backend.drained or model.drained:
            return Obstacle("drained")
        for each in (backend, model):
            if not each.breaker.lets_in(now):
                return Obstacle("open", max(0.0, (each.breaker.until or now) - now))
        aside = max(min(each.aside_until, each.look_at) for each in (backend, model))
        if aside > now and not alone:
            return Obstacle("aside", aside - now)
        return Obstacle("full")


def _lacks(plan: Plan, needs: Needs) -> bool:
    """Whether what targets lack decides: where all lack something, the translator says what."""
    if plan.alike or (not needs.can and not needs.tokens):
        return False
    lacking_some = [bool(lacking(target, needs)) for target in plan.targets]
    return any(lacking_some) and not all(lacking_some)
