"""What happens to the process and its host: signals, no space, no descriptors, a log nobody reads, clocks."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.faults.chaos_client import ChaosClient, chaos_client, head, request
from tests.faults.chaos_server import (
    DONE,
    END,
    EVENTS,
    GOOD,
    GOOD_WHOLE,
    LAST,
    PATIENCE,
    Act,
    ChaosServer,
    Script,
    chaos_server,
    chunk,
    event,
)
from tests.faults.conftest import Between
from tests.faults.outcomes import Breaks, Fails, Says, check, is_error
from tests.gateway.served import MASTER, backend_settings, events

ROOT = Path(__file__).parents[2]
MAIN = "from gateway.cli import main; main(prog_name='penstock')"
AT_ONCE = 20  # streams in flight
FULL = Path("/dev/full")
SLOW = 30  # seconds for what a process takes to start or to end


@dataclass
class Process:
    """A gateway in a process of its own."""

    process: asyncio.subprocess.Process
    port: int

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Its exit code, and what it has said of trouble."""
        async with asyncio.timeout(SLOW):
            assert self.process.stderr
            said = (await self.process.stderr.read()).decode()
            return await self.process.wait(), said

    async def metric(self, name: str) -> float:
        async with chaos_client(self.port) as client:
            await client.send(head("GET", "/metrics"))
            text = (await client.answer()).body.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))


@asynccontextmanager
async def serving(
    folder: Path,
    chaos: ChaosServer,
    *,
    limits: str = "",
    stdout: int | IO[bytes] = asyncio.subprocess.DEVNULL,
    **settings: Any,
) -> AsyncIterator[Process]:
    """Run `penstock serve`; `limits` is Python that runs before it."""
    config = folder / "penstock.yaml"
    server = {"port": 0, **settings.pop("server", {})}
    written = {
        "server": server,
        "keys": {"master": MASTER},
        "backends": {"chaos": backend_settings(chaos.url)},
    }
    config.write_text(json.dumps({**written, **settings, "data_dir": str(folder / "data")}))  # JSON is YAML
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", limits + MAIN, "serve", "--config", str(config),
        cwd=ROOT, env=kept, stdout=stdout, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr
        async with asyncio.timeout(SLOW):
            greeting = ""
            while "models" not in greeting:
                line = (await process.stderr.readline()).decode()
                assert line, greeting
                greeting += line
        found = re.search(r"base_url +http://127\.0\.0\.1:(\d+)", greeting)
        assert found, greeting
        yield Process(process, int(found[1]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def in_flight(stack: AsyncExitStack, port: int, count: int = AT_ONCE) -> list[ChaosClient]:
    """Clients that have the beginning of their streams."""
    clients = [await stack.enter_async_context(chaos_client(port)) for _ in range(count)]
    for client in clients:
        await client.send(request(stream=True))
    for client in clients:
        async with asyncio.timeout(PATIENCE):
            await client.reader.readuntil(b"Hel")
    return clients


async def refuses_connections(port: int) -> None:
    async with asyncio.timeout(SLOW):
        while True:
            try:
                async with chaos_client(port):
                    await asyncio.sleep(0.01)
            except OSError:
                return


def begun(*more: bytes | Act | asyncio.Event) -> Script:
    return (EVENTS, chunk(event(response="Hel")), *more)


# Signals


async def test_sigterm_lets_the_streams_in_flight_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    rest = (chunk(event(response="lo")), chunk(LAST), chunk(DONE), END)
    with (tmp_path / "log").open("wb") as log:
        async with (
            chaos_server(begun(go_on, *rest)) as chaos,
            serving(tmp_path, chaos, stdout=log) as process,
            AsyncExitStack() as stack,
        ):
            clients = await in_flight(stack, process.port)
            process.signal(signal.SIGTERM)
            await refuses_connections(process.port)
            go_on.set()
            bodies = [(await client.rest()).decode() for client in clients]
            code, said = await process.ended()
    assert [body.count("[DONE]") for body in bodies] == [1] * AT_ONCE
    assert all('"lo"' in body for body in bodies)
    assert (code, said) == (0, "")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["status"], line["ended_by"]) for line in lines] == [(200, "backend")] * AT_ONCE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda each: each.name)
