"""Where the shared state is kept: a wrong address is told of before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ACCOUNT

WRONG = "redis+sentinel://user:secret@host:26379"
SECONDS = 30


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_address_that_names_no_service_is_told_of_without_its_secrets(
    tmp_path: Path, workers: str
) -> None:
    ours = {"PENSTOCK__REDIS_URL": WRONG, "PENSTOCK_PEPPER": "p" * 16, "PENSTOCK_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", "from gateway.cli import main; main()"]
    done = subprocess.run(
        [*command, "serve", "--port", "0", "--workers", workers],
        env={**os.environ, **ACCOUNT, **ours, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "redis_url names no service" in done.stderr
    assert "secret" not in done.stdout + done.stderr
