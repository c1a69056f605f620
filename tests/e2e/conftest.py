"""The official client before a gateway before a simulated account, all over sockets of this machine."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import openai
import pytest
import uvicorn

from gateway.app import create_app
from gateway.cli import server
from gateway.cli.accepting import Arrivals
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.gateway.served import MASTER, route

PATIENCE = 10  # seconds


@contextmanager
def _serving(app: server.App) -> Iterator[str]:
    """Serve as production does, in a thread of its own."""
    listener = server.listen("127.0.0.1", 0)
    serving = uvicorn.Server(server._config(server.Site(app, listener), Arrivals(listener)))
    started = threading.Event()
    startup = serving.startup

    async def tells(*arguments: object, **options: object) -> None:
        await startup(*arguments, **options)  # type: ignore[arg-type]  # passed on as they come
        started.set()

    serving.startup = tells  # type: ignore[method-assign]  # uvicorn has no other sign of its start
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert started.wait(PATIENCE), "the app did not start"
        yield server.url_of(listener)
    finally:
        serving.should_exit = True
        thread.join(PATIENCE)
        listener.close()


# Not longer: its probes draw random numbers in a thread, at which Hypothesis takes offence in other tests.
@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        account = stack.enter_context(_serving(Simulator(split_chunks=True)))
        backend = {
            "kind": "workers_ai",
            "account_id": SIMULATED_ACCOUNT_ID,
            "api_token": SIMULATED_API_TOKEN,
            "base_url": f"{account}/client/v4",
        }
        settings = {
            "data_dir": tmp_path_factory.mktemp("data"),
            "backends": {"cloudflare": backend},
            "models": {"small": route("cloudflare"), "exact": route("cloudflare", translation="strict")},
        }
        yield stack.enter_context(_serving(create_app(Settings.model_validate(settings), MASTER))) + "/v1"


@pytest.fixture
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=base_url, api_key=MASTER, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key=MASTER, max_retries=0) as client:
        yield client
