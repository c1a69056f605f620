"""The admin API at an address of its own: there and nowhere else, with one worker and with several."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from gateway.simulator import Simulator
from tests.cli.several import KEY, LIMIT, asks, settings_for
from tests.cli.test_processes import PENSTOCK, environment, finish, read_until, started  # noqa: F401 - a fixture among them


@pytest.mark.parametrize("workers", [1, 2])
def test_operators_ask_at_their_own_address_and_clients_at_theirs(
    environment: Mapping[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
    workers: int,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, admin_port = one.getsockname()[1], other.getsockname()[1]
    settings = settings_for(serve_app(Simulator()), port=port, admin={"port": admin_port}, workers=workers)
    (tmp_path / "penstock.yaml").write_text(json.dumps(settings))
    with started(environment, tmp_path, "serve") as process:
        banner = read_until(process.stderr, "models ")
        found = re.search(r"base_url +(\S+)/v1\n +admin +(\S+)/admin/docs", banner)
        assert found, banner
        assert found[2] == f"http://127.0.0.1:{admin_port}"
        with (
            httpx.Client(base_url=found[1], headers=_KEY, trust_env=False, timeout=LIMIT) as client,
            httpx.Client(base_url=found[2], headers=_KEY, trust_env=False, timeout=LIMIT) as operator,
        ):
            for path in ("/admin/v1/keys", "/admin/docs", "/admin/openapi.json"):
                refused = client.get(path)
                assert (refused.status_code, set(refused.json())) == (404, {"error"})
                assert operator.get(path).status_code == 200
            for each in (client, operator):
                assert each.post("/v1/chat/completions", json=asks("Hi")).status_code == 200
                assert each.get("/readyz").status_code == 200
        # The commands find it by the settings, and hand out the clients' address.
        made = _penstock(environment, tmp_path, "keys", "create", "--name", "ci")
        assert made.returncode == 0, made.stderr
        assert f"{found[1]}/v1" in made.stdout
        assert found[2] not in made.stdout
        code, _out, errors = finish(process, signal.SIGTERM)
        assert code == 0, errors


def test_a_taken_address_says_which_setting_chooses_another(
    environment: Mapping[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_for("http://127.0.0.1:9", admin={"port": port})
        (tmp_path / "penstock.yaml").write_text(json.dumps(settings))
        ended = _penstock(environment, tmp_path, "serve")
    assert ended.returncode == 1
    words = " ".join(ended.stderr.split())
    assert f"cannot listen on 127.0.0.1:{port}" in words
    assert "choose another with server.admin.port" in words


_KEY = {"authorization": f"Bearer {KEY}"}


def _penstock(environ: Mapping[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PENSTOCK, *arguments],
        env=environ,
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
