"""What servers tell of themselves may be anything; a probe takes none of it amiss, and goes on looking."""

from collections.abc import Callable

import httpx
import pytest

from gateway.credentials import Credentials
from gateway.health import Breaker, Condition
from gateway.health.probes import Probe, load_in
from gateway.metrics import Metrics
from gateway.routing import Routes
from gateway.settings import Breaker as Marks
from gateway.settings import OpenAIBackend, Settings
from tests.laws.exchange import CATALOGUE
from translators.backends.openai_server.servers import SERVERS

DEEP = b'{"data": [{"id": "a", "meta": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
LISTS = {
    "deep": DEEP,
    "null": b"null",
    "a list": b"[]",
    "no objects": b'{"data": [1, "a"]}',
    "no names": b'{"data": [{"id": 7}]}',
    "no JSON": b"<html>",
    "no text": b'{"data": [{"id": "\xff"}]}',
    "nothing": b"",
}


class Server:
    """A server that tells what the test wants it to."""

    def __init__(self) -> None:
        self.models = b'{"data": []}'
        self.metrics = b""
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        said = {"/v1/models": self.models, "/metrics": self.metrics}
        return httpx.Response(200, content=said.get(request.url.path, b""))


Found = Callable[[str, object], None]


def probing(found: Found) -> Probe:
    settings = OpenAIBackend.model_validate({"kind": "openai", "server": "vllm", "base_url": "http://s/v1"})
    return Probe(
        "s", settings, SERVERS["vllm"], Condition(Breaker(Marks())), Credentials("s"), found, Metrics(())
    )


async def looked(probe: Probe, server: Server) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as client:
        await probe.look(client)


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS)
async def test_a_list_of_models_that_is_none_changes_nothing(listed: bytes) -> None:
    told: list[object] = []
    probe, server = probing(lambda _backend, models: told.append(models)), Server()
    server.models = listed
    await looked(probe, server)
    assert probe.is_up
    assert not told


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e999", "-3", "many"])
def test_a_number_that_counts_nothing_says_nothing_of_the_load(value: str) -> None:
    text = f"vllm:num_requests_running 2\nvllm:num_requests_waiting {value}\nvllm:kv_cache_usage_perc {value}"
    told = load_in(text, SERVERS["vllm"], 0)
    assert told is not None
    assert (told.requests, told.saturation) == (2, 0.0)


def test_a_window_that_can_be_none_is_not_believed() -> None:
    server = {"kind": "openai", "server": "vllm", "base_url": "http://127.0.0.1:1/v1"}
    routes = Routes(Settings.model_validate({"backends": {"own": server}}), CATALOGUE)
    routes.found("own", {"tiny": 1, "fine": 4096})
    assert routes.facts("tiny").window is None
    assert routes.facts("fine").window == 4096


async def test_a_server_that_has_come_back_is_asked_at_once_which_models_it_has_now() -> None:
    told: list[object] = []
    probe, server = probing(lambda _backend, models: told.append(models)), Server()
    server.models = b'{"data": [{"id": "a"}]}'
    await looked(probe, server)
    async with httpx.AsyncClient(transport=httpx.MockTransport(_is_gone)) as client:
        await probe.look(client)
    server.models = b'{"data": [{"id": "b"}]}'
    await looked(probe, server)
    assert told == [{"a": None}, {"b": None}]


def _is_gone(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("gone")
