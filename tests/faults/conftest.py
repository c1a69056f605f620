"""A gateway between a chaos server and a chaos client."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chaos_server import ChaosServer, Script, chaos_server
from tests.gateway.served import Served, backend_settings, serving_gateway

Between = Callable[..., Awaitable[tuple[Served, ChaosServer]]]


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[Between]:
    """Starts a chaos server with its scripts, and a gateway before it with settings of the test's own."""
    async with AsyncExitStack() as stack:

        async def start(
            *scripts: Script, greeting: Script = (), **settings: Any
        ) -> tuple[Served, ChaosServer]:
            chaos = await stack.enter_async_context(chaos_server(*scripts, greeting=greeting))
            backends = {"chaos": backend_settings(chaos.url)}
            served = serving_gateway({"data_dir": tmp_path, "backends": backends, **settings})
            return await stack.enter_async_context(served), chaos

        yield start


@pytest.fixture
def access_lines(capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[[], list[dict[str, Any]]]:
    """Gives the access lines written since it was last asked, decoded."""
    return lambda: [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No fault is a fault of ours: the log stays without errors and tracebacks."""
    yield
    errors = [each for each in caplog.get_records("call") if each.levelno >= logging.ERROR]
    assert not errors, [each.getMessage() for each in errors]
