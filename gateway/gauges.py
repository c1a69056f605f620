"""How things stand with backends and routes, read where it is known when somebody asks for the metrics.

So it costs no request anything. Of models those show that are left alone for some reason, for a catalogue may
have thousands; and all that are in no list show as one, `other`, which is as badly off as the worst of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Final, NamedTuple

from gateway.balance import Balancer
from gateway.health import Condition, Health
from gateway.health.probes import Probe
from gateway.metrics import Metrics
from gateway.settings import ModelRoute
from gateway.tallies import Gauges, Labels, Series

_STATES: Final = ("closed", "half_open", "open")  # of a breaker, the worst one last


class _Trouble(NamedTuple):
    """Why nothing is sent somewhere.

    Attributes:
        state: Its breaker's, as a place in `_STATES`.
    """

    state: int
    aside: bool
    drained: bool

    def with_other(self, other: "_Trouble") -> "_Trouble":
        """What two that go by one name have to tell together."""
        return _Trouble(
            max(self.state, other.state), self.aside or other.aside, self.drained or other.drained
        )


def gauges_of(
    balancer: Balancer, probes: Iterable[Probe], routes: Mapping[str, ModelRoute], metrics: Metrics
) -> Gauges:
    """All gauges of one worker.

    Args:
        balancer: What it knows of the backends, and who waits.
        probes: What it has heard from servers.
        routes: As they are set.
        metrics: Say what a model goes by.
    """
    troubles = _troubles(balancer.health, metrics)
    return Gauges(
        sums={
            "penstock_backend_inflight_requests": [
                ((name,), each.in_flight) for name, each in balancer.health.backends.items()
            ],
            "penstock_breaker_state": [
                ((*place, _STATES[each.state]), 1) for place, each in troubles.items()
            ],
            "penstock_queued_requests": [
                ((name,), balancer.lines.waiting(name)) for name, route in routes.items() if route.queue.max
            ],
            "penstock_retry_budget_used": [((), balancer.retries.under_way)],
        },
        peaks={
            "penstock_backend_set_aside": [(place, int(each.aside)) for place, each in troubles.items()],
            "penstock_backend_drained": [(place, int(each.drained)) for place, each in troubles.items()],
            **_of_servers([each for each in probes if each.is_up is not None]),
        },
    )


def _of_servers(probes: Sequence[Probe]) -> Series:
    """What servers say of themselves; what one has said that is not well now says nothing."""
    loads = [(each.name, each.condition.told) for each in probes if each.is_up]
    return {
        "penstock_backend_up": [((each.name,), int(each.is_up is True)) for each in probes],
        "penstock_backend_reported_requests": [((name,), told.requests) for name, told in loads if told],
        "penstock_backend_reported_kv_usage_ratio": [
            ((name,), told.saturation) for name, told in loads if told
        ],
    }


def _troubles(health: Health, metrics: Metrics) -> dict[Labels, _Trouble]:
    """Of all backends, and of the models that are in some; by backend and model."""
    now = monotonic()
    troubles: dict[Labels, _Trouble] = {
        (name, ""): _trouble(condition, now) for name, condition in health.backends.items()
    }
    for backend, model, trouble in _of_models(health, now):
        place = (backend, metrics.label(model))
        known = troubles.get(place)
        troubles[place] = trouble if known is None else known.with_other(trouble)
    return troubles


def _of_models(health: Health, now: float) -> Iterator[tuple[str, str, _Trouble]]:
    for backend, model, condition in health.models():
        trouble = _trouble(condition, now)
        if any(trouble):
            yield backend, model, trouble


def _trouble(condition: Condition, now: float) -> _Trouble:
    return _Trouble(
        _STATES.index(condition.breaker.state(now)), condition.aside_until > now, condition.drained
    )
