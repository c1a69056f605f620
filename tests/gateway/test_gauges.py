"""How things stand with backends and routes shows in the metrics; names of clients' own make no series."""

import asyncio
import time
from collections.abc import Callable

from gateway.gauges import gauges_of
from gateway.metrics.names import GAUGES
from gateway.simulator import create_server
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MODEL, Served, backend_settings
from tests.gateway.test_routing import LONG, hello, serve_two, targets

OPENED = {"failures": 2, "wait": LONG}


async def breaker(served: Served, backend: str, model: str = "") -> dict[str, float]:
    """How many workers have it in each state."""
    return {
        state: await served.metric("penstock_breaker_state", backend=backend, model=model, state=state)
        for state in ("closed", "open", "half_open")
    }


async def test_backends_and_routes_show_from_the_start(two: Served) -> None:
    text = (await two.client.get("/metrics")).text
    for line in (
        'penstock_backend_inflight_requests{backend="first"} 0.0',
        'penstock_backend_set_aside{backend="first",model=""} 0.0',
        'penstock_backend_drained{backend="second",model=""} 0.0',
        'penstock_queued_requests{route="small"} 0.0',
        "penstock_retry_budget_used 0.0",
    ):
        assert line in text.splitlines()
    assert await breaker(two, "first") == {"closed": 1, "open": 0, "half_open": 0}
    assert await breaker(two, "second") == {"closed": 1, "open": 0, "half_open": 0}
    assert f'model="{MODEL}"' not in text


async def test_every_gauge_has_words_and_none_has_them_in_vain(serve: Serve, backend: Backend) -> None:
    served = await serve(backends={"c": backend_settings(backend.url)})
    gateway = served.gateway
    gauges = gauges_of(gateway.dispatch.balancer, (), gateway.settings.models, gateway.metrics)
    assert not gauges.sums.keys() & gauges.peaks.keys()
    assert gauges.sums.keys() | gauges.peaks.keys() == GAUGES.keys()


async def test_what_is_in_flight_and_who_waits_shows(serve: Serve, backend: Backend) -> None:
    route = targets({"backend": "first"}, queue={"max": 2, "wait": LONG})
    served = await serve(
        backends={"first": backend_settings(backend.url, max_in_flight=1)}, models={"small": route}
    )
    asking = [asyncio.create_task(served.chat(model="small")) for _ in range(2)]
    call = await backend.call()
    await served.waits_for("total")  # as who stands in line does
    assert await served.metric("penstock_backend_inflight_requests", backend="first") == 1
    assert await served.metric("penstock_queued_requests", route="small") == 1
    backend.reply = hello
    hello(call)
    assert {(await each).status_code for each in asking} == {200}
    assert await served.metric("penstock_backend_inflight_requests") == 0
    assert await served.metric("penstock_queued_requests") == 0


