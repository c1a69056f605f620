"""Probes find out what servers are doing, and what they can be asked for."""

from collections.abc import Mapping

import httpx
import pytest

from gateway.credentials import Credentials
from gateway.health import Breaker, Condition, Told
from gateway.health.probes import Probe, load_in
from gateway.metrics import Metrics
from gateway.settings import Breaker as Marks
from gateway.settings import OpenAIBackend
from gateway.simulator import PRODUCTS, SimulatedServer, create_server
from gateway.tallies import Labels
from translators.backends.openai_server.servers import SERVERS

KEY = "sk-of-the-server-0123456789"
PRODUCT = pytest.mark.parametrize("product", sorted(PRODUCTS))


class Looking:
    """A probe of a simulated server."""

    def __init__(self, server: SimulatedServer, product: str) -> None:
        self.models: Mapping[str, int | None] | None = None
        self.server = server
        settings = OpenAIBackend.model_validate(
            {"kind": "openai", "server": product, "base_url": "http://server", "api_key": KEY}
        )
        self.condition = Condition(Breaker(Marks()))
        self.metrics = Metrics(())
        credentials = Credentials("b").add([KEY])
        self.probe = Probe(
            "b", settings, SERVERS[product], self.condition, credentials, self._found, self.metrics
        )

    def _found(self, _backend: str, models: Mapping[str, int | None]) -> None:
        self.models = models

    def counted(self) -> dict[Labels, float]:
        """How often it was asked in vain."""
        return dict(self.metrics.counts().counters["penstock_probe_failures_total"])

    async def look(self) -> bool | None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.server)) as client:
            await self.probe.look(client)
        return self.probe.is_up


@PRODUCT
async def test_a_server_is_well_and_lists_its_models(product: str) -> None:
    server = create_server(product, models=("a", "b"), api_key=KEY, health_seconds=0.0)
    looking = Looking(server, product)
    assert await looking.look()
    assert looking.models is not None
    assert list(looking.models) == ["a", "b"]
    tells_window = product in {"vllm", "sglang", "llama_cpp"}
    assert set(looking.models.values()) == {32_768 if tells_window else None}


@pytest.mark.parametrize(
    "product", sorted(name for name in PRODUCTS if SERVERS[name].running_metric is not None)
)
async def test_a_server_tells_how_much_it_has_to_do(product: str) -> None:
    looking = Looking(create_server(product, api_key=KEY, health_seconds=0.0), product)
    looking.condition.in_flight = 3
    assert await looking.look()
    assert looking.condition.told == Told(0, 0.0, 3)


async def test_a_server_in_trouble_is_left_alone_from_the_second_look_until_it_is_well() -> None:
    server = create_server("vllm", api_key=KEY)
    looking = Looking(server, "vllm")
    server.fault = "503"
    assert not await looking.look()
    assert not looking.condition.breaker.is_open
    assert not await looking.look()
    assert looking.condition.breaker.is_open
    server.fault = None
    assert await looking.look()
    assert looking.condition.breaker.lets_in(looking.condition.breaker.until or 0)


async def test_a_server_that_is_not_there_is_not_up() -> None:
    looking = Looking(create_server("vllm"), "vllm")
    async with httpx.AsyncClient(trust_env=False) as client:
        looking.probe.settings = looking.probe.settings.model_copy(
            update={"base_url": "http://127.0.0.1:9/v1"}
        )
        await looking.probe.look(client)
    assert looking.probe.is_up is False


async def test_looks_in_vain_are_counted_by_what_was_asked_for() -> None:
    server = create_server("llama_cpp", api_key=KEY, shows_metrics=False, health_seconds=0.0)
    looking = Looking(server, "llama_cpp")
    await looking.look()
    assert looking.counted() == {("b", "load"): 1}
    server.fault = "503"
    await looking.look()
    await looking.look()
    assert looking.counted() == {("b", "load"): 1, ("b", "health"): 2}


async def test_a_list_of_models_that_is_none_is_counted_and_one_that_is_names_them() -> None:
    looking = Looking(create_server("vllm", models=("a",), api_key=KEY, health_seconds=0.0), "vllm")
    looking.probe.credentials = Credentials("b").add(["sk-of-another-0123456789"])
    await looking.look()
    assert looking.counted()["b", "models"] == 1
    assert looking.metrics.label("a") == "other"
    looking.probe.credentials = Credentials("b").add([KEY])
    await looking.look()
    assert looking.counted()["b", "models"] == 1
    assert looking.metrics.label("a") == "a"


def test_load_is_summed_over_models_and_engines() -> None:
    text = """
# HELP vllm:num_requests_running Number of requests.
vllm:num_requests_running{engine="0",model_name="a"} 3.0
vllm:num_requests_running{engine="1",model_name="a"} 2.0
vllm:num_requests_waiting{engine="0"} 4
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
vllm:num_requests_waiting_by_reason{reason="x"} nonsense
"""
    assert load_in(text, SERVERS["vllm"], 1) == Told(9, 0.75, 1)
    assert load_in("nothing 1", SERVERS["vllm"], 1) is None
