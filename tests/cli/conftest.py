"""The commands that end by themselves, called in this process, in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN

ACCOUNT = {"CLOUDFLARE_ACCOUNT_ID": SIMULATED_ACCOUNT_ID, "CLOUDFLARE_API_TOKEN": SIMULATED_API_TOKEN}

Command = Callable[..., Result]


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    for name in (*ACCOUNT, "CLOUDFLARE_AUTH_TOKEN", "CLOUDFLARE_BASE_URL", "PENSTOCK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path / "data"))

    def invoke(*arguments: str, stdin: str | None = None, **environ: str) -> Result:
        return CliRunner().invoke(main, arguments, input=stdin, env=environ, prog_name="penstock")

    return invoke
