"""Health, readiness and the metrics: their names, and that labels come from closed sets."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.exchange import Exchange
from gateway.metrics import Metrics, render
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MODEL, Served, asks, backend_settings, route
from tests.gateway.test_leaving import request
from translators.deltas import Usage

Lines = Callable[[], list[dict[str, Any]]]

NAMES = {
    "penstock_requests": {"operation", "model", "backend", "status_class", "stream"},
    "gen_ai_server_request_duration_seconds": {
        "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type",
    },
    "gen_ai_server_time_to_first_token_seconds": {
        "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model",
    },
    "penstock_tokens": {"model", "backend", "type"},
    "penstock_neurons": {"model", "backend"},
    "penstock_upstream_attempts": {"backend", "outcome"},
    "penstock_limit_refusals": {"subject", "unit"},
    "penstock_admitted_without_store": set(),
    "penstock_store_failures": {"reason"},
    "penstock_credential_refreshes": {"backend", "outcome"},
    "penstock_deadlines": {"reason"},
    "penstock_stream_endings": {"by", "clean"},
    "penstock_shed_requests": {"reason"},
    "penstock_event_loop_lag_seconds": set(),
    "penstock_inflight_requests": set(),
    "penstock_auth_failures": {"reason"},
    "penstock_shadow_requests": {"backend", "outcome"},
    "penstock_unread_requests": {"reason"},
    "penstock_lost_access_lines": set(),
    "penstock_build_info": {"version", "python"},
    "penstock_workers": set(),
    "penstock_backend_up": {"backend"},
    "penstock_backend_inflight_requests": {"backend"},
    "penstock_backend_reported_requests": {"backend"},
    "penstock_backend_reported_kv_usage_ratio": {"backend"},
    "penstock_backend_set_aside": {"backend", "model"},
    "penstock_backend_drained": {"backend", "model"},
    "penstock_breaker_state": {"backend", "model", "state"},
    "penstock_breaker_openings": {"backend", "model"},
    "penstock_set_asides": {"backend", "model"},
    "penstock_probe_failures": {"backend", "what"},
    "penstock_further_attempts": {"backend", "kind"},
    "penstock_retry_refusals": set(),
    "penstock_retry_budget_used": set(),
    "penstock_queued_requests": {"route"},
    "penstock_queue_wait_seconds": {"route"},
    "penstock_worker_restarts": set(),
}  # fmt: skip


async def _families(served: Served) -> dict[str, Any]:
    answer = await served.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


async def test_health_and_readiness_do_not_ask_the_backends(served: Served, backend: Backend) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await served.client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert not backend.calls


async def test_the_metrics_have_their_names_and_labels(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.stream("Hi") if call.body.get("stream") else call.refuse(500)
    await served.chat(stream=True)
    await served.chat()
    families = await _families(served)
    assert set(families) == set(NAMES)
    for name, labels in NAMES.items():
        for sample in families[name].samples:
            assert set(sample.labels) - {"le"} == labels, name


async def test_requests_are_counted_with_their_outcome(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.stream("Hi", prompt=5, completion=2)
    await served.chat(stream=True)
    await served.chat()
    labels = {"operation": "chat", "model": MODEL, "backend": "cloudflare", "status_class": "2xx"}
    assert await served.metric("penstock_requests_total", **labels, stream="true") == 1
    assert await served.metric("penstock_requests_total", **labels, stream="false") == 1
    assert await served.metric("penstock_tokens_total", model=MODEL, type="input") == 10
    assert await served.metric("penstock_tokens_total", model=MODEL, type="output") == 4
    assert await served.metric("penstock_stream_endings_total", by="backend", clean="true") == 1
    assert await served.metric("gen_ai_server_time_to_first_token_seconds_count") == 1
    assert await served.metric("gen_ai_server_request_duration_seconds_count", error_type="") == 2
    assert await served.metric("penstock_inflight_requests") == 1  # this one


async def test_unknown_models_are_other_however_many_there_are(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    await served.chat(model="gpt-0")
    await served.chat(model="@cf/odd/model-0")
    await _families(served)  # which is counted as well
    series = sum(len(each.samples) for each in (await _families(served)).values())
    for number in range(1, 40):
        await served.chat(model=f"gpt-{number}")
        await served.chat(model=f"@cf/odd/model-{number}")
    families = await _families(served)
    assert sum(len(each.samples) for each in families.values()) == series
    assert await served.metric("penstock_requests_total", model="other", status_class="4xx") == 40
    assert await served.metric("penstock_requests_total", model="other", status_class="2xx") == 40


async def test_a_routes_name_is_a_label(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"b": backend_settings(backend.url)}, models={"small": route("b")})
    backend.reply = lambda call: call.result("Hi")
    await served.chat(model="small")
    assert await served.metric("penstock_requests_total", model="small", backend="b") == 1


async def test_attempts_are_counted_by_outcome(served: Served, backend: Backend) -> None:
    for reply, outcome in (
        (lambda call: call.result("Hi"), "ok"),
        (lambda call: call.refuse(400, 5006), "http_4xx"),
        (lambda call: call.refuse(500), "http_5xx"),
        (lambda call: call.refuse(429, 3021), "rate_limited"),
        (lambda call: call.refuse(408, 3007), "timeout"),
        (lambda call: call.whole(b"<html>"), "invalid"),
        (lambda call: call.reset(), "reset"),
    ):
        backend.reply = reply
        await served.chat()
        assert await served.metric("penstock_upstream_attempts_total", outcome=outcome) == 1, outcome
    assert await served.metric("penstock_upstream_attempts_total", backend="cloudflare") == 7


async def test_a_step_of_settling_that_fails_costs_neither_the_others_nor_the_connection(
    served: Served,
    backend: Backend,
    access_lines: Lines,
    quiet_log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_arguments: object) -> None:
        raise ValueError("counters can only go up")

    backend.reply = lambda call: call.result("Hi")
    with monkeypatch.context() as broken:
        broken.setattr("gateway.metrics.counting.monotonic", fails)
        reader, writer = await served.connect()
        for _ in range(2):  # on one connection
            writer.write(request(asks()))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
        await served.settled()
        writer.close()
    assert [line["status"] for line in access_lines()] == [200, 200]
    assert [each.getMessage().endswith("is not in the metrics.") for each in quiet_log.records] == [True] * 2
    quiet_log.clear()


def test_what_is_no_amount_is_not_counted() -> None:
    metrics = Metrics(["m"])
    for usage in (Usage(-1, -2, neurons=-0.5), Usage(0, 0, neurons=math.nan), Usage(0, 0, neurons=math.inf)):
        metrics.ended(Exchange("POST", "/", model="m", usage=usage))
    text = render(metrics.counts()).decode()
    assert "penstock_tokens_total{" not in text
    assert "penstock_neurons_total{" not in text
    assert 'penstock_requests_total{backend="",model="m"' in text
