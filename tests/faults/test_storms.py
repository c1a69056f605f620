"""Backends that refuse everything, asked by many at once: no request costs more calls than it has targets."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.faults.chaos_server import GOOD, GOOD_WHOLE, Act, ChaosServer, Script, chaos_server, failed, whole
from tests.faults.outcomes import Fails, Says, check
from tests.gateway.served import MODEL, Served, backend_settings, route, serving_gateway

ASKING = 100
REFUSALS: dict[str, tuple[Script, Fails]] = {
    "503": ((whole(failed(3040), 503),), Fails(503, "overloaded", "http_5xx")),
    "429": (
        (whole(failed(3021), 429, "application/json", "retry-after: 7"),),
        Fails(429, "rate_limit_exceeded", "rate_limited", headers=(("retry-after", "7"),)),
    ),
    "529": ((whole(b"", 529),), Fails(503, "overloaded", "http_5xx")),
    "resets": ((Act.RESET,), Fails(502, "backend_broken", "reset")),
    "nonsense": ((whole(b"<html>", 200, "text/html"),), Fails(502, "bad_backend_answer", "invalid")),
}


async def ask_at_once(served: Served, model: str, expected: Fails | Says, *, streamed: bool) -> None:
    for answer in await asyncio.gather(*(served.chat(model=model, stream=streamed) for _ in range(ASKING))):
        check(answer, expected)


def serving(tmp_path: Path, *servers: ChaosServer) -> AbstractAsyncContextManager[Served]:
    """A gateway whose model `small` has these targets."""
    backends = {f"b{number}": backend_settings(each.url) for number, each in enumerate(servers)}
    return serving_gateway(
        {"data_dir": tmp_path, "backends": backends, "models": {"small": route(*backends)}}
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("script", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_a_storm_costs_the_only_target_one_call_a_request(
    tmp_path: Path, script: Script, expected: Fails, *, streamed: bool
) -> None:
    async with chaos_server(script) as only, serving(tmp_path, only) as served:
        await ask_at_once(served, "small", expected, streamed=streamed)
        assert len(only.requests) == ASKING


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("script", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_a_storm_on_two_targets_makes_few_calls_that_may_have_cost_work(
    tmp_path: Path, script: Script, expected: Fails, *, streamed: bool
) -> None:
    async with (
        chaos_server(script) as first,
        chaos_server(script) as second,
        serving(tmp_path, first, second) as served,
    ):
        answers = await asyncio.gather(*(served.chat(model="small", stream=streamed) for _ in range(ASKING)))
        assert {answer.status_code for answer in answers} <= {expected.status, 503}
        costs_work = expected.status not in {429, 503}
        assert len(first.requests) <= ASKING
        assert len(second.requests) <= (ASKING // 5 if costs_work else ASKING)
        calls = await served.metric("penstock_upstream_attempts_total")
        assert calls == len(first.requests) + len(second.requests)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_connections_that_all_end_while_idle_cost_one_call_more_each(
    tmp_path: Path, *, streamed: bool
) -> None:
    """A backend that restarts closes all of them, and each of the next requests is sent once more."""
    good = GOOD if streamed else GOOD_WHOLE
    async with chaos_server(good) as chaos:
        settings = {"data_dir": tmp_path, "backends": {"chaos": backend_settings(chaos.url)}}
        async with serving_gateway(settings) as served:
            await ask_at_once(served, MODEL, Says(), streamed=streamed)
            kept = len(chaos.open)
            chaos.requests.clear()
            for connection in chaos.open:
                connection.transport.abort()
            await ask_at_once(served, MODEL, Says(), streamed=streamed)
            assert len(chaos.requests) <= ASKING + kept
