"""Fuzzes all targets, one process a target, and shows what broke: see tests/fuzz/run.

The fuzzer has no wheels for some platforms, so it is no part of the lock: it is installed into the user's
cache, for the Python and beside the libraries that run everything else.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench import cache
from tests.fuzz.seeds import seeds

ROOT: Final = Path(__file__).parents[2]
ATHERIS: Final = "3.0.0"
SHARES: Final = {"body": 0.4, "events": 0.2, "headers": 0.4}  # of the inputs; an event costs the most
_INSTALL_SECONDS: Final = 300
_SECONDS: Final = 3600
_LAST_LINES: Final = 40


class UnavailableError(Exception):
    """The fuzzer cannot be had here; the text says why."""


def install(folder: Path) -> None:
    """Install the fuzzer alone into a folder."""
    wanted = [
        f"atheris=={ATHERIS}",
        "--target",
        str(folder),
        "--only-binary",
        ":all:",
        "--no-deps",
        "--quiet",
    ]
    uv = shutil.which("uv", path=f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', os.defpath)}")
    pip = (
        [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    )
    try:
        done = subprocess.run(
            [*pip, *wanted], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"installing takes more than {_INSTALL_SECONDS} s") from None
    if done.returncode:
        raise UnavailableError(f"it cannot be installed: {done.stderr.strip()[-400:]}")


def fuzz(fuzzer: Path, place: Path, target: str, inputs: int) -> str | None:
    """Fuzz a target with so many inputs; what broke, or None."""
    corpus = place / target
    corpus.mkdir()
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    started = time.monotonic()
    options = ["-timeout=10", "-rss_limit_mb=2048", "-reduce_inputs=0", f"-artifact_prefix={place / target}-"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.drive", target, f"-runs={inputs}", *options, str(corpus)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(fuzzer), str(ROOT)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode == 0:
        sys.stdout.write(f"{target:<8} {inputs:>9,} inputs in {seconds:4.0f} s: nothing broke\n")
        return None
    return f"{target} broke after {seconds:.0f} s:\n" + "\n".join(done.stderr.splitlines()[-_LAST_LINES:])


def main() -> int:
    """Fuzz all targets; the exit status."""
    parser = argparse.ArgumentParser(prog="tests/fuzz/run", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many in all, default a million")
    inputs = parser.parse_args().inputs
    name = f"atheris-{ATHERIS}-{sys.implementation.cache_tag}-{sys.platform}-{platform.machine()}"
    try:
        fuzzer = cache.entry(name, install)
    except UnavailableError as error:
        sys.stdout.write(f"skipped, for the fuzzer is not to be had: {error}\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as place, ThreadPoolExecutor(2) as threads:
        shares = {target: int(inputs * share) for target, share in SHARES.items()}
        one = partial(fuzz, fuzzer, Path(place))
        broken = [each for each in threads.map(one, shares.keys(), shares.values()) if each]
    for each in broken:
        sys.stdout.write(
            f"{each}\nPut the input, as Base64 above, into tests/fuzz/found/<target>/ and mend it.\n"
        )
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
