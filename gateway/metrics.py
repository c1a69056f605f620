"""Metrics of a process, or of several together, in Prometheus' text format. The home of prometheus_client.

Names follow OpenTelemetry's GenAI conventions where these have one (`gen_ai_*`), else `penstock_*`.
Labels come from closed sets: a model that nobody configured and the catalogue does not list is `other`.
"""

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.exchange import Exchange
from gateway.tallies import Counts, Kind, Labels, Spread, Tally, spread

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


# Counters beside the tallies: name -> (what it counts, labels). Those without labels show from the start.
_COUNTERS: Final[Mapping[str, tuple[str, Labels]]] = {
    "penstock_upstream_attempts_total": ("Calls to backends by outcome.", ("backend", "outcome")),
    "penstock_limit_refusals_total": (
        "Requests that a limit refused, by whose it is (gateway, model, team, key, target) and its unit.",
        ("subject", "unit"),
    ),
    "penstock_admitted_without_store_total": ("Requests that were admitted while the store was away.", ()),
    "penstock_store_failures_total": ("Calls to the store that failed, by reason.", ("reason",)),
    "penstock_credential_refreshes_total": (
        "Readings of backends' credentials by outcome: new, failed.",
        ("backend", "outcome"),
    ),
    "penstock_deadlines_total": ("Deadlines that passed, by reason.", ("reason",)),
    "penstock_unread_requests_total": (
        "Requests that were refused before they were read, by reason.",
        ("reason",),
    ),
    "penstock_shed_requests_total": (
        "Requests that were refused because there were too many, by reason: in_flight, loop_lag, memory.",
        ("reason",),
    ),
    "penstock_lost_access_lines_total": ("Access lines that standard output did not take.", ()),
    "penstock_auth_failures_total": (
        "Requests without a valid key, by reason: missing, wrong, slowed, disabled, expired, address.",
        ("reason",),
    ),
    "penstock_worker_restarts_total": ("Workers that ended and were started again.", ()),
}


class Metrics:
    """What this process counts."""

    def __init__(self, models: Iterable[str]) -> None:
        self._models = frozenset(models)
        self._tallies: dict[Kind, Tally] = {}
        self._counters: dict[str, Counter[Labels]] = {
            name: Counter() if labels else Counter({(): 0}) for name, (_text, labels) in _COUNTERS.items()
        }
        self._in_flight = 0
        self._loop_lag = 0.0
        self._store_is_up: bool | None = None  # None: there is none

    def began(self) -> None:
        """A request has come."""
        self._in_flight += 1

    def ended(self, exchange: Exchange) -> None:
        """A request has been answered, or given up."""
        self._in_flight -= 1
        model = exchange.model if exchange.model in self._models else "other" if exchange.model else ""
        kind = Kind(
            exchange.operation,
            model,
            exchange.backend,
            f"{exchange.status // 100}xx",
            exchange.stream,
            exchange.error,
            exchange.ended_by or "",
        )
        tally = self._tallies.get(kind)
        if tally is None:
            tally = self._tallies[kind] = Tally()
        tally.add(exchange, monotonic())

    def attempt(self, backend: str, outcome: str) -> None:
        """A call to a backend has ended."""
        self._counters["penstock_upstream_attempts_total"][backend, outcome] += 1

    def credential_read(self, backend: str, outcome: str) -> None:
        """A backend's credential was read anew, or could not be."""
        self._count("penstock_credential_refreshes_total", backend, outcome)

    def key_refused(self, reason: str) -> None:
        """A key has not let its request in."""
        self._count("penstock_auth_failures_total", reason)

    def limited(self, subject: str, unit: str) -> None:
        """A limit has refused a request; whose, by its kind."""
        self._count("penstock_limit_refusals_total", subject, unit)

    def admitted_alone(self) -> None:
        """A request was admitted without the store."""
        self._count("penstock_admitted_without_store_total")

    def store(self, failures: Iterable[tuple[str, int]], *, is_away: bool) -> None:
        """How often the store has failed by reason, and whether it is away."""
        counter = self._counters["penstock_store_failures_total"]
        for reason, count in failures:
            counter[(reason,)] = count
        self._store_is_up = not is_away

    def deadline(self, reason: str) -> None:
        """A deadline has passed."""
        self._count("penstock_deadlines_total", reason)

    def refused(self, reason: str) -> None:
        """A request was refused before it was read."""
        self._count("penstock_unread_requests_total", reason)

    def shed(self, reason: str, count: int = 1) -> None:
        """So many requests were refused because there were too many."""
        self._counters["penstock_shed_requests_total"][(reason,)] += count

    def turned_away(self, exchange: Exchange, reason: str, count: int) -> None:
        """So many requests were refused, all alike, because there were too many."""
        self.shed(reason, count)
        kind = Kind(exchange.operation, "", "", "5xx", stream=False, error=exchange.error, ended_by="gateway")
        self._tallies.setdefault(kind, Tally()).requests += count

    def loop_lag(self, seconds: float) -> None:
        """The event loop's timer was so late."""
        self._loop_lag = seconds

    def lost_lines(self, count: int) -> None:
        """So many access lines could not be written."""
        self._counters["penstock_lost_access_lines_total"][()] += count

    def counts(self) -> Counts:
        """All of it, as it is now; what is counted later does not change it only once it has been encoded."""
        return Counts(
            tallies=list(self._tallies.items()),
            counters={name: list(counter.items()) for name, counter in self._counters.items()},
            in_flight=self._in_flight,
            loop_lag=self._loop_lag,
            store_is_up=self._store_is_up,
        )

    def _count(self, name: str, *labels: str) -> None:
        self._counters[name][labels] += 1


