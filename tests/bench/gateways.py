"""How to start what is measured without an environment of its own: the upstream, nginx, Penstock."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from tests.bench import works
from tests.bench.load import Address
from tests.bench.measure import Cores
from tests.bench.programs import Program
from tests.bench.servers import Command, Server, folder, free_port, running

CHECKOUT = Path(__file__).parents[2]

# One worker, HTTP/1.1 with 128 connections kept to the upstream, no buffering, no log. The default of 1,000
# requests per connection would add reconnects to the measurement.
NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


@contextmanager
def upstream(cores: Cores) -> Iterator[Server]:
    """Run the upstream on the load core."""
    with folder() as place:
        port = free_port()
        arguments = [sys.executable, "-m", "tests.bench.upstream", str(port)]
        command = Command(arguments, Address(port), {"PYTHONPATH": str(CHECKOUT)})
        with running("upstream", "", command, place, cores.load) as server:
            yield server


@contextmanager
def nginx(program: Program, upstream: Server, cores: Cores) -> Iterator[Server]:
    """Run nginx in front of the upstream."""
    with folder() as place:
        port = free_port()
        # Started by root, its worker would drop to a user who cannot enter a private folder.
        user = "user root;" if os.geteuid() == 0 else ""
        config = place / "nginx.conf"
        config.write_text(NGINX.format(user=user, place=place, upstream=upstream.address.port, port=port))
        arguments = [program.path, "-e", "stderr", "-p", str(place), "-c", str(config)]
        command = Command(arguments, Address(port), program.environment)
        with running("nginx", program.version, command, place, cores.gateway) as server:
            yield server


@contextmanager
def penstock(upstream: Server, cores: Cores, limits: Mapping[str, int] | None = None) -> Iterator[Server]:
    """Run Penstock in front of the upstream's Workers AI, with limits among its `server` settings."""
    with folder() as place:
        command = penstock_command(upstream, place, limits or {})
        with running("penstock", metadata.version("penstock"), command, place, cores.gateway) as server:
            yield server


def penstock_command(upstream: Server, place: Path, limits: Mapping[str, int]) -> Command:
    """How to start Penstock on a free port, with what it needs in a folder."""
    port = free_port()
    key = "sk-ps-bench-0123456789abcdef"
    config = place / "penstock.yaml"
    # JSON is YAML.
    config.write_text(json.dumps(_settings(port, key, upstream.address.port, limits)))
    # What is measured is this checkout, whichever one the command was installed from.
    environment = {"PENSTOCK_DATA_DIR": str(place / "data"), "PYTHONPATH": str(CHECKOUT)}
    arguments = [str(Path(sys.executable).with_name("penstock")), "serve", "--config", str(config)]
    return Command(arguments, Address(port, works.MODEL, key=key), environment)


def _settings(port: int, key: str, upstream_port: int, limits: Mapping[str, int]) -> dict[str, object]:
    return {
        "server": {"host": "127.0.0.1", "port": port, **limits},
        "keys": {"master": key},
        "backends": {
            "cloudflare": {
                "kind": "workers_ai",
                "account_id": "0123456789abcdef0123456789abcdef",
                "api_token": "bench-token",
                "base_url": f"http://127.0.0.1:{upstream_port}/client/v4",
            }
        },
    }
