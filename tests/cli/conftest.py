"""The commands that end by themselves, called in this process, in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.app import State, application, build
from gateway.cli import main
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.store.fixtures import *  # noqa: F403 - pytest looks for fixtures by their names here

MASTER = "sk-ps-canary-master-key-0123456789"
MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
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


@pytest.fixture
def gateway_url(
    tmp_path: Path, serve_app: Callable[..., str], store_url: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Where a gateway answers that has a store and a simulated account."""
    account = {
        "kind": "workers_ai",
        "account_id": SIMULATED_ACCOUNT_ID,
        "api_token": SIMULATED_API_TOKEN,
        "base_url": f"{serve_app(Simulator())}/client/v4",
    }
    settings = {
        "data_dir": tmp_path / "gateway",
        "backends": {"cloudflare": account},
        "models": {"small": {"targets": [{"backend": "cloudflare", "model": MODEL}]}},
    }
    gateway = build(Settings.model_validate(settings), MASTER, State(store_url, b"pepper"))
    monkeypatch.setattr(gateway.log, "note", lambda _exchange: None)  # commands write to the same stdout
    return serve_app(application(gateway))