def render(counts: Counts) -> bytes:
    """Counts as text; takes milliseconds, so call it beside the event loop."""
    registry = CollectorRegistry()
    registry.register(_Families(counts))
    return generate_latest(registry)


class _Families(Collector):
    """The families, for the library to write."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        yield from _of_exchanges(counts.tallies)
        for name, (text, labels) in _COUNTERS.items():
            yield _counter(name, text, labels, dict(counts.counters.get(name, ())))
        if counts.store_is_up is not None:
            yield GaugeMetricFamily("penstock_store_up", "Whether the store answers.", counts.store_is_up)
        yield GaugeMetricFamily(
            "penstock_event_loop_lag_seconds",
            "How late the event loop's last timer was, of four a second; of several workers the latest.",
            counts.loop_lag,
        )
        yield GaugeMetricFamily(
            "penstock_inflight_requests", "Requests that are being answered.", counts.in_flight
        )
        yield GaugeMetricFamily("penstock_workers", "Processes that answer.", counts.workers)
        build = GaugeMetricFamily(
            "penstock_build_info", "Version of the gateway.", labels=("version", "python")
        )
        build.add_metric((_version(), platform.python_version()), 1)
        yield build


Tallies = Sequence[tuple[Kind, Tally]]

_REQUEST: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_TOKENS: Final = ("input", "output", "cached", "reasoning")


def _of_exchanges(tallies: Tallies) -> Iterator[Metric]:
    """The families that are views of the tallies. Only a request that named a model has more than a count."""
    named = [(kind, tally) for kind, tally in tallies if kind.model]
    yield _counter(
        "penstock_requests_total",
        "Requests by outcome.",
        ("operation", "model", "backend", "status_class", "stream"),
        _sums(tallies, _outcome, lambda tally: tally.requests),
    )
    yield _histogram(
        "gen_ai_server_request_duration_seconds",
        "Time from the request's first byte to the answer's last.",
        (*_REQUEST, "error_type"),
        _spreads(named, lambda kind: (*_request(kind), kind.error), lambda tally: tally.durations),
    )
    yield _histogram(
        "gen_ai_server_time_to_first_token_seconds",
        "Time from the request's first byte to the answer's first piece.",
        _REQUEST,
        _spreads(named, _request, lambda tally: tally.first_tokens),
    )
    yield _counter(
        "penstock_tokens_total",
        "Tokens by kind: input, output, cached, reasoning.",
        ("model", "backend", "type"),
        _tokens(named),
    )
    yield _counter(
        "penstock_neurons_total",
        "Neurons, Cloudflare's unit of cost, as reported.",
        ("model", "backend"),
        _sums(
            [(kind, tally) for kind, tally in named if tally.neurons],
            lambda kind: (kind.model, kind.backend),
            lambda tally: tally.neurons,
        ),
    )
    yield _counter(
        "penstock_stream_endings_total",
        "Ends of streams: by the backend, the client or the gateway, clean or not.",
        ("by", "clean"),
        _sums(
            [(kind, tally) for kind, tally in named if kind.stream and kind.ended_by],
            lambda kind: (kind.ended_by, "false" if kind.error else "true"),
            lambda tally: tally.requests,
        ),
    )


def _outcome(kind: Kind) -> Labels:
    return kind.operation, kind.model, kind.backend, kind.status_class, "true" if kind.stream else "false"


def _request(kind: Kind) -> Labels:
    return kind.operation, kind.backend or "none", kind.model


def _sums(
    tallies: Tallies, labels: Callable[[Kind], Labels], amount: Callable[[Tally], float]
) -> Mapping[Labels, float]:
    sums: defaultdict[Labels, float] = defaultdict(float)
    for kind, tally in tallies:
        sums[labels(kind)] += amount(tally)
    return sums


def _tokens(tallies: Tallies) -> Mapping[Labels, float]:
    sums: Counter[Labels] = Counter()
    for kind, tally in tallies:
        for each in _TOKENS:
            sums[kind.model, kind.backend, each] += getattr(tally, each)
    return +sums


def _spreads(
    tallies: Tallies, labels: Callable[[Kind], Labels], values: Callable[[Tally], Spread]
) -> dict[Labels, Spread]:
    """One spread for each combination of labels that has values."""
    spreads: dict[Labels, Spread] = {}
    for kind, tally in tallies:
        mine = values(tally)
        if any(mine.counts):
            spreads.setdefault(labels(kind), spread(mine.bounds)).merge(mine)
    return spreads


def _counter(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for each, value in list(values.items()):
        family.add_metric(each, value)
    return family


def _histogram(name: str, text: str, labels: Labels, spreads: dict[Labels, Spread]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for each, values in spreads.items():
        bounds = [*map(floatToGoString, values.bounds), "+Inf"]
        family.add_metric(each, list(zip(bounds, accumulate(values.counts), strict=True)), values.total)
    return family


def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
