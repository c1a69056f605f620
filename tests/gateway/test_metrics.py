"""The text of the metrics is written in pieces, and in between the loop goes on; what is counted is in it."""

import asyncio
import re
from collections.abc import Callable
from itertools import groupby

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.app import alone
from gateway.exchange import Exchange
from gateway.metrics import Metrics, render, text, written
from gateway.tallies import Counts, encode

SERIES = 1000  # at least, in a full page


def full() -> Counts:
    """Of a worker that has answered for many models, and has many backends."""
    models = [f"m{number}" for number in range(30)]
    metrics = Metrics(models)
    for model in models:
        metrics.began()
        exchange = Exchange("POST", "/", model=model, backend="b")
        exchange.first_token = exchange.started
        metrics.ended(exchange)
    for number in range(3 * text.PIECE):
        metrics.attempt(f"b{number}", "ok")
    return metrics.counts()


def samples(page: bytes) -> list[bytes]:
    return [line for line in page.splitlines() if not line.startswith(b"#")]


def test_no_piece_is_longer_than_can_be_written_in_no_time() -> None:
    pieces = list(written(full()))
    assert len(samples(b"".join(pieces))) > SERIES
    assert max(len(samples(piece)) for piece in pieces) == text.PIECE


def test_the_pieces_make_the_page_that_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = full()
    in_pieces = render(counts)
    monkeypatch.setattr(text, "PIECE", 10**6)
    assert in_pieces == render(counts)
    families = list(text_string_to_metric_families(in_pieces.decode()))
    assert len(families) == len({family.name for family in families})


async def test_the_event_loop_goes_on_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, at = 0, []
    pieces = text.written

    def noted(counts: Counts) -> object:
        for piece in pieces(counts):
            at.append(turns)
            yield piece

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr("gateway.app.written", noted)
    turning = asyncio.create_task(turn())
    counts = full()
    page = await alone(encode(counts))
    turning.cancel()
    assert page == render(counts)
    assert len(at) == len(set(at)) > SERIES / text.PIECE  # never two in one turn


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (
            lambda metrics: metrics.retried("b", "failover"),
            'penstock_further_attempts_total{backend="b",kind="failover"} 1.0',
        ),
        (lambda metrics: metrics.retry_refused(), "penstock_retry_refusals_total 1.0"),
        (
            lambda metrics: metrics.opened("b", "odd"),
            'penstock_breaker_openings_total{backend="b",model="other"} 1.0',
        ),
        (lambda metrics: metrics.set_aside("b", ""), 'penstock_set_asides_total{backend="b",model=""} 1.0'),
        (
            lambda metrics: metrics.waited("small", 0.3),
            'penstock_queue_wait_seconds_bucket{le="0.5",route="small"} 1.0',
        ),
        (
            lambda metrics: metrics.waited("small", 100),
            'penstock_queue_wait_seconds_bucket{le="60.0",route="small"} 0.0',
        ),
        (lambda metrics: metrics.waited("small", 0.3), 'penstock_queue_wait_seconds_sum{route="small"} 0.3'),
    ],
)
def test_what_is_counted_is_in_the_page(count: Callable[[Metrics], None], line: str) -> None:
    metrics = Metrics(["m"])
    count(metrics)
    assert line in render(metrics.counts()).decode().splitlines()


def test_a_model_goes_by_its_name_as_long_as_some_list_has_it() -> None:
    metrics = Metrics(["set"])
    metrics.found("own", ["a", "b"])
    metrics.found("other", ["b"])
    metrics.found("own", ["c"])
    assert [metrics.label(model) for model in ("set", "a", "b", "c", "")] == ["set", "other", "b", "c", ""]


# What `promtool check metrics` finds fault with (prometheus/client_golang, prometheus/testutil/promlint).
TYPES = ("counter", "gauge", "histogram", "summary")
SHORT_OR_NO_BASE_UNITS = frozenset({
    "s", "ms", "us", "ns", "sec", "m", "h", "d", "b", "kb", "mb", "gb", "milliseconds", "microseconds",
    "nanoseconds", "minutes", "hours", "days", "kilobytes", "megabytes", "gigabytes", "bits", "percent",
})  # fmt: skip


def test_the_page_is_as_prometheus_wants_it() -> None:
    page = render(full()).decode()
    described = [line.split(" ", 3)[1:] for line in page.splitlines() if line.startswith("# ")]
    helps = {name: words for kind, name, words in described if kind == "HELP"}
    types = {name: words for kind, name, words in described if kind == "TYPE"}
    assert len(described) == len(helps) + len(types) == 2 * len(helps)  # each once
    assert all(helps.values())
    for name, kind in types.items():
        assert re.fullmatch(r"(penstock|gen_ai)(_[a-z][a-z0-9]*)+", name)
        assert not SHORT_OR_NO_BASE_UNITS.intersection(name.split("_"))
        assert not set(TYPES).intersection(name.split("_"))
        assert name.endswith("_total") == (kind == "counter")
        assert not name.endswith(("_bucket", "_count", "_sum"))
    for family in text_string_to_metric_families(page):
        names = {name for sample in family.samples for name in sample.labels}
        assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)
        assert ("le" in names) == (family.type == "histogram" and bool(family.samples))


def test_families_do_not_mix() -> None:
    page = render(full()).decode()
    families = [
        re.sub(r"_(bucket|count|sum)$", "", re.split("[{ ]", line, maxsplit=1)[0])
        for line in page.splitlines()
        if not line.startswith("#")
    ]
    assert len(families) > SERIES
    assert len(list(groupby(families))) == len(set(families))


def test_the_buckets_are_those_of_the_conventions() -> None:
    """OpenTelemetry's, semantic-conventions docs/gen-ai/gen-ai-metrics.md, and some above for slow models."""
    page = render(full()).decode()

    def bounds(name: str) -> list[float]:
        found = re.findall(rf'^{name}_bucket{{[^}}]*le="([^"]+)"', page, re.MULTILINE)
        return list(dict.fromkeys(map(float, found)))

    doubled = [0.01 * 2**power for power in range(14)]
    assert bounds("gen_ai_server_request_duration_seconds")[:14] == pytest.approx(doubled)
    first = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    assert bounds("gen_ai_server_time_to_first_token_seconds")[:16] == first
