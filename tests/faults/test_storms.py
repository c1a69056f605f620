"""Backends that refuse everything, asked by many at once: no request costs more calls than it has targets."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.chaos_server import GOOD, GOOD_WHOLE, Act, Script, chaos_server, failed, whole
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


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("script", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_a_storm_costs_each_target_one_call_a_request(
    tmp_path: Path, script: Script, expected: Fails, *, streamed: bool
) -> None:
    async with chaos_server(script) as first, chaos_server(script) as second:
        backends = {"first": backend_settings(first.url), "second": backend_settings(second.url)}
        models = {"one": route("first"), "two": route("first", "second")}
        settings = {"data_dir": tmp_path, "backends": backends, "models": models}
        async with serving_gateway(settings) as served:
            await ask_at_once(served, "one", expected, streamed=streamed)
            assert (len(first.requests), len(second.requests)) == (ASKING, 0)
            await ask_at_once(served, "two", expected, streamed=streamed)
            assert (len(first.requests), len(second.requests)) == (2 * ASKING, ASKING)
            assert await served.metric("penstock_upstream_attempts_total") == 3 * ASKING
            first.scripts = [GOOD if streamed else GOOD_WHOLE]
            await ask_at_once(served, "two", Says(), streamed=streamed)
            assert len(second.requests) == ASKING


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
