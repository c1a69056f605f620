"""Serving ASGI apps with uvicorn: sockets first, so that a busy port is known before anything starts.

Several apps can share one process and one event loop, as the demo's gateway and simulator do. SIGINT,
SIGTERM and a terminal that closes drain and end; a second signal ends at once.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.api.nowhere import refusal
from gateway.api.overloaded import Refuser
from gateway.app import application, applications
from gateway.cli.accepting import Arrivals
from gateway.cli.protocol import SWEEP, Bounds, Protocol, sweep
from gateway.logs import Messages
from gateway.pipeline import Gateway

App = Callable[..., Awaitable[None]]

BACKLOG = 2048
# How long running answers may go on after a signal, where no settings say.
DRAIN_SECONDS = 30.0
# How long answers that the drain has cut off may take to say so.
LAST_WORDS_SECONDS = 1.5
POLL_SECONDS = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM, *({signal.SIGHUP} if hasattr(signal, "SIGHUP") else ()))
# What a person can do about an address that cannot be listened on.
ADVICE = {
    errno.EADDRINUSE: "the port is taken: end what listens there, or choose another with {port}",
    errno.EACCES: "this user may not use the port: choose one above 1023 with {port}",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose another with {host}",
    errno.EAFNOSUPPORT: "this machine has no addresses of this kind: choose another with {host}",
}
NO_HOST = "this is no address, and no name that has one: choose another with {host}"
# What chooses an address.
OPTIONS = {"host": "--host", "port": "--port"}
ADMIN = {"host": "server.admin.host", "port": "server.admin.port"}


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do."""

    def __init__(
        self, host: str, port: int, error: OSError | ValueError, chosen_by: Mapping[str, str] = OPTIONS
    ) -> None:
        self.taken = False
        reason = NO_HOST
        if isinstance(error, OSError) and not isinstance(error, socket.gaierror):
            self.taken = error.errno == errno.EADDRINUSE
            reason = ADVICE.get(error.errno or 0, error.strerror or str(error))
        super().__init__(f"cannot listen on {_address(host, port)}: {reason.format(**chosen_by)}")


class StartError(Exception):
    """An app refused to start."""


@dataclass(frozen=True, slots=True)
class Site:
    """An app and the listening socket that it answers on; with bounds, what they say is kept to."""

    app: App
    socket: socket.socket
    bounds: Bounds | None = None

    @property
    def url(self) -> str:
        """Where a client on this machine reaches it."""
        return url_of(self.socket)


def gateway_site(gateway: Gateway, listener: socket.socket) -> Site:
    """The gateway, and what it lets clients do to a connection."""
    return Site(application(gateway), listener, _bounds(gateway))


def gateway_sites(gateway: Gateway, listener: socket.socket, *admin: socket.socket) -> list[Site]:
    """The gateway where clients ask and, where that is another address, where operators do.

    The latter lives within the former, with which the gateway does, and is never too busy to be asked.
    """
    if not admin:
        return [gateway_site(gateway, listener)]
    bounds = _bounds(gateway)
    for_clients, for_operators = applications(gateway)
    at_admin = [Site(for_operators, each, replace(bounds, refuser=None)) for each in admin]
    return [Site(for_clients, listener, bounds), *at_admin]


def _bounds(gateway: Gateway) -> Bounds:
    settings = gateway.settings
    return Bounds(settings.server, settings.deadlines, partial(refusal, gateway), refuser=Refuser(gateway))


def listen(host: str, port: int, chosen_by: Mapping[str, str] = OPTIONS) -> socket.socket:
    """Bind and listen; port 0 takes a free one, and an IPv6 address may stand in brackets, as in a URL.

    Raises:
        ListenError: The address cannot be listened on; what has chosen it is named.
    """
    host = host.removeprefix("[").removesuffix("]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, ValueError) as error:  # the latter for a name with an empty or too long part
        raise ListenError(host, port, error, chosen_by) from None
    try:
        if os.name == "posix":  # elsewhere this option would let two servers share one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets may bind the same port; only listening shows that it is taken.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(host, port, error, chosen_by) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The http address of a listener, with a loopback host where it listens on all interfaces."""
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{_address(reachable, port)}"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end on the fastest event loop there is; messages that nobody else takes hold nothing up."""
    logging.lastResort = Messages()
    loop_factory = uvicorn.Config("", loop="auto").get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main)


