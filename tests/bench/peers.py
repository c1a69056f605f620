"""Other gateways from PyPI, each in an environment of its own in the user's cache, kept by version."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import cache
from tests.bench.load import Address
from tests.bench.measure import Cores
from tests.bench.servers import Command, Server, UnavailableError, folder, free_port, running

INSTALL_SECONDS = 600

# The wheel carries the gateway as a library; this is its own way to run it, and it chooses the port.
TENSORZERO = """\
import sys, threading, urllib.parse, tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
print("port", urllib.parse.urlsplit(gateway.base_url).port, flush=True)
threading.Event().wait()
"""


@dataclass(frozen=True)
class Peer:
    """A gateway, the requirement that installs it, and how it is started."""

    name: str
    version: str
    requirement: str
    command: Callable[[Path, Path, int], Command]

    @contextmanager
    def running(self, upstream: Server, cores: Cores) -> Iterator[Server]:
        """Run the peer in front of the upstream; `UnavailableError` says why it cannot."""
        environment = cache.entry(f"{self.name}-{self.version}", self._install)
        with folder() as place:
            command = self.command(environment / "bin", place, upstream.address.port)
            with running(self.name, self.version, command, place, cores.gateway) as server:
                yield server

    def _install(self, environment: Path) -> None:
        for arguments in _install_commands(environment, f"{self.requirement}=={self.version}"):
            try:
                done = subprocess.run(
                    arguments, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise UnavailableError(f"installing took more than {INSTALL_SECONDS} s") from error
            if done.returncode:
                raise UnavailableError(f"cannot be installed: {done.stderr.strip()[-400:]}")


def _install_commands(environment: Path, requirement: str) -> list[list[str]]:
    python = str(environment / "bin" / "python")
    if uv := shutil.which("uv", path=f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', os.defpath)}"):
        return [
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)],
            [uv, "pip", "install", "--quiet", "--python", python, requirement],
        ]
    return [
        [sys.executable, "-m", "venv", "--clear", str(environment)],
        [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", requirement],
    ]


def _litellm(programs: Path, place: Path, upstream: int) -> Command:
    port = free_port()
    config = place / "litellm.yaml"
    key = "sk-bench-0123456789abcdef0123456789abcdef"  # it refuses to start without one
    parameters = {"model": "openai/bench", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "bench", "litellm_params": parameters}],
        "general_settings": {"master_key": key},
        "litellm_settings": {"telemetry": False},
    }
    config.write_text(json.dumps(settings))
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    # Its table of prices would be fetched from the internet at start.
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    return Command([str(programs / "litellm"), *arguments], Address(port, "bench", key=key), quiet)


def _tensorzero(programs: Path, place: Path, upstream: int) -> Command:
    config = place / "tensorzero.toml"
    config.write_text(
        "[gateway]\n"
        "observability.enabled = false\n"
        "disable_pseudonymous_usage_analytics = true\n"
        "[models.bench]\n"
        'routing = ["upstream"]\n'
        "[models.bench.providers.upstream]\n"
        'type = "openai"\n'
        'model_name = "bench"\n'
        f'api_base = "http://127.0.0.1:{upstream}/v1/"\n'
        'api_key_location = "none"\n'
    )
    address = Address(0, "tensorzero::model_name::bench", "/openai/v1/chat/completions")
    return Command([str(programs / "python"), "-c", TENSORZERO, str(config)], address)


def _vllm_router(programs: Path, place: Path, upstream: int) -> Command:
    del place  # it is set by arguments alone
    port = free_port()
    arguments = [
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--worker-urls", f"http://127.0.0.1:{upstream}"),
        *("--policy", "round_robin", "--log-level", "error"),
        *("--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())),
    ]
    return Command([str(programs / "vllm-router"), *arguments], Address(port))


PEERS = (
    Peer("litellm", "1.108.7", "litellm[proxy]", _litellm),
    Peer("tensorzero", "2026.6.0", "tensorzero", _tensorzero),
    Peer("vllm-router", "0.1.17", "vllm-router", _vllm_router),
)
