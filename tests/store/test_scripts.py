"""Every script is part of what is installed, and every server takes it."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from zipfile import ZipFile

import pytest

from gateway.store import Script
from tests.store.servers import Server
from tests.tools import ROOT

NAMES = sorted(path.stem for path in (ROOT / "gateway" / "lua").glob("*.lua"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "prologue"])
def test_a_script_is_taken_under_the_name_that_it_is_called_by(name: str, any_server: list[Server]) -> None:
    script = Script(name)
    for server in any_server:
        assert server.ask("SCRIPT", "LOAD", script.text).decode() == script.sha


def test_a_script_that_comes_too_late_does_nothing(valkey_server: Server) -> None:
    probe = Script("probe")
    for late_after, reply in (("1", [b"late"]), ("0", [])):
        told = valkey_server.ask("EVAL", probe.text, 1, "{ps}:probe", "0", late_after)
        assert told[1:] == reply
        assert valkey_server.ask("EXISTS", "{ps}:probe") == (0 if reply else 1)


def test_the_clock_offset_moves_the_scripts_time_and_the_deadline_with_it(valkey_server: Server) -> None:
    probe = Script("probe")
    hour = 3_600_000
    now = valkey_server.ask("EVAL", probe.text, 1, "{ps}:probe", "0", "0")[0]
    ahead = valkey_server.ask("EVAL", probe.text, 1, "{ps}:probe", str(hour), str(now + hour + 60_000))
    assert len(ahead) == 1
    assert hour <= ahead[0] - now < hour + 60_000


def test_the_installed_package_has_the_scripts() -> None:
    assert sorted(Path(each.name).stem for each in (files("gateway") / "lua").iterdir()) == NAMES


def test_the_wheel_has_the_scripts(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".lua")}
    assert packed == {f"gateway/lua/{name}.lua" for name in NAMES}
