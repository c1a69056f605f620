"""A stream that breaks off is gone on with by the next server, and the client sees one answer."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import server
from gateway.simulator import SimulatedServer, create_server
from tests.gateway.served import Served, events, running, serving_gateway, text_of

QUESTION = "Tell me a long story about a river and its stones"
PRODUCTS = ["vllm", "sglang"]
FURTHER = "penstock_further_attempts_total"


@asynccontextmanager
async def serving(simulated: SimulatedServer) -> AsyncIterator[str]:
    listener = server.listen("127.0.0.1", 0)
    async with running(server.Site(simulated, listener)):
        yield server.url_of(listener)


@pytest.fixture(params=PRODUCTS)
def servers(request: pytest.FixtureRequest) -> list[SimulatedServer]:
    return [create_server(request.param, seed=3) for _ in range(2)]


@pytest.fixture
async def served(servers: list[SimulatedServer], tmp_path: Path) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        backends = {
            f"s{number}": {
                "kind": "openai",
                "server": each.product.name,
                "base_url": await stack.enter_async_context(serving(each)),
                "breaker": {"failures": 1_000_000, "ratio": 1},
            }
            for number, each in enumerate(servers)
        }
        targets = [{"backend": name, "model": "simulated"} for name in backends]
        settings = {
            "data_dir": tmp_path,
            "backends": backends,
            "models": {"story": {"targets": targets, "continue_streams": True}},
        }
        yield await stack.enter_async_context(serving_gateway(settings))


async def told(served: Served, **fields: Any) -> httpx.Response:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    return await served.chat(QUESTION, model="story", **options, **fields)


def usage_of(body: str) -> Any:
    return next(each["usage"] for each in reversed(events(body)) if each != "[DONE]" and each.get("usage"))


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 12}, {"stop": ["stones"]}])
@pytest.mark.parametrize("fault", ["cut", "reset"])
async def test_wherever_a_stream_breaks_off_the_answer_is_the_same(
    served: Served,
    servers: list[SimulatedServer],
    quiet_log: pytest.LogCaptureFixture,
    fault: str,
    fields: dict[str, Any],
) -> None:
    whole = await told(served, **fields)
    expected, usage = text_of(whole.text), usage_of(whole.text)
    assert len(expected) > 20
    continued = 0
    # A reset takes away what has not been read: slowly, or every break would lie before the first word.
    servers[0].per_token = 0.001 if fault == "reset" else 0.0
    for size in range(150, 6000, 97):
        servers[0].fault = f"{fault}.{size}"
        before = servers[1].served
        answer = await told(served, **fields)
        servers[0].fault = None
        assert text_of(answer.text) == expected, size
        assert events(answer.text)[-1] == "[DONE]", answer.text[-500:]
        # A stop string that lies over the seam is the gateway's to find, some tokens behind it.
        assert usage_of(answer.text) == usage or "stop" in fields
        continued += servers[1].served > before
    asked = {kind: await served.metric(FURTHER, kind=kind) for kind in ("continued", "failover")}
    assert asked["continued"] + asked["failover"] == continued  # failover where it broke before a word
    assert asked["continued"] > 3
    quiet_log.clear()  # the simulated server breaks off by an exception


async def test_what_is_more_than_text_is_an_honest_error_where_it_breaks_off(
    served: Served, servers: list[SimulatedServer]
) -> None:
    servers[0].fault = "cut.3000"
    answer = await told(served, logprobs=True)
    assert "error" in events(answer.text)[-1]
    assert not servers[1].served


async def test_without_somebody_to_go_on_it_is_an_honest_error(
    served: Served, servers: list[SimulatedServer]
) -> None:
    servers[0].fault, servers[1].fault = "cut.1500", "503"
    answer = await told(served)
    last = events(answer.text)[-1]
    assert last["error"]["code"] in {"bad_backend_answer", "overloaded"}, json.dumps(last)
