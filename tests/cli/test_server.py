"""Listening and serving, in this process."""

import asyncio
import gc
import signal
import socket
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from gateway.cli import server
from gateway.cli.protocol import Bounds, Protocol
from gateway.settings import Deadlines, Server

# CPython's SHARED_KEYS_MAX_SIZE: an object with more attributes gets a hash table of its own.
ATTRIBUTES_KEPT_IN_AN_OBJECT = 30


def says(text: str) -> server.App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return app


async def live(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def refuses_to_start(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


def test_a_taken_port_is_told_apart_and_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(server.ListenError) as raised:
            server.listen("127.0.0.1", port)
    assert raised.value.taken
    assert str(raised.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is taken: "
        "end what listens there, or choose another with --port"
    )


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(server.ListenError, match="this machine has no such address") as raised:
        server.listen("192.0.2.1", 0)  # RFC 5737: an address for documentation
    assert not raised.value.taken


@pytest.mark.parametrize("host", ["127.0.0..1", "a" * 64, "nul\0"])
def test_what_is_no_host_says_what_to_do(host: str) -> None:
    with pytest.raises(server.ListenError, match="this is no address, and no name that has one"):
        server.listen(host, 0)


def test_a_name_that_is_not_known_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: Any, **_options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        server.ListenError, match="no name that has one: choose another with --host"
    ) as raised:
        server.listen("gateway", 8080)
    assert not raised.value.taken


def test_an_ipv6_address_may_stand_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with server.listen("[::1]", 0) as listener:
        assert server.url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"
    with server.listen("::1", 0) as taken, pytest.raises(server.ListenError) as raised:
        server.listen("[::1]", taken.getsockname()[1])
    assert str(raised.value).startswith("cannot listen on [::1]:")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_url_leads_to_a_loopback_address(host: str) -> None:
    with server.listen(host, 0) as listener:
        assert server.url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_two_sites_answer_side_by_side_and_end_together() -> None:
    sites = [server.Site(says(text), server.listen("127.0.0.1", 0)) for text in ("one", "two")]
    urls = [site.url for site in sites]
    async with server.running(*sites):
        answers = [await get(url) for url in urls]
    assert [answer.text for answer in answers] == ["one", "two"]
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            await get(url)


async def test_answers_do_not_name_the_server() -> None:
    site = server.Site(says("one"), server.listen("127.0.0.1", 0))
    async with server.running(site):
        headers = (await get(site.url)).headers
    assert "server" not in headers
    assert "date" in headers


async def test_an_app_that_does_not_start_ends_those_that_did() -> None:
    first = server.Site(says("one"), server.listen("127.0.0.1", 0))
    second = server.Site(refuses_to_start, server.listen("127.0.0.1", 0))
    urls = [first.url, second.url]
    with pytest.raises(server.StartError):
        async with server.running(first, second):
            pytest.fail("the block must not run")
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            await get(url)


async def test_the_first_signal_ends_serving() -> None:
    site = server.Site(says("one"), server.listen("127.0.0.1", 0))
    started = asyncio.Event()

    def interrupt() -> None:
        started.set()
        signal.raise_signal(signal.SIGTERM)

    await asyncio.wait_for(server.serve(site, started=interrupt), timeout=10)
    assert started.is_set()


async def test_the_second_signal_does_not_wait_for_running_answers() -> None:
    asked = asyncio.Event()

    async def never_ends(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        asked.set()
        await asyncio.Event().wait()

    site = server.Site(never_ends, server.listen("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(site))
    asking = asyncio.create_task(get(site.url))
    await asyncio.wait_for(asked.wait(), timeout=10)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    await asyncio.wait_for(serving, timeout=server.DRAIN_SECONDS / 2)
    asking.cancel()
    await asyncio.wait({asking})


def test_clients_that_connect_at_once_are_accepted_many_to_a_turn_of_the_loop() -> None:
    many, turns = 200, 0

    async def accept() -> None:
        nonlocal turns
        listener = server.listen("127.0.0.1", 0)
        with ExitStack() as clients:
            async with server.running(server.Site(says("x"), listener)) as stop:
                for _ in range(many):
                    clients.enter_context(socket.create_connection(listener.getsockname()))
                while len(stop.servers[0].server_state.connections) < many and turns < many:
                    await asyncio.sleep(0)
                    turns += 1
                clients.close()

    server.run(accept())
    assert turns < many / 4


async def test_a_connection_has_no_hash_table_of_its_own() -> None:
    bounds = Bounds(Server(), Deadlines(), lambda error: says(error.message))
    site = server.Site(says("yes"), server.listen("127.0.0.1", 0), bounds)
    async with server.running(site), httpx.AsyncClient(trust_env=False) as client:
        await client.get(site.url)
        connections = [each for each in gc.get_objects() if type(each) is Protocol]
        assert connections
        assert max(len(vars(each)) for each in connections) <= ATTRIBUTES_KEPT_IN_AN_OBJECT
