"""Counts as Prometheus' text format: the families of series, and their writing in pieces."""

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
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

from gateway.metrics.names import BREAKER_STATE, COUNTERS, GAUGES
from gateway.tallies import Counts, Kind, Labels, Spread, Tally, spread

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

PIECE: Final = 50  # series that are written at once
_SPREADS: Final = 2  # so many have about as many


def render(counts: Counts) -> bytes:
    """Counts as text; takes milliseconds, so call it where nobody waits for the event loop."""
    return b"".join(written(counts))


def written(counts: Counts) -> Iterator[bytes]:
    """Counts as text, in pieces of less than a millisecond, so that others' work can be done in between."""
    last = ""
    for family in _families(counts):
        for start in range(0, len(family.samples) or 1, PIECE):
            part = Metric(family.name, family.documentation, family.type)
            part.samples = family.samples[start : start + PIECE]
            registry = CollectorRegistry()
            registry.register(_Only(part))
            text = generate_latest(registry)
            # What it means and its type stand before a family's first piece alone.
            yield text.split(b"\n", 2)[2] if family.name == last else text
            last = family.name


class _Only(Collector):
    """One family, for the library to write."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _families(counts: Counts) -> Iterator[Metric]:
    yield from _of_exchanges(counts.tallies)
    for name, (text, labels) in COUNTERS.items():
        yield _counter(name, text, labels, dict(counts.counters.get(name, ())))
    yield from _histogram(
        "penstock_queue_wait_seconds",
        "Time that requests stood in their route's line, while every target was full.",
        ("route",),
        {(route,): waits for route, waits in counts.waits},
    )
    yield from _of_gauges(counts)
    if counts.store_is_up is not None:
        yield _gauge("penstock_store_up", "Whether the store answers.", counts.store_is_up)
    yield _gauge(
        "penstock_event_loop_lag_seconds",
        "How late the event loop's last timer was, of four a second; of several workers the latest.",
        counts.loop_lag,
    )
    yield _gauge("penstock_inflight_requests", "Requests that are being answered.", counts.in_flight)
    yield _gauge("penstock_workers", "Processes that answer.", counts.workers)
    build = GaugeMetricFamily("penstock_build_info", "Version of the gateway.", labels=("version", "python"))
    build.add_metric((_version(), platform.python_version()), 1)
    yield build


def _of_gauges(counts: Counts) -> Iterator[Metric]:
    """How things stand with backends and routes."""
    series = {**counts.gauges.sums, **counts.gauges.peaks}
    for name, (text, labels) in GAUGES.items():
        family = GaugeMetricFamily(name, text, labels=labels)
        figures = series.get(name, ())
        for each, figure in _all_states(figures, counts.workers) if name == BREAKER_STATE else figures:
            family.add_metric(each, figure)
        yield family


def _all_states(known: Iterable[tuple[Labels, float]], workers: int) -> Iterator[tuple[Labels, float]]:
    """How many workers have each breaker in each state; those that tell of none have it closed."""
    states: defaultdict[Labels, Counter[str]] = defaultdict(Counter)
    for (backend, model, state), count in known:
        states[backend, model][state] = int(count)
    for place, counted in states.items():
        left_alone = [(state, counted[state]) for state in ("open", "half_open")]
        yield (*place, "closed"), workers - sum(count for _state, count in left_alone)
        for state, count in left_alone:
            yield (*place, state), count


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


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
    yield from _histogram(
        "gen_ai_server_request_duration_seconds",
        "Time from the request's first byte to the answer's last.",
        (*_REQUEST, "error_type"),
        _spreads(named, lambda kind: (*_request(kind), kind.error), lambda tally: tally.durations),
    )
    yield from _histogram(
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


def _histogram(name: str, text: str, labels: Labels, spreads: dict[Labels, Spread]) -> Iterator[Metric]:
    """A family in parts of a few spreads each, for a spread has a series for each bucket."""
    all_spreads = list(spreads.items())
    for start in range(0, len(all_spreads) or 1, _SPREADS):
        family = HistogramMetricFamily(name, text, labels=labels)
        for each, values in all_spreads[start : start + _SPREADS]:
            edges = _edges(values.bounds)
            family.add_metric(each, list(zip(edges, accumulate(values.counts), strict=True)), values.total)
        yield family


@cache
def _edges(bounds: tuple[float, ...]) -> Labels:
    """The buckets' upper bounds as text; of the few spreads that there are."""
    return (*map(floatToGoString, bounds), "+Inf")


@cache
def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