async def serve(*sites: Site, started: Callable[[], None] | None = None) -> None:
    """Serve until a signal arrives; `started` is called when all sites answer."""
    async with running(*sites) as stop:
        if started:
            started()
        await stop.wait()


class Stop(asyncio.Event):
    """Set when serving is to end: by the first signal, or by whoever has another reason."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: list[_Server] = []
        self._was_signalled = False

    def signal(self, _number: int) -> None:
        """A signal has come; a second one does not wait for running answers."""
        if self._was_signalled:
            self.at_once()
        self._was_signalled = True
        self.set()

    def at_once(self) -> None:
        """End without waiting for running answers."""
        for server in self.servers:
            server.force_exit = True
        self.set()


@asynccontextmanager
async def running(*sites: Site, stop: Stop | None = None) -> AsyncIterator[Stop]:
    """Keep the sites served inside the block; gives what says when to end it, yours if you have one."""
    stop = stop or Stop()
    tasks: list[asyncio.Task[None]] = []
    with on_signals(stop.signal):
        try:
            for site in sites:
                server = _Server(site)
                stop.servers.append(server)
                tasks.append(asyncio.create_task(server.serve(sockets=[site.socket])))
                await _ready(server, tasks[-1])
            yield stop
        finally:
            await _end(stop.servers, tasks)
            for site in sites:  # those that never started as well
                site.socket.close()


async def _ready(server: "_Server", task: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        await task


async def _end(servers: "list[_Server]", tasks: list[asyncio.Task[None]]) -> None:
    """End the sites, the last one first: it may depend on the earlier ones."""
    for server, task in zip(reversed(servers), reversed(tasks), strict=True):
        server.should_exit = True
        await asyncio.wait({task})


@contextmanager
def on_signals(told: Callable[[int], None]) -> Iterator[None]:
    """Be told of signals to end, inside the block."""
    loop = asyncio.get_running_loop()
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    for number in heard:
        loop.add_signal_handler(number, told, number)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn's server, with signals left to `running` and its start announced."""

    def __init__(self, site: Site) -> None:
        self._arrivals = Arrivals(site.socket)
        super().__init__(_config(site, self._arrivals))
        self.ready = asyncio.Event()
        self._drain = site.bounds.server.drain if site.bounds else DRAIN_SECONDS

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn has logged the app's own words
            raise StartError("the app did not start: the lines above say why") from None
        self.ready.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        sweeping = asyncio.create_task(self._sweep())
        try:
            await super().serve(sockets)
        finally:
            sweeping.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            sweep(self.server_state.connections)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, let the running answers end, and cut off those that do not.

        uvicorn's own does not wait for what it has cut off, whose last words would be lost.
        """
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        await self._arrivals.all_taken()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._let_end(self._drain)
        for connection in self.server_state.connections:
            if isinstance(connection, Protocol):
                connection.give_up()
        for task in self.server_state.tasks:
            task.cancel()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS_SECONDS)
        if not self.force_exit:
            await self._let_end(LAST_WORDS_SECONDS)
        await self.lifespan.shutdown()

    async def _let_end(self, seconds: float) -> None:
        """Wait until all answers are given and all connections closed, or for so long."""
        end = monotonic() + seconds
        state = self.server_state
        while (state.connections or state.tasks) and not self.force_exit and monotonic() < end:  # noqa: ASYNC110 - uvicorn's sets tell nobody
            await asyncio.sleep(POLL_SECONDS)


def _config(site: Site, arrivals: Arrivals) -> uvicorn.Config:
    kind = partial(Protocol, site.bounds) if site.bounds else HttpToolsProtocol

    def accepted(**given: Any) -> HttpToolsProtocol:
        make = partial(kind, **given)
        arrivals.take(make)
        return make()

    http: Any = accepted  # uvicorn only calls what it takes for a class
    return uvicorn.Config(
        site.app,
        http=http,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,  # the gateway writes its own access lines
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
