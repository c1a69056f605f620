"""Shadows get copies of requests, and nobody waits or pays for them."""

import asyncio

import pytest

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MODEL, Served, backend_settings, route


def hello(call: Call) -> None:
    call.result("Hi")


@pytest.fixture
async def served(serve: Serve, backend: Backend, second: Backend) -> Served:
    """A gateway whose model `small` is answered by `backend`, and copied to `second`."""
    shadow = {"backend": "second", "model": MODEL}
    return await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": route("first", shadow=shadow)},
    )


async def test_a_shadow_gets_a_copy_when_the_request_has_been_answered(
    served: Served, backend: Backend, second: Backend
) -> None:
    backend.reply = hello
    answer = await served.chat("Copy me", model="small")
    assert answer.headers["x-penstock-attempts"] == "1"
    call = await second.call()
    assert call.body["messages"] == [{"role": "user", "content": "Copy me"}]
    hello(call)
    await asyncio.gather(*served.gateway.dispatch.shadows._tasks)
    name = "penstock_shadow_requests_total"
    assert await served.metric(name, backend="second", outcome="ok") == 1
    assert await served.metric("penstock_upstream_attempts_total") == 1


async def test_a_shadow_in_trouble_is_nobodys_trouble(
    served: Served, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = hello, Call.reset
    for _ in range(8):
        assert (await served.chat(model="small")).status_code == 200
    await asyncio.gather(*served.gateway.dispatch.shadows._tasks)
    assert await served.metric("penstock_shadow_requests_total", outcome="failed") == 8