async def test_a_backends_breaker_shows_open_then_half_open_then_closed(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = Call.reset, hello
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve_two(serve, backend, second, route, breaker=OPENED)
    for _ in range(4):
        await served.chat(model="small")
    assert await breaker(served, "first") == {"closed": 0, "open": 1, "half_open": 0}
    assert await breaker(served, "second") == {"closed": 1, "open": 0, "half_open": 0}
    assert await served.metric("penstock_breaker_openings_total", backend="first", model="") == 1
    served.gateway.dispatch.balancer.health.backends["first"].breaker.is_well(time.monotonic())
    assert await breaker(served, "first") == {"closed": 0, "open": 0, "half_open": 1}
    backend.reply = hello
    await served.chat(model="small")
    assert await breaker(served, "first") == {"closed": 1, "open": 0, "half_open": 0}
    assert await served.metric("penstock_breaker_openings_total") == 1


async def test_a_models_breaker_shows_while_it_is_not_closed(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = lambda call: call.refuse(500, 3043), hello
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve_two(serve, backend, second, route, breaker=OPENED)
    for _ in range(3):
        await served.chat(model="small")
    assert await breaker(served, "first", MODEL) == {"closed": 0, "open": 1, "half_open": 0}
    assert await breaker(served, "first") == {"closed": 1, "open": 0, "half_open": 0}
    assert await served.metric("penstock_breaker_openings_total", backend="first", model=MODEL) == 1
    served.all_well()
    assert f'model="{MODEL}",state' not in (await served.client.get("/metrics")).text


async def test_models_that_no_list_has_show_as_one_that_is_as_badly_off_as_the_worst(
    serve: Serve, backend: Backend
) -> None:
    served = await serve(backends={"c": backend_settings(backend.url, breaker=OPENED)})
    health = served.gateway.dispatch.balancer.health
    health.of("c", "@cf/odd/drained").drained = True
    health.of("c", "@cf/odd/drained").breaker.is_down(0.0)  # long ago
    backend.reply = lambda call: call.refuse(500, 3043)
    for number in range(20):
        for _ in range(2):
            await served.chat(model=f"@cf/odd/model-{number}")
    assert await breaker(served, "c", "other") == {"closed": 0, "open": 1, "half_open": 0}
    assert await served.metric("penstock_backend_drained", backend="c", model="other") == 1
    assert await served.metric("penstock_breaker_openings_total", backend="c", model="other") == 21
    assert "odd" not in (await served.client.get("/metrics")).text


async def test_what_is_busy_shows_as_set_aside(serve: Serve, backend: Backend, second: Backend) -> None:
    backend.reply, second.reply = lambda call: call.refuse(429, 3021), hello
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve_two(serve, backend, second, route)
    for _ in range(3):
        await served.chat(model="small")
    assert await served.metric("penstock_backend_set_aside", backend="first", model=MODEL) == 1
    assert await served.metric("penstock_backend_set_aside", backend="first", model="") == 0
    assert await served.metric("penstock_set_asides_total", backend="first", model=MODEL) == 1
    served.all_well()
    backend.reply = lambda call: call.refuse(429, 4006)  # all of the account
    await served.chat(model="small")
    assert await served.metric("penstock_backend_set_aside", backend="first", model="") == 1
    assert await served.metric("penstock_set_asides_total", backend="first", model="") == 1


async def test_what_is_drained_shows(two: Served) -> None:
    health = two.gateway.dispatch.balancer.health
    health.backends["first"].drained = True
    health.of("second", MODEL).drained = True
    assert await two.metric("penstock_backend_drained", backend="first", model="") == 1
    assert await two.metric("penstock_backend_drained", backend="second", model="") == 0
    assert await two.metric("penstock_backend_drained", backend="second", model=MODEL) == 1


async def test_what_is_asked_once_more_shows_as_long_as_it_has_no_answer(
    two: Served, backend: Backend, second: Backend
) -> None:
    backend.reply = Call.reset
    asking = asyncio.create_task(two.chat(model="small"))
    call = await second.call()
    assert await two.metric("penstock_retry_budget_used") == 1
    hello(call)
    await asking
    assert await two.metric("penstock_retry_budget_used") == 0


async def test_a_servers_own_word_shows_while_it_is_well(serve: Serve, serve_app: Callable[..., str]) -> None:
    server = create_server("vllm", models=("a",), health_seconds=0.0)
    url = serve_app(server)
    served = await serve(
        backends={"own": {"kind": "openai", "server": "vllm", "base_url": f"{url}/v1", "probe": 0}}
    )
    assert await served.metric("penstock_backend_up") == 0
    assert 'penstock_backend_up{backend="own"}' not in (await served.client.get("/metrics")).text
    (probe,) = served.gateway.probes
    await probe.look_once()
    text = (await served.client.get("/metrics")).text.splitlines()
    assert 'penstock_backend_up{backend="own"} 1.0' in text
    assert 'penstock_backend_reported_requests{backend="own"} 0.0' in text
    assert 'penstock_backend_reported_kv_usage_ratio{backend="own"} 0.0' in text
    assert served.gateway.metrics.label("a") == "a"  # which the server lists
    server.fault = "503"
    await probe.look_once()
    text = (await served.client.get("/metrics")).text.splitlines()
    assert 'penstock_backend_up{backend="own"} 0.0' in text
    assert not [line for line in text if line.startswith("penstock_backend_reported_requests{")]
    assert await served.metric("penstock_probe_failures_total", backend="own", what="health") == 1
