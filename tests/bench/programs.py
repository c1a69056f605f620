"""nginx and wrk: from PATH, else Debian's packages, unpacked into the cache without installing them.

Unpacking needs no root, and the nginx package's service is never started.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import cache
from tests.bench.servers import UnavailableError

FETCH_SECONDS = 120
LIBRARIES = "usr/lib/*-linux-gnu"


@dataclass(frozen=True)
class Program:
    """A program that runs on this machine."""

    path: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)


def nginx() -> Program:
    """Find or fetch nginx."""
    return _find("nginx", ["nginx"])


def wrk() -> Program:
    """Find or fetch wrk."""
    return _find("wrk", ["wrk", "libluajit-5.1-2"])


def _find(name: str, packages: list[str]) -> Program:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found:
        return Program(found, _version(found, {}))
    folder = cache.entry(f"{name}-debian", lambda place: _unpack(packages, place))
    path = next(place for place in (folder / "usr/sbin" / name, folder / "usr/bin" / name) if place.exists())
    libraries = ":".join(str(place) for place in folder.glob(LIBRARIES))
    environment = {"LD_LIBRARY_PATH": libraries} if libraries else {}
    return Program(str(path), _version(str(path), environment), environment)


def _version(path: str, environment: Mapping[str, str]) -> str:
    """Ask a program for its version: `nginx -v` and `wrk -v` both say it in their first line."""
    done = subprocess.run(
        [path, "-v"], env=dict(environment), capture_output=True, text=True, timeout=10, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    if not lines or "error while loading" in lines[0]:
        raise UnavailableError(f"{path} does not run: {' '.join(lines)[:300]}")
    found = re.search(r"\d[\w.+~-]*", lines[0])
    return found[0] if found else lines[0]


def _unpack(packages: list[str], place: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnavailableError("it is not on PATH, and there is no apt-get to fetch Debian's package with")
    downloads = place / "packages"
    downloads.mkdir()
    if (refusal := _download(packages, downloads)) and os.geteuid() == 0:
        _call(["apt-get", "update", "-qq"], place)
        refusal = _download(packages, downloads)
    if refusal:
        raise UnavailableError(f"it is not on PATH, and apt-get cannot fetch it: {refusal}")
    for package in downloads.glob("*.deb"):
        if refusal := _call(["dpkg-deb", "-x", str(package), str(place)], place):
            raise UnavailableError(f"dpkg-deb cannot unpack {package.name}: {refusal}")
    shutil.rmtree(downloads)


def _download(packages: list[str], place: Path) -> str | None:
    # As root apt would fetch as the user _apt, who may not write here.
    return _call(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages], place)


def _call(arguments: list[str], place: Path) -> str | None:
    """Run a command; None, or why it failed."""
    try:
        done = subprocess.run(
            arguments, cwd=place, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{arguments[0]} took more than {FETCH_SECONDS} s"
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[:300] or "it failed"
