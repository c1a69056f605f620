"""What a process counts: one method for each thing that may happen."""

from collections import Counter
from collections.abc import Iterable
from time import monotonic

from gateway.exchange import Exchange
from gateway.metrics.names import COUNTERS
from gateway.tallies import LINE_WAITS, Counts, Gauges, Kind, Labels, Spread, Tally, spread


class Metrics:
    """What this process counts.

    Args:
        models: Those that are set or in a catalogue, by the names that clients or backends have for them.
    """

    def __init__(self, models: Iterable[str]) -> None:
        self._configured = frozenset(models)
        self._listed: dict[str, frozenset[str]] = {}
        self._models = self._configured
        self._tallies: dict[Kind, Tally] = {}
        self._counters: dict[str, Counter[Labels]] = {
            name: Counter() if labels else Counter({(): 0}) for name, (_text, labels) in COUNTERS.items()
        }
        self._waits: dict[str, Spread] = {}
        self._in_flight = 0
        self._loop_lag = 0.0
        self._store_is_up: bool | None = None  # None: there is none

    def label(self, model: str) -> str:
        """What a model goes by: its name where some list has it, else `other`; clients may think of any."""
        return model if model in self._models else "other" if model else ""

    def found(self, backend: str, models: Iterable[str]) -> None:
        """A server has listed its models."""
        self._listed[backend] = frozenset(models)
        self._models = self._configured.union(*self._listed.values())

    def began(self) -> None:
        """A request has come."""
        self._in_flight += 1

    def ended(self, exchange: Exchange) -> None:
        """A request has been answered, or given up."""
        self._in_flight -= 1
        kind = Kind(
            exchange.operation,
            self.label(exchange.model),
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

    def retried(self, backend: str, kind: str) -> None:
        """A request is sent to a backend after its first attempt; `names` has the kinds."""
        self._count("penstock_further_attempts_total", backend, kind)

    def retry_refused(self) -> None:
        """The retry budget has not allowed a further attempt."""
        self._count("penstock_retry_refusals_total")

    def waited(self, route: str, seconds: float) -> None:
        """A request has left a route's line, be it for a target or in vain."""
        waits = self._waits.get(route)
        if waits is None:
            waits = self._waits[route] = spread(LINE_WAITS)
        waits.add(seconds)

    def opened(self, backend: str, model: str) -> None:
        """A breaker has opened: of a model, or with none of the backend itself."""
        self._count("penstock_breaker_openings_total", backend, self.label(model))

    def set_aside(self, backend: str, model: str) -> None:
        """A model, or with none the backend itself, was set aside."""
        self._count("penstock_set_asides_total", backend, self.label(model))

    def probe_failed(self, backend: str, what: str) -> None:
        """A server did not tell this of itself: health, load, models."""
        self._count("penstock_probe_failures_total", backend, what)

    def shadow(self, backend: str, outcome: str) -> None:
        """A copy of a request was sent, or left out."""
        self._count("penstock_shadow_requests_total", backend, outcome)

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

    def counts(self, gauges: Gauges | None = None) -> Counts:
        """All of it, as it is now; what is counted later does not change it only once it has been encoded."""
        return Counts(
            tallies=list(self._tallies.items()),
            counters={name: list(counter.items()) for name, counter in self._counters.items()},
            waits=list(self._waits.items()),
            gauges=gauges or Gauges(),
            in_flight=self._in_flight,
            loop_lag=self._loop_lag,
            store_is_up=self._store_is_up,
        )

    def _count(self, name: str, *labels: str) -> None:
        self._counters[name][labels] += 1
