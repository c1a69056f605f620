"""Metrics of one process, in Prometheus' text format. The one home of prometheus_client.

Names follow OpenTelemetry's GenAI conventions where these have one (`gen_ai_*`), else `penstock_*`.
Labels come from closed sets: a model that nobody configured and the catalogue does not list is `other`.
"""

import platform
from collections.abc import Iterable
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from math import inf
from time import monotonic
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from gateway.exchange import Exchange

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_DURATIONS: Final = tuple(0.01 * 2**k for k in range(17))
_FIRST_TOKEN: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_BOUND: Final = 4096  # label combinations held ready; more are looked up anew


class Metrics:
    """All metrics of this process."""

    def __init__(self, models: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for every counter, which nobody reads
        self._models = frozenset(models)
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        request = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
        self._requests = counter(
            "penstock_requests_total",
            "Requests by outcome.",
            ("operation", "model", "backend", "status_class", "stream"),
        )
        self._duration = histogram(
            "gen_ai_server_request_duration_seconds",
            "Time from the request's first byte to the answer's last.",
            (*request, "error_type"),
            buckets=_DURATIONS,
        )
        self._first_token = histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Time from the request's first byte to the answer's first piece.",
            request,
            buckets=_FIRST_TOKEN,
        )
        self._tokens = counter(
            "penstock_tokens_total",
            "Tokens by kind: input, output, cached, reasoning.",
            ("model", "backend", "type"),
        )
        self._neurons = counter(
            "penstock_neurons_total",
            "Neurons, Cloudflare's unit of cost, as reported.",
            ("model", "backend"),
        )
        self._attempts = counter(
            "penstock_upstream_attempts_total", "Calls to backends by outcome.", ("backend", "outcome")
        )
        self._deadlines = counter(
            "penstock_deadlines_total", "Deadlines that passed, by reason.", ("reason",)
        )
        self._refused = counter(
            "penstock_unread_requests_total",
            "Requests that were refused before they were read, by reason.",
            ("reason",),
        )
        self._shed = counter(
            "penstock_shed_requests_total",
            "Requests that were refused because there were too many, by reason: in_flight, loop_lag.",
            ("reason",),
        )
        self._loop_lag = gauge(
            "penstock_event_loop_lag_seconds", "How late the event loop's last timer was, of four a second."
        )
        self._lost_lines = counter(
            "penstock_lost_access_lines_total", "Access lines that standard output did not take."
        )
        self._endings = counter(
            "penstock_stream_endings_total",
            "Ends of streams: by the backend, the client or the gateway, clean or not.",
            ("by", "clean"),
        )
        self._auth_failures = counter("penstock_auth_failures_total", "Requests without a valid key.")
        self._in_flight = gauge("penstock_inflight_requests", "Requests that are being answered.")
        build = gauge("penstock_build_info", "Version of the gateway.", ("version", "python"))
        build.labels(_version(), platform.python_version()).set(1)
        self._bound = lru_cache(_BOUND)(_bind)

    def began(self) -> None:
        """A request has come."""
        self._in_flight.inc()

    def ended(self, exchange: Exchange) -> None:
        """A request has been answered, or given up."""
        self._in_flight.dec()
        if exchange.status == 401:
            self._auth_failures.inc()
        model = exchange.model if exchange.model in self._models else "other" if exchange.model else ""
        operation, backend = exchange.operation, exchange.backend
        stream = "true" if exchange.stream else "false"
        status_class = f"{exchange.status // 100}xx"
        self._count(self._requests, operation, model, backend, status_class, stream).inc()
        if not model:
            return
        provider = backend or "none"
        elapsed = monotonic() - exchange.started
        self._observe(self._duration, operation, provider, model, exchange.error).observe(elapsed)
        if exchange.first_token is not None:
            first = exchange.first_token - exchange.started
            self._observe(self._first_token, operation, provider, model).observe(first)
        if exchange.usage is not None:
            self._count_usage(exchange, model)
        if exchange.stream and exchange.ended_by is not None:
            clean = "false" if exchange.error else "true"
            self._count(self._endings, exchange.ended_by, clean).inc()

    def attempt(self, backend: str, outcome: str) -> None:
        """A call to a backend has ended."""
        self._count(self._attempts, backend, outcome).inc()

    def deadline(self, reason: str) -> None:
        """A deadline has passed."""
        self._count(self._deadlines, reason).inc()

    def refused(self, reason: str) -> None:
        """A request was refused before it was read."""
        self._count(self._refused, reason).inc()

    def shed(self, reason: str) -> None:
        """A request was refused because there were too many."""
        self._count(self._shed, reason).inc()

    def loop_lag(self, seconds: float) -> None:
        """The event loop's timer was so late."""
        self._loop_lag.set(seconds)

    def lost_line(self) -> None:
        """An access line could not be written."""
        self._lost_lines.inc()

    def render(self) -> bytes:
        """All metrics as text; takes milliseconds, so call it beside the event loop."""
        return generate_latest(self._registry)

    def _count_usage(self, exchange: Exchange, model: str) -> None:
        usage = exchange.usage
        if usage is None:
            return
        kinds = {
            "input": usage.prompt,
            "output": usage.completion,
            "cached": usage.cached,
            "reasoning": usage.reasoning,
        }
        for kind, tokens in kinds.items():
            if tokens and tokens > 0:  # a counter takes nothing less
                self._count(self._tokens, model, exchange.backend, kind).inc(tokens)
        if usage.neurons and 0 < usage.neurons < inf:
            self._count(self._neurons, model, exchange.backend).inc(usage.neurons)

    def _count(self, metric: Counter, *labels: str) -> Counter:
        child = self._bound(metric, labels)
        assert isinstance(child, Counter)  # noqa: S101 - a child is of its parent's class
        return child

    def _observe(self, metric: Histogram, *labels: str) -> Histogram:
        child = self._bound(metric, labels)
        assert isinstance(child, Histogram)  # noqa: S101 - a child is of its parent's class
        return child


def _bind(metric: Counter | Histogram, labels: tuple[str, ...]) -> Collector:
    """The child of a metric: looking it up costs more than counting does."""
    return metric.labels(*labels)


def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
