"""Which targets answer for a model: its route's, the servers that list it, or Workers AI itself.

The last is for ids of its open catalogue.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from gateway.errors import unknown_model
from gateway.quota import quota_of
from gateway.routing.targets import Hedge, Line, Plan, Target
from gateway.settings import ModelRoute, OpenAIBackend, Settings, WorkersAIBackend
from gateway.settings import Target as TargetSettings
from translators.backends.openai_server.servers import SERVERS, Served
from translators.backends.workers_ai.catalogue import Catalogue, Facts, Retired
from translators.backends.workers_ai.request import is_model_id
from translators.errors import ApiError

_OPEN_PLANS: Final = 1024  # held ready; clients may ask for any name that an open catalogue could have

_logger: Final = logging.getLogger("penstock")

_LEAST_WINDOW: Final = 256  # tokens; what claims to be smaller is no window
_BEHIND: Final = 1000  # tiers; a route's own have at most 100

_MOST_LEARNT: Final = 1024  # windows that are kept; an open catalogue has as many names as clients think of


class Routes:
    """Model -> plan."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._warned: set[str] = set()
        self._open_plan = lru_cache(_OPEN_PLANS)(self._plan_unlisted)
        self._windows: dict[tuple[str, str], int] = {}  # as learnt, by backend and model
        self._models = settings.models
        self._servers: dict[str, Served] = {
            name: _served(backend)
            for name, backend in settings.backends.items()
            if isinstance(backend, OpenAIBackend)
        }
        self._asked_as_openai = {
            name
            for name, backend in settings.backends.items()
            if isinstance(backend, WorkersAIBackend) and backend.dialect == "openai"
        }
        opened = [name for name, backend in settings.backends.items() if backend.catalogue == "open"]
        self._open = [name for name in opened if name not in self._servers]
        self._listing = [name for name in opened if name in self._servers]
        self._found: dict[str, Mapping[str, int | None]] = {}  # what servers list: models, and their windows
        self._plans = self._plan_all()

    def resolve(self, model: str, defaults: Mapping[str, Any] | None = None) -> Plan:
        """The plan for a model; with parameters that stand before the route's own.

        Raises:
            ApiError: 404 where nothing serves it.
        """
        plan = self._plans.get(model) or self._open_plan(model)
        if not defaults:
            return plan
        return msgspec.structs.replace(plan, defaults={**plan.defaults, **defaults})

    def models(self) -> Iterable[tuple[str, Facts | Served]]:
        """All models that a client can ask for by a known name: routes, what servers list, the catalogue."""
        for name, plan in self._plans.items():
            yield name, plan.targets[0].facts
        listed = [name for name in self._listed() if name not in self._plans]
        for name in listed:
            yield name, self._open_plan(name).targets[0].facts
        if self._open:
            first, named = self._open[0], {*self._plans, *listed}
            yield from (
                (name, self._as_learnt(first, name, facts))
                for name, facts in self._catalogue.models.items()
                if name not in named
            )

    def facts(self, model: str) -> Facts | Served:
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
        self._plan_anew()

    def found(self, backend: str, models: Mapping[str, int | None]) -> None:
        """Remember which models a server lists, and the windows that it tells of them."""
        told = {
            model: None if window is None or window < _LEAST_WINDOW else window
            for model, window in models.items()
        }
        if self._found.get(backend) == told:
            return
        self._found[backend] = told
        self._plan_anew()

    def listed_by(self, backend: str) -> Collection[str] | None:
        """The models that a server was found to list; None where it was not asked, or has not answered."""
        return self._found.get(backend)

    def _plan_anew(self) -> None:
        self._plans = self._plan_all()
        self._open_plan.cache_clear()

    def _listed(self) -> list[str]:
        """The models of all servers whose lists are open to clients, each once."""
        return list(dict.fromkeys(name for each in self._listing for name in self._found.get(each, ())))

    def _as_learnt(self, backend: str, model: str, facts: Facts) -> Facts:
        window = self._windows.get((backend, model))
        return facts if window is None else msgspec.structs.replace(facts, window=window)

    def _plan_all(self) -> dict[str, Plan]:
        return {name: self._plan(name, route) for name, route in self._models.items()}

    def _plan_unlisted(self, model: str) -> Plan:
        """The plan for what servers list, or an open catalogue may have.

        Raises:
            ApiError: 404 where there is none, or the name can be no model's.
        """
        having = [name for name in self._listing if model in self._found.get(name, ())]
        if having:
            targets = tuple(self._target(backend, model) for backend in having)
            return Plan(targets, route=model, balance="least_loaded")
        if not self._open or not is_model_id(model):
            raise unknown_model(model)
        return Plan(tuple(self._target(backend, model) for backend in self._open), route=model)

    def _plan(self, name: str, route: ModelRoute) -> Plan:
        targets = [self._set(each) for each in route.targets]
        for number, other in enumerate(route.fallbacks, 1):
            targets += self._fallback(other, number)
        return Plan(
            tuple(sorted(targets, key=lambda target: target.tier)),
            route.defaults.model_dump(exclude_none=True),
            strict=route.translation == "strict",
            route=name,
            balance=route.balance,
            line=Line(route.queue.max, route.queue.wait),
            first_token=route.first_token_timeout,
            idle=route.idle_timeout,
            hedge=Hedge(route.hedge.after, route.hedge.share) if route.hedge else None,
            goes_on=route.continue_streams,
            tells=route.tell_way,
            shadow=self._target(route.shadow.backend, route.shadow.model) if route.shadow else None,
            shadow_share=route.shadow.share if route.shadow else 0.0,
        )

    def _set(self, each: TargetSettings) -> Target:
        return msgspec.structs.replace(
            self._target(each.backend, each.model),
            tier=each.tier,
            weight=each.weight,
            most=each.max_in_flight,
            quota=quota_of(each.limits.model_dump()),
        )

    def _fallback(self, name: str, number: int) -> list[Target]:
        """Another model's targets, behind all of the route's own."""
        route = self._models.get(name)
        try:
            targets = [self._set(each) for each in route.targets] if route else self._open_plan(name).targets
        except ApiError:  # a server's model, which it does not list now
            return []
        return [
            msgspec.structs.replace(each, tier=each.tier + _BEHIND * number, fallback=name)
            for each in targets
        ]

    def _target(self, backend: str, model: str) -> Target:
        """The target; where the model is gone and another answers in its place, that one, and it says so.

        Cloudflare answers such ids with the successor without a word, and at the successor's price.
        """
        server = self._servers.get(backend)
        if server is not None:
            return Target(backend, model, self._served_as_learnt(backend, model, server))
        if backend in self._asked_as_openai:
            return Target(backend, model, self._as_served(backend, model))
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

    def _served_as_learnt(self, backend: str, model: str, server: Served) -> Served:
        """What is known of a server's model: what it refused teaches more than what it tells of itself."""
        window = self._windows.get((backend, model)) or self._found.get(backend, {}).get(model)
        return server if window is None else msgspec.structs.replace(server, window=window)

    def _as_served(self, backend: str, model: str) -> Served:
        """What is known of a model of Workers AI, for asking it in OpenAI's form."""
        facts = self._as_learnt(backend, model, self._catalogue.facts(model))
        return Served(
            SERVERS["workers_ai"],
            window=facts.window,
            can=facts.can | {"tools", "json"},
            price=facts.price,
            neurons=facts.neurons,
            efforts=facts.efforts,
            effort=facts.effort,
            released=facts.released,
            retires=facts.retires,
        )

    def _warn(self, model: str, words: str) -> None:
        """Tell the operator, once a model."""
        if model not in self._warned:
            self._warned.add(model)
            _logger.warning("%s.", words)


def _served(backend: OpenAIBackend) -> Served:
    """What all models of a server have in common."""
    every = Served(SERVERS[backend.server])
    return msgspec.structs.replace(
        every, window=backend.window, can=every.can.difference(backend.lacks), allow=frozenset(backend.allow)
    )


def _retirement(model: str, gone: Retired, facts: Facts) -> str:
    prices = [f"${dollars:g} {kind.replace('_', ' ')}" for kind, dollars in facts.price.items()]
    price = f" ({', '.join(prices)} per million tokens)" if prices else ""
    return (
        f"Cloudflare retired '{model}' on {gone.on}; '{gone.successor}' answers in its place, "
        f"at its own price{price}"
    )
