"""What makes the environment, on machines as they come: with stubs in the place of Python, pip and uv."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "venv.sh"
NAMES = ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python")
OLD = "#!/bin/sh\nexit 1\n"
# Says its version, makes an environment with itself in it, and notes what is installed.
NEW = """#!/bin/sh
case "$*" in
  -V) echo "Python $VERSION" ;;
  "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip install"*) echo "$*" >>"$INSTALLED" ;;
esac
"""
UV = """#!/bin/sh
case "$*" in
  venv*) [ ! -e .venv ] && mkdir -p .venv/bin && cp "$STUBS/python3" .venv/bin/python ;;
  *) echo "$*" >>"$INSTALLED" ;;
esac
"""
INSTALL = "install_locked tests/requirements.txt deploy/requirements.txt"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder of programs; each Python there is too old."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in NAMES:
        put(folder / name, OLD)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    for name in ("pyproject.toml", "deploy/requirements.txt", "tests/requirements.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def run(stubs: Path, checkout: Path, tmp_path: Path) -> Run:
    def run(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
        ours = {"STUBS": str(stubs), "INSTALLED": str(tmp_path / "installed"), "VERSION": "3.11.2"}
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; . '{SCRIPT}'; {script}"],
            cwd=checkout,
            env={"PATH": f"{stubs}:{os.defpath}", **ours, **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[], int]:
    """How often something was installed; the requirements and the project are two."""
    log = tmp_path / "installed"
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_the_first_python_that_is_new_enough_is_taken(run: Run, stubs: Path) -> None:
    put(stubs / "python3.12", NEW)
    put(stubs / "python", NEW)
    assert run("find_python").stdout == "python3.12\n"


def test_without_any_it_is_said_what_to_install(run: Run, checkout: Path) -> None:
    ended = run(INSTALL)
    assert ended.returncode == 1
    assert "needs Python 3.11 or newer, and there is none on PATH" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_what_is_installed_is_not_installed_again(
    run: Run, stubs: Path, checkout: Path, installed: Callable[[], int]
) -> None:
    put(stubs / "python3", NEW)
    assert (run(INSTALL).returncode, installed()) == (0, 2)
    assert (run(INSTALL).stdout, installed()) == ("", 2)
    assert (run("install_locked deploy/requirements.txt").stdout, installed()) == ("", 2)
    (checkout / "pyproject.toml").write_text("# changed")
    assert (run(INSTALL).returncode, installed()) == (0, 4)


def test_a_python_of_another_version_is_installed_into_anew(
    run: Run, stubs: Path, installed: Callable[[], int]
) -> None:
    put(stubs / "python3", NEW)
    run(INSTALL)
    assert (run(INSTALL, VERSION="3.12.1").returncode, installed()) == (0, 4)


def test_half_an_environment_is_made_anew(
    run: Run, stubs: Path, checkout: Path, installed: Callable[[], int]
) -> None:
    put(stubs / "python3", NEW)
    put(stubs / "uv", UV)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere")
    ended = run(INSTALL)
    assert (ended.returncode, ended.stderr, installed()) == (0, "", 2)
