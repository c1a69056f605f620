"""Measure how soon `penstock serve` answers: from the start of its process to the first 200.

Run as `python -m tests.bench.start`. Each round is a process of its own; the first one may find nothing of
its modules in the disk's cache, so the figures are the median and the greatest of the rest.
"""

import argparse
import http.client
import sys
import time
from collections.abc import Callable
from statistics import median

from tests.bench import environment, gateways, load, works
from tests.bench.load import Amount
from tests.bench.measure import Cores
from tests.bench.servers import Server, folder, started

LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 30


def main() -> int:
    """Start some processes and print the figures; the status is 1 where the median is 1.5 s or more."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cores = environment.ready()
    with environment.pinned(cores.load), gateways.upstream(cores) as upstream:
        times = [_start(upstream, cores) for _ in range(rounds + 1)]
    for name, values in zip(("/healthz", "first chat"), zip(*times[1:], strict=True), strict=True):
        sys.stdout.write(f"{name}: median {median(values):.2f} s, at most {max(values):.2f} s\n")
    return 0 if median(answered for _, answered in times[1:]) < 1.5 else 1


def _start(upstream: Server, cores: Cores) -> tuple[float, float]:
    """Seconds to the first answer on /healthz, and to the first chat."""
    with folder() as place:
        command = gateways.penstock_command(upstream, place, {})
        begun = time.perf_counter()
        with started(command, place, place / "penstock.log", cores.gateway):
            _await(lambda: _is_healthy(command.address.port))
            healthy = time.perf_counter() - begun
            _await(lambda: load.send(command.address, works.CHAT, Amount(1, each=1)).fault is None)
            return healthy, time.perf_counter() - begun


def _await(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"Penstock did not answer within {PATIENCE_SECONDS} s.")
        time.sleep(LOOK_SECONDS)


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except ConnectionError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
