"""Which targets answer for a model: its route's, or Workers AI itself for an id of its open catalogue."""

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from gateway.errors import unknown_model
from gateway.settings import ModelRoute, Settings
from translators.backends.workers_ai.catalogue import Catalogue, Facts, Retired
from translators.backends.workers_ai.request import is_model_id

_OPEN_PLANS: Final = 1024  # held ready; clients may ask for any name that an open catalogue could have

_logger: Final = logging.getLogger("penstock")

_LEAST_WINDOW: Final = 256  # tokens; what claims to be smaller is no window
_MOST_LEARNT: Final = 1024  # windows that are kept; an open catalogue has as many names as clients think of


class Target(msgspec.Struct, frozen=True):
    """A backend and the model's own name there, with what is known of it.

    Attributes:
        note: What a client should know of the model: that it is not the one that was asked for.
        room: Tokens that an answer may have, where the backend itself has counted this request's prompt.
    """

    backend: str
    model: str
    facts: Facts
    note: str = ""
    room: int | None = None


class Plan(msgspec.Struct, frozen=True):
    """The targets for one request, in order, and how its parameters are treated."""

    targets: tuple[Target, ...]
    defaults: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strict: bool = False


class Routes:
    """Model -> plan."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._warned: set[str] = set()
        self._open_plan = lru_cache(_OPEN_PLANS)(self._plan_unlisted)
        self._windows: dict[tuple[str, str], int] = {}  # as learnt, by backend and model
        self._models = settings.models
        self._plans = self._plan_all()
        self._open = [name for name, backend in settings.backends.items() if backend.catalogue == "open"]

    def resolve(self, model: str, defaults: Mapping[str, Any] | None = None) -> Plan:
        """The plan for a model; with parameters that stand before the route's own.

        Raises:
            ApiError: 404 where nothing serves it.
        """
        plan = self._plans.get(model) or self._open_plan(model)
        if not defaults:
            return plan
        return msgspec.structs.replace(plan, defaults={**plan.defaults, **defaults})

    def models(self) -> Iterable[tuple[str, Facts]]:
        """All models that a client can ask for by a name known beforehand: routes, then the catalogue."""
        for name, plan in self._plans.items():
            yield name, plan.targets[0].facts
        if self._open:
            first = self._open[0]
            yield from (
                (name, self._as_learnt(first, name, facts))
                for name, facts in self._catalogue.models.items()
                if name not in self._plans
            )

    def facts(self, model: str) -> Facts:
        """The facts of a model that is served.

        Raises:
            ApiError: 404 where nothing serves it.
        """
        return self.resolve(model).targets[0].facts

    def learn(self, target: Target, window: int) -> None:
        """Remember a model's window as its backend told it; catalogues advertise some too high."""
        key = (target.backend, target.model)
        if window < _LEAST_WINDOW or self._windows.get(key) == window:
            return
        self._windows.pop(key, None)
        if len(self._windows) >= _MOST_LEARNT:
            del self._windows[next(iter(self._windows))]
        self._windows[key] = window
        self._plans = self._plan_all()
        self._open_plan.cache_clear()

    def _as_learnt(self, backend: str, model: str, facts: Facts) -> Facts:
        window = self._windows.get((backend, model))
        return facts if window is None else msgspec.structs.replace(facts, window=window)

    def _plan_all(self) -> dict[str, Plan]:
        return {name: self._plan(route) for name, route in self._models.items()}

    def _plan_unlisted(self, model: str) -> Plan:
        """The plan for what an open catalogue may have.

        Raises:
            ApiError: 404 where there is none, or the name can be no model's.
        """
        if not self._open or not is_model_id(model):
            raise unknown_model(model)
        return Plan(tuple(self._target(backend, model) for backend in self._open))

    def _plan(self, route: ModelRoute) -> Plan:
        targets = tuple(self._target(each.backend, each.model) for each in route.targets)
        defaults = route.defaults.model_dump(exclude_none=True)
        return Plan(targets, defaults, strict=route.translation == "strict")

    def _target(self, backend: str, model: str) -> Target:
        """The target; where the model is gone and another answers in its place, that one, and it says so.

        Cloudflare answers such ids with the successor without a word, and at the successor's price.
        """
        facts = self._as_learnt(backend, model, self._catalogue.facts(model))
        gone = self._catalogue.retired.get(model)
        if gone is None:
            if facts.retires is not None:
                self._warn(model, f"Cloudflare plans to retire '{model}' on {facts.retires}")
            return Target(backend, model, facts)
        if gone.successor is None:
            self._warn(model, f"Cloudflare retired '{model}' on {gone.on}; requests for it most likely fail")
            return Target(backend, model, facts)
        facts = self._as_learnt(backend, gone.successor, self._catalogue.facts(gone.successor))
        note = _retirement(model, gone, facts)
        self._warn(model, note)
        return Target(backend, gone.successor, facts, note)

    def _warn(self, model: str, words: str) -> None:
        """Tell the operator, once a model."""
        if model not in self._warned:
            self._warned.add(model)
            _logger.warning("%s.", words)


def _retirement(model: str, gone: Retired, facts: Facts) -> str:
    prices = [f"${dollars:g} {kind.replace('_', ' ')}" for kind, dollars in facts.price.items()]
    price = f" ({', '.join(prices)} per million tokens)" if prices else ""
    return (
        f"Cloudflare retired '{model}' on {gone.on}; '{gone.successor}' answers in its place, "
        f"at its own price{price}"
    )
