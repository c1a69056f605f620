"""What all tests share: property-test profiles, the soak mark, loopback ports and served apps."""

import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import hypothesis
import pytest
import uvicorn

App = Callable[..., Awaitable[None]]

START_SECONDS = 10

# The default is the same at every run, so that a red build is red for its change.
hypothesis.settings.register_profile("small", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.register_profile("full", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "small"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: runs for minutes; only with ./tests/run --all")
    config.addinivalue_line("markers", "real: needs a server that takes minutes to build; the same")
    # A shell's background jobs ignore it, and the processes that tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("PENSTOCK_TESTS") == "all":
        return
    for item in items:
        for mark in ("soak", "real"):
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"{mark} tests run with ./tests/run --all"))


@pytest.fixture
def closed_port() -> Iterator[Callable[[], int]]:
    """Gives a port that refuses connections until the test ends; it is taken, so nobody listens there."""
    with ExitStack() as held:

        def take() -> int:
            holder = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            holder.bind(("127.0.0.1", 0))
            port: int = holder.getsockname()[1]
            return port

        yield take


@pytest.fixture
def serve_app() -> Iterator[Callable[[App], str]]:
    """Serves an ASGI app on a loopback port in a thread until the test ends; gives its base URL."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_served(app))


@contextmanager
def _served(app: App) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=START_SECONDS)
        listener.close()
    assert not thread.is_alive(), "the served app did not stop"


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the served app did not start"
        assert time.monotonic() < end, f"the served app did not start within {START_SECONDS} s"
        thread.join(timeout=0.005)
