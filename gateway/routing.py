"""Which targets answer for a model: its route's, or Workers AI itself for an id of its open catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import unknown_model
from gateway.settings import ModelRoute, Settings
from translators.backends.workers_ai.catalogue import Catalogue, Facts
from translators.backends.workers_ai.request import is_model_id


@dataclass(frozen=True, slots=True)
class Target:
    """A backend and the model's own name there, with what is known of it."""

    backend: str
    model: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Plan:
    """The targets for one request, in order, and how its parameters are treated."""

    targets: tuple[Target, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False


class Routes:
    """Model -> plan."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._plans = {name: self._plan(route) for name, route in settings.models.items()}
        self._open = [name for name, backend in settings.backends.items() if backend.catalogue == "open"]

    def resolve(self, model: str) -> Plan:
        """The plan for a model.

        Raises:
            ApiError: 404 where nothing serves it.
        """
        plan = self._plans.get(model)
        if plan is not None:
            return plan
        if self._open and is_model_id(model):
            return Plan(tuple(self._target(backend, model) for backend in self._open))
        raise unknown_model(model)

    def models(self) -> Iterable[tuple[str, Facts]]:
        """All models that a client can ask for by a name known beforehand: routes, then the catalogue."""
        for name, plan in self._plans.items():
            yield name, plan.targets[0].facts
        if self._open:
            yield from (
                (name, facts) for name, facts in self._catalogue.models.items() if name not in self._plans
            )

    def facts(self, model: str) -> Facts:
        """The facts of a model that is served.

        Raises:
            ApiError: 404 where nothing serves it.
        """
        return self.resolve(model).targets[0].facts

    def _plan(self, route: ModelRoute) -> Plan:
        targets = tuple(self._target(each.backend, each.model) for each in route.targets)
        defaults = route.defaults.model_dump(exclude_none=True)
        return Plan(targets, defaults, strict=route.translation == "strict")

    def _target(self, backend: str, model: str) -> Target:
        return Target(backend, model, self._catalogue.facts(model))