async def test_streams_that_the_drain_cuts_off_end_with_an_error_event(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with (
        chaos_server(begun(Act.HANG)) as chaos,
        serving(tmp_path, chaos, server={"drain": 0.1}) as process,
        AsyncExitStack() as stack,
    ):
        clients = await in_flight(stack, process.port)
        process.signal(number)
        bodies = [(await client.rest()).decode() for client in clients]
        code, said = await process.ended()
        await chaos.left()
    for body in bodies:
        assert events(body)[-1]["error"]["code"] == "shutdown"
        assert is_error(events(body)[-1]["error"])
        assert "[DONE]" not in body
        assert body.endswith("0\r\n\r\n")
    assert (code, said) == (0, "")


async def test_what_waits_behind_an_answer_that_the_drain_cuts_off_is_not_begun(tmp_path: Path) -> None:
    async with (
        chaos_server(begun(Act.HANG)) as chaos,
        serving(tmp_path, chaos, server={"drain": 0.1}) as process,
        chaos_client(process.port) as client,
    ):
        await client.send(2 * request(stream=True))
        await client.reader.readuntil(b"Hel")
        process.signal(signal.SIGTERM)
        body = (await client.rest()).decode()
        assert await process.ended() == (0, "")
    assert body.endswith("0\r\n\r\n")
    assert events(body)[-1]["error"]["code"] == "shutdown"
    assert "HTTP/1.1" not in body
    assert len(chaos.requests) == 1


async def test_whole_answers_that_the_drain_cuts_off_are_a_503(tmp_path: Path) -> None:
    async with (
        chaos_server((Act.HANG,)) as chaos,
        serving(tmp_path, chaos, server={"drain": 0.1}) as process,
        chaos_client(process.port) as client,
    ):
        await client.send(request())
        await chaos.asked.wait()
        process.signal(signal.SIGTERM)
        answer = await client.answer()
        assert await client.rest() == b""
        code, said = await process.ended()
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "shutdown", "1")
    assert answer.headers["connection"] == "close"
    assert (code, said) == (0, "")


async def test_sigterm_does_not_wait_for_connections_that_ask_nothing(tmp_path: Path) -> None:
    async with (
        chaos_server(GOOD_WHOLE) as chaos,
        serving(tmp_path, chaos) as process,
        AsyncExitStack() as stack,
    ):
        for data in (b"", request()[:30], request()):
            client = await stack.enter_async_context(chaos_client(process.port))
            await client.send(data)
        assert (await client.answer()).status == 200
        process.signal(signal.SIGTERM)
        assert (await process.ended())[0] == 0


async def test_a_terminal_that_closes_ends_nothing_under_nohup(tmp_path: Path) -> None:
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    async with (
        chaos_server(GOOD_WHOLE) as chaos,
        serving(tmp_path, chaos, limits=ignored) as process,
        chaos_client(process.port) as client,
    ):
        process.signal(signal.SIGHUP)
        await client.send(request())
        assert (await client.answer()).status == 200
        assert process.process.returncode is None


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with (
        chaos_server(begun(Act.HANG)) as chaos,
        serving(tmp_path, chaos) as process,
        AsyncExitStack() as stack,
    ):
        [client] = await in_flight(stack, process.port, 1)
        process.signal(signal.SIGTERM)
        await refuses_connections(process.port)
        process.signal(signal.SIGTERM)
        body = (await client.rest()).decode()
        code, _said = await process.ended()
    assert "[DONE]" not in body
    assert code == 0


async def test_sigkill_leaves_no_stream_that_looks_whole_and_the_port_free(tmp_path: Path) -> None:
    async with chaos_server(begun(Act.HANG)) as chaos:
        async with serving(tmp_path, chaos) as process, AsyncExitStack() as stack:
            [client] = await in_flight(stack, process.port, 1)
            process.signal(signal.SIGKILL)
            body = (await client.rest()).decode()
            await chaos.left()
        assert "[DONE]" not in body
        assert not body.endswith("0\r\n\r\n")
        chaos.scripts = [GOOD_WHOLE]
        async with (
            serving(tmp_path, chaos, server={"port": process.port}) as again,
            chaos_client(again.port) as client,
        ):
            await client.send(request())
            assert (await client.answer()).status == 200


# The host


async def answers(process: Process, count: int) -> None:
    for _ in range(count):
        async with chaos_client(process.port) as client:
            await client.send(request())
            assert (await client.answer()).status == 200


async def recovers(process: Process) -> bool:
    try:
        await answers(process, 1)
    except (OSError, asyncio.IncompleteReadError):  # what waited to be accepted is still being refused
        return False
    return True


@pytest.mark.skipif(not FULL.exists(), reason="Linux alone has /dev/full")
async def test_a_full_disk_under_the_log(tmp_path: Path) -> None:
    with FULL.open("wb") as full:  # noqa: ASYNC230 - once, for the process
        async with chaos_server(GOOD_WHOLE) as chaos, serving(tmp_path, chaos, stdout=full) as process:
            await answers(process, 5)
            assert await process.metric("penstock_lost_access_lines_total") >= 5


async def test_a_full_disk_under_the_key_that_is_made_at_the_first_start(tmp_path: Path) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    config, data = tmp_path / "penstock.yaml", tmp_path / "data"
    backends = {"chaos": backend_settings("http://127.0.0.1:1")}
    config.write_text(json.dumps({"server": {"port": 0}, "backends": backends, "data_dir": str(data)}))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", limits + MAIN, "serve", "--config", str(config),
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(SLOW):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().startswith(f"cannot keep a key in {data}")
    assert "set data_dir, or redis_url and keys.pepper" in said.decode()
    assert not list(data.iterdir()), "no half of a key is left, which the next start would take"


