"""The machine that a measurement is taken on."""

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.bench.measure import Cores
from tests.bench.servers import UnavailableError

LIBRARIES = ("httptools", "litestar", "msgspec", "uvicorn", "uvloop")


def cores() -> Cores:
    """The first two cores that this process may use."""
    if sys.platform != "linux":
        raise UnavailableError("it reads /proc and pins processes to cores, which takes Linux")
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise UnavailableError("it needs two cores, one for the gateway and one for the load")
    return Cores(gateway=allowed[0], load=allowed[1])


def ready() -> Cores:
    """Make a command of this process: SIGTERM ends it as Ctrl-C does, and with it what it has started.

    Where there are no cores to measure on, it ends with the reason.
    """
    # A running event loop passes only Ctrl-C on.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return cores()
    except UnavailableError as error:
        sys.exit(f"The bench cannot run: {error}")


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process, and what it starts, on a core until the block ends."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def describe() -> dict[str, Any]:
    """What may explain a difference between two measurements."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "commit": _commit(),
        "load_average": os.getloadavg(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None
