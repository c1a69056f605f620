"""The conditions of all backends and models, and the attempts that change them.

What fails on the way (no connection, a reset, silence) is the backend's; an answer that is an error, or no
answer at all, may be one model's alone, and keeps requests away from that model only.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from math import inf
from time import monotonic
from typing import Final

import msgspec

from gateway.health.breaker import Breaker
from gateway.health.condition import Condition, Sign
from gateway.metrics import Metrics
from gateway.settings import Backend

_FIRST_PAUSE: Final = 1.0  # seconds for which is set aside what did not say for how long; then twice that
_LONGEST_PAUSE: Final = 30.0
LOOK: Final = 1.0  # seconds between two requests that look whether what was set aside is back
_MOST_MODELS: Final = 4096  # conditions that are kept; clients may ask an open catalogue for any name


class Health:
    """The conditions of all backends and of the models that were asked for there.

    Args:
        backends: As they are set.
        metrics: Told what is left alone anew.
    """

    def __init__(self, backends: Mapping[str, Backend], metrics: Metrics | None = None) -> None:
        self._backends = backends
        self._metrics = metrics or Metrics(())
        self.backends: Final[Mapping[str, Condition]] = {
            name: Condition(self._breaker(name, ""), backend.max_in_flight)
            for name, backend in backends.items()
        }
        self._models: dict[tuple[str, str], Condition] = {}

    def of(self, backend: str, model: str) -> Condition:
        """The condition of a model at a backend."""
        try:
            return self._models[backend, model]
        except KeyError:
            return self._first_asked(backend, model)

    def attempt(self, backend: str, model: str) -> "Attempted":
        """An attempt begins; it is to be ended."""
        of_backend, of_model = self.backends[backend], self.of(backend, model)
        looks_at: tuple[Condition, ...] = ()
        for each in (of_backend, of_model):
            each.in_flight += 1
            if each.breaker.until is not None:
                each.breaker.begin()
            if each.look_at != inf:
                looks_at = (*looks_at, each)
        return Attempted(of_backend, of_model, looks_at)

    def set_aside(self, backend: str, model: str | None, seconds: float | None) -> float:
        """Leave a backend alone, or one model there, for so long; and say until when.

        Where nobody said for how long, it is twice as long as last time: once for all requests that are
        refused together, of which none was sent because the others had waited in vain. One request a second
        may look meanwhile whether it is back: it loses nothing, for others are asked where it is not.
        """
        condition = self.backends[backend] if model is None else self.of(backend, model)
        now = monotonic()
        was_aside = condition.aside_until > now
        if seconds is None:
            if was_aside:
                return condition.aside_until
            condition.pause = min(_LONGEST_PAUSE, 2 * condition.pause) if condition.pause else _FIRST_PAUSE
            seconds = condition.pause
            condition.look_at = now + LOOK
        else:
            condition.look_at = inf
        condition.aside_until = max(condition.aside_until, now + seconds)
        if not was_aside and condition.aside_until > now:
            self._metrics.set_aside(backend, model or "")
        return condition.aside_until

    def condition(self, backend: str, model: str | None) -> Condition | None:
        """The condition of a backend, or of a model there; None where there is none."""
        return self.backends.get(backend) if model is None else self._models.get((backend, model))

    def models_of(self, backend: str) -> Mapping[str, Condition]:
        """The conditions of the models that were asked for there."""
        return {model: each for (name, model), each in self._models.items() if name == backend}

    def models(self) -> Iterator[tuple[str, str, Condition]]:
        """All models that were asked for, each with its backend."""
        for (backend, model), each in self._models.items():
            yield backend, model, each

    def _first_asked(self, backend: str, model: str) -> Condition:
        if len(self._models) >= _MOST_MODELS:
            self._forget_idle()
        condition = self._models[backend, model] = Condition(self._breaker(backend, model))
        return condition

    def _breaker(self, backend: str, model: str) -> Breaker:
        return Breaker(self._backends[backend].breaker, partial(self._metrics.opened, backend, model))

    def _forget_idle(self) -> None:
        for place, each in list(self._models.items()):
            if not (each.in_flight or each.drained or each.breaker.is_open):
                del self._models[place]


class Attempted(msgspec.Struct, eq=False):
    """One attempt that is under way."""

    _backend: Condition
    _model: Condition
    _looks_at: tuple[Condition, ...] = ()
    _ended: bool = False

    def began(self, seconds: float) -> None:
        """The first token has come, after so long."""
        now = monotonic()
        self._backend.speed.note(seconds, now)
        self._model.speed.note(seconds, now)

    def end(self, sign: Sign, *, on_the_way: bool = False) -> None:
        """The attempt is over; a second time changes nothing.

        Args:
            sign: What it says of the health of the two.
            on_the_way: Whether it failed before the server could answer.
        """
        if self._ended:
            return
        self._ended = True
        now = monotonic()
        backend, model = self._backend, self._model
        backend.in_flight -= 1
        model.in_flight -= 1
        if sign == "well":
            backend.pause = model.pause = 0.0
            for each in self._looks_at:
                each.is_back()
            backend.breaker.succeeded(now)
            model.breaker.succeeded(now)
        elif sign == "failed" and on_the_way:
            backend.breaker.failed(now)
            model.breaker.left()
        elif sign == "failed":
            backend.breaker.succeeded(now)  # it answers, be it wrongly
            model.breaker.failed(now)
        else:
            backend.breaker.left()
            model.breaker.left()
