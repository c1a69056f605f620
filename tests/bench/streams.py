"""Measure many open streams on one worker: how late each delta is relayed, and what memory they take.

Run as `python -m tests.bench.streams`. The upstream writes the time into each delta (the monotonic clock is
one for all processes of a machine); what it reads when the client has it, the upstream's and the client's
own lateness included, is the latency. Memory is the gateway's resident set while all streams are open.
"""

import argparse
import asyncio
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from tests.bench import environment, gateways, works
from tests.bench.load import Address
from tests.bench.servers import UnavailableError

OPENING_A_SECOND = 500
DESCRIPTORS_EACH = 2  # of the gateway: one to the client, one to the upstream
RESERVE = 200
SLACK_SECONDS = 30


@dataclass
class Seen:
    """What the client saw."""

    delays: list[float] = field(default_factory=list)
    whole: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    resident: int = 0  # bytes, at the moment when the last stream was open


def main() -> int:
    """Open the streams and print the figures; the status is 1 where a stream was not whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=5000)
    streams = parser.parse_args().streams
    cores = environment.ready()
    try:
        _raise_descriptors(streams * DESCRIPTORS_EACH + RESERVE)
    except UnavailableError as error:
        sys.stdout.write(f"skipped: {error}\n")
        return 0
    with (
        environment.pinned(cores.load),
        gateways.upstream(cores) as upstream,
        gateways.penstock(upstream, cores) as server,
    ):
        before = _resident(server.pid)
        seen = uvloop.run(_Streams(server.address, server.pid, streams).run())
    sys.stdout.write(_report(streams, seen, before) + "\n")
    return 0 if seen.whole == streams else 1


def _raise_descriptors(least: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < least:
        raise UnavailableError(
            f"{least} file descriptors are needed and the hard limit is {hard} (ulimit -Hn)"
        )
    if soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/{pid}/status has no VmRSS")


def _report(streams: int, seen: Seen, before: int) -> str:
    ordered = sorted(seen.delays)
    if not ordered:
        return f"no delta came: {seen.faults}"
    p50, p99, p999 = (
        ordered[min(len(ordered) - 1, int(len(ordered) * p))] * 1000 for p in (0.5, 0.99, 0.999)
    )
    late = sum(delay > 0.05 for delay in ordered)
    return (
        f"{streams:,} streams, a delta each {works.TIMED_GAP_SECONDS:g} s: {seen.whole:,} whole, "
        f"faults {seen.faults or 'none'}\n"
        f"{len(ordered):,} deltas relayed in p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms, "
        f"at most {ordered[-1] * 1000:.1f} ms; {late:,} took more than 50 ms\n"
        f"resident: {before / 2**20:.0f} MiB before, {seen.resident / 2**20:.0f} MiB with all open, "
        f"{(seen.resident - before) / streams / 1024:.1f} KiB a stream"
    )


class _Streams:
    def __init__(self, address: Address, pid: int, count: int) -> None:
        self.request = address.request(works.TIMED)
        self.seen = Seen()
        self.left = count
        self._port = address.port
        self._pid = pid
        self._count = count
        self.ended = asyncio.Event()

    async def run(self) -> Seen:
        loop = asyncio.get_running_loop()
        for number in range(self._count):
            await loop.create_connection(lambda: _Stream(self), "127.0.0.1", self._port)
            if number % 10 == 9:
                await asyncio.sleep(10 / OPENING_A_SECOND)
        await asyncio.sleep(2 * works.TIMED_GAP_SECONDS)
        self.seen.resident = _resident(self._pid)
        try:
            async with asyncio.timeout(works.TIMED_EVENTS * works.TIMED_GAP_SECONDS + SLACK_SECONDS):
                await self.ended.wait()
        except TimeoutError:
            self.seen.faults["not ended in time"] = self.left
        return self.seen

    def end(self, fault: str | None) -> None:
        if fault is None:
            self.seen.whole += 1
        else:
            self.seen.faults[fault] = self.seen.faults.get(fault, 0) + 1
        self.left -= 1
        if not self.left:
            self.ended.set()


class _Stream(asyncio.Protocol):
    def __init__(self, streams: _Streams) -> None:
        self._streams = streams
        self._rest = b""
        self._deltas = 0
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of asyncio.Transport, and do not inherit from it.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._streams.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self._deltas and data.startswith(b"HTTP/1.1 503 "):
            self._done = True
            self._streams.end("refused with 503")
            self._transport.close()
            return
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            at = event.find(works.TIME_MARK)
            if at >= 0:
                sent = float(event[at + len(works.TIME_MARK) :].split(b" ", 1)[0])
                self._streams.seen.delays.append(now - sent)
                self._deltas += 1
            elif event.endswith(b"data: [DONE]"):
                self._done = True
                self._streams.end(None if self._deltas == works.TIMED_EVENTS else "deltas are missing")
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        if not self._done:
            self._streams.end(self._rest[:12].decode("latin-1") or "closed")


if __name__ == "__main__":
    sys.exit(main())
