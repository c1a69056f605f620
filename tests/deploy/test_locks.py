"""The lock files pin what pyproject.toml asks for, with hashes and without naming a registry."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "deploy" / "requirements.txt"
TESTS = ROOT / "tests" / "requirements.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("lock", [RUNTIME, TESTS])
def test_every_pin_has_a_hash_and_no_line_has_an_address(lock: Path) -> None:
    entries = re.split(r"^(?=\w)", lock.read_text(), flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links", lock.read_text())


def test_what_the_project_asks_for_is_locked() -> None:
    asked = PROJECT["project"]["dependencies"]
    assert names(asked + GROUPS["build"]) <= set(pins(RUNTIME))
    assert names(asked + GROUPS["build"] + GROUPS["dev"]) <= set(pins(TESTS))


def test_the_tests_run_with_the_versions_that_are_deployed() -> None:
    assert pins(RUNTIME).items() <= pins(TESTS).items()
