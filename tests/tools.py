"""Tools that tests run beside the project: installed into the user's cache, and no part of the lock.

Some have no wheels for all platforms, others need older versions of what the project runs with. Where one
cannot be had, what needs it is skipped with the reason.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench import cache

ROOT: Final = Path(__file__).parents[1]
_SECONDS: Final = 300


class UnavailableError(Exception):
    """A tool cannot be had here; the text says why."""


def installed(requirement: str) -> Path:
    """A folder that holds a tool and all that it needs, for the Python that runs this.

    Raises:
        UnavailableError: It cannot be installed.
    """
    name = requirement.replace("==", "-")
    place = f"{name}-{sys.implementation.cache_tag}-{sys.platform}-{platform.machine()}"
    return cache.entry(place, partial(_install, requirement))


def environment(tool: Path) -> dict[str, str]:
    """The environment in which Python finds a tool, what that needs, and then the project."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tool), str(ROOT)])}


def _install(requirement: str, folder: Path) -> None:
    uv = shutil.which("uv", path=f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', os.defpath)}")
    pip = (
        [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    )
    wanted = ["--quiet", "--only-binary", ":all:", "--target", str(folder), requirement]
    try:
        done = subprocess.run([*pip, *wanted], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"installing {requirement} takes more than {_SECONDS} s") from None
    if done.returncode:
        raise UnavailableError(f"{requirement} cannot be installed: {done.stderr.strip()[-400:]}")
