"""The rules of the house hold, and the check notices when they do not."""

from pathlib import Path

import pytest

from tests.architecture import LINES, read_modules, violations

ROOT = Path(__file__).parents[1]


def test_the_house_keeps_its_rules() -> None:
    assert violations(ROOT) == []


def test_every_room_stands_on_one_line() -> None:
    rooms = [room for line in LINES for room in line]
    assert len(rooms) == len(set(rooms))
    present = {name.split(".")[1] for name in read_modules(ROOT) if name.startswith("gateway.")}
    assert present - set(rooms) == {"simulator"}


def _house(root: Path, files: dict[str, str]) -> list[str]:
    for package in ("translators", "translators/clients", "translators/backends", "gateway", "gateway/api"):
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").write_text('"""A package."""\n')
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return violations(root)


def test_a_house_that_keeps_the_rules_is_fine(tmp_path: Path) -> None:
    files = {
        "translators/tools.py": "import re\nimport msgspec\nX = re.compile('x')\ndef f() -> None: ...\n",
        "translators/schemas.py": "import jsonschema_rs\n",
        "translators/clients/a.py": "from translators import tools\nfrom translators.clients import b\n",
        "translators/clients/b.py": "from translators.tools import X\n",
        "gateway/errors.py": "from translators import tools\nY = lambda: open('x')\n",
        "gateway/connection.py": "import httptools\nfrom gateway import errors\n",
        "gateway/api/raw.py": "import litestar\nfrom gateway.upstream import Z\nfrom . import errors\n",
        "gateway/api/errors.py": "A: int\n",
        "gateway/cli.py": "import gateway.simulator\n",
        "gateway/simulator/__init__.py": "from gateway.simulator import wire\n",
        "gateway/simulator/wire.py": "import time\n",
    }
    assert _house(tmp_path, files) == []


_WINGS = "clients and backends never import each other"
_SIMULATOR = "the simulator shares nothing with what it simulates"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"translators/a.py": "import gateway"},
            "translators.a:1 imports gateway: translators never imports gateway",
        ),
        ({"translators/a.py": "import time"}, "translators.a:1 imports time: translators is pure"),
        ({"translators/a.py": "from os import path"}, "translators.a:1 imports os: translators is pure"),
        (
            {"translators/a.py": "import jsonschema_rs"},
            "translators.a:1 imports jsonschema_rs: jsonschema_rs is at home in translators.schemas",
        ),
        (
            {
                "translators/clients/a.py": "from translators.backends import b",
                "translators/backends/b.py": "",
            },
            f"translators.clients.a:1 imports translators.backends.b: {_WINGS}",
        ),
        (
            {"translators/backends/b.py": "from translators import clients"},
            f"translators.backends.b:1 imports translators.clients: {_WINGS}",
        ),
        (
            {"translators/deltas.py": "from translators.clients import a", "translators/clients/a.py": ""},
            "translators.deltas:1 imports translators.clients.a: what is common knows no dialect",
        ),
        (
            {"gateway/relay.py": "import httptools"},
            "gateway.relay:1 imports httptools: httptools is at home in gateway.connection, gateway.cli",
        ),
        (
            {"gateway/pipeline.py": "from litestar import get"},
            (
                "gateway.pipeline:1 imports litestar: "
                "litestar is at home in gateway.app, gateway.api, gateway.dashboard"
            ),
        ),
        ({"gateway/errors.py": "import numpy"}, "gateway.errors:1 imports numpy: numpy has no home"),
        (
            {"gateway/pool.py": "import subprocess"},
            "gateway.pool:1 imports subprocess: subprocess is at home in gateway.store, gateway.credentials",
        ),
        (
            {"gateway/keys.py": "from gateway.pipeline import X", "gateway/pipeline.py": ""},
            "gateway.keys:1 imports gateway.pipeline: 'keys' imports only from the lines below its own",
        ),
        (
            {"gateway/keys.py": "from gateway import routing", "gateway/routing.py": ""},
            "gateway.keys:1 imports gateway.routing: 'keys' imports only from the lines below its own",
        ),
        (
            {"gateway/api/raw.py": "from ..app import X", "gateway/app.py": ""},
            "gateway.api.raw:1 imports gateway.app: 'api' imports only from the lines below its own",
        ),
        (
            {"gateway/misc.py": "from gateway import errors", "gateway/errors.py": ""},
            "gateway.misc:1 imports gateway.errors: the room 'misc' stands on no line",
        ),
        (
            {"gateway/simulator/app.py": "from translators import sse", "translators/sse.py": ""},
            f"gateway.simulator.app:1 imports translators.sse: {_SIMULATOR}",
        ),
        (
            {"gateway/simulator/app.py": "import gateway.errors", "gateway/errors.py": ""},
            f"gateway.simulator.app:1 imports gateway.errors: {_SIMULATOR}",
        ),
        (
            {"gateway/app.py": "from gateway.simulator import app", "gateway/simulator/app.py": ""},
            "gateway.app:1 imports gateway.simulator.app: the simulator is for the command line alone",
        ),
        (
            {
                "translators/a.py": "from translators import b",
                "translators/b.py": "from translators.a import X",
            },
            "these import each other in a circle: translators.a, translators.b",
        ),
        (
            {"translators/a.py": "def f():\n    import re"},
            "translators.a:2 imports inside 'f'",
        ),
        ({"gateway/errors.py": "X = __import__('os')"}, "gateway.errors:1 imports by name"),
        ({"gateway/errors.py": "X = 1\nX += 1"}, "gateway.errors:2 does something at import time"),
        ({"gateway/errors.py": "X()"}, "gateway.errors:1 does something at import time"),
        ({"gateway/errors.py": "if X: Y = 1"}, "gateway.errors:1 does something at import time"),
        ({"gateway/errors.py": "X = [open('x').read()]"}, "gateway.errors:1 calls open at import time"),
        (
            {"gateway/errors.py": "X: str = P('x').read_text()"},
            "gateway.errors:1 calls P('x').read_text at import time",
        ),
    ],
)
def test_a_planted_violation_is_noticed(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert _house(tmp_path, files) == [expected]


def test_what_stands_above_a_circle_is_not_part_of_it(tmp_path: Path) -> None:
    files = {
        "translators/a.py": "from translators import b",
        "translators/b.py": "from translators import c",
        "translators/c.py": "from translators import b, d",
        "translators/d.py": "",
    }
    assert _house(tmp_path, files) == ["these import each other in a circle: translators.b, translators.c"]