async def test_a_log_file_that_may_not_grow(tmp_path: Path) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
    with (tmp_path / "log").open("wb") as log:
        async with (
            chaos_server(GOOD_WHOLE) as chaos,
            serving(tmp_path, chaos, limits=limits, stdout=log) as process,
        ):
            await answers(process, 20)
            assert await process.metric("penstock_lost_access_lines_total") > 0
            process.signal(signal.SIGTERM)
            assert await process.ended() == (0, "")


async def test_a_log_that_nobody_reads(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as log:
        async with chaos_server(GOOD_WHOLE) as chaos, serving(tmp_path, chaos, stdout=log) as process:
            async with chaos_client(process.port) as client:
                for _ in range(400):  # lines of some 250 bytes, and a pipe takes 64 KB
                    await client.send(head("GET", "/v1/" + "x" * 200))
                    assert (await client.answer()).status == 404
            assert await process.metric("penstock_lost_access_lines_total") > 0


async def test_as_many_file_descriptors_as_the_system_allows(tmp_path: Path) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200)); "
    async with (
        chaos_server(GOOD_WHOLE) as chaos,
        serving(tmp_path, chaos, limits=limits, deadlines={"header": 60}) as process,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(chaos_client(process.port)) for _ in range(100)]
        await clients[-1].send(request())
        assert (await clients[-1].answer()).status == 200


async def test_no_file_descriptors_left(tmp_path: Path) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
    async with (
        chaos_server(GOOD_WHOLE) as chaos,
        serving(tmp_path, chaos, limits=limits, deadlines={"header": 60}) as process,
    ):
        async with AsyncExitStack() as stack:
            for _ in range(80):
                await stack.enter_async_context(chaos_client(process.port))
            await asyncio.sleep(0.3)  # the gateway takes what it can, which nothing tells
            assert process.process.returncode is None
        async with asyncio.timeout(SLOW):
            while not await recovers(process):  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.05)
        await answers(process, 3)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux alone has /proc")
async def test_without_file_descriptors_no_backend_is_blamed(tmp_path: Path) -> None:
    """Neither in what clients are told nor by its breaker, which would go on when there are some again."""
    limits = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
    async with (
        chaos_server(GOOD_WHOLE) as chaos,
        serving(tmp_path, chaos, limits=limits, deadlines={"header": 60}) as process,
        chaos_client(process.port) as client,
    ):
        await client.send(head("GET", "/healthz"))
        assert (await client.answer()).status == 200
        async with AsyncExitStack() as stack:
            for _ in range(80):
                await stack.enter_async_context(chaos_client(process.port))
            await until(lambda: descriptors(process) == 64)
            for _ in range(10):
                await client.send(request())
                answer = await client.answer()
                assert (answer.status, answer.error["code"]) == (503, "overloaded")
                assert answer.headers["retry-after"] == "1"
        await until(lambda: descriptors(process) < 60)
        await client.send(request())
        assert (await client.answer()).status == 200


def descriptors(process: Process) -> int:
    return len(list(Path(f"/proc/{process.process.pid}/fd").iterdir()))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SLOW):
        while not holds():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


# Clocks


@pytest.mark.parametrize("seconds", [-3600, 3600], ids=["back", "forth"])
async def test_the_hosts_clock_is_set(
    between: Between, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Durations are measured by a clock that nobody sets."""
    go_on = asyncio.Event()
    served, chaos = await between(begun(go_on, chunk(event(response="lo") + LAST + DONE), END))
    asking = asyncio.create_task(served.chat(stream=True))
    await chaos.asked.wait()
    monkeypatch.setattr("gateway.exchange.time", lambda: time.time() + seconds)
    monkeypatch.setattr("gateway.logs.time_ns", lambda: time.time_ns() + seconds * 10**9)
    served.gateway.ticker.tick()
    go_on.set()
    check(await asking, Says())
    await served.settled()
    assert await served.metric("penstock_deadlines_total") == 0
    assert await served.metric("gen_ai_server_request_duration_seconds_sum") < PATIENCE


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_the_machine_sleeps_for_an_hour(between: Between, *, streamed: bool) -> None:
    """What was waited for is late then; what comes next is not."""
    served, chaos = await between(begun(Act.HANG), GOOD if streamed else GOOD_WHOLE)
    asking = asyncio.create_task(served.chat(stream=streamed))
    await chaos.asked.wait()
    await served.waits_for("gap")
    served.pass_time(3600)
    if streamed:
        check(await asking, Breaks("deadline_gap", "timeout"))
    else:
        check(await asking, Fails(504, "deadline_gap", "timeout"))
    served.gateway.ticker.clock = time.monotonic
    check(await served.chat(stream=streamed), Says())
