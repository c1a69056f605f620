"""Fuzzes all targets, one process a target, and shows what broke: see tests/fuzz/run."""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.fuzz.seeds import seeds
from tests.tools import ROOT, UnavailableError, environment, installed

ATHERIS: Final = "atheris==3.0.0"
SHARES: Final = {"body": 0.4, "events": 0.2, "headers": 0.4}  # of the inputs; an event costs the most
_SECONDS: Final = 3600
_LAST_LINES: Final = 40


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
        env=environment(fuzzer),
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
    try:
        fuzzer = installed(ATHERIS)
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
