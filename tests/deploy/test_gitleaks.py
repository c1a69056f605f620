"""The rule that finds keys in text finds ours, and not what only looks like them."""

import re
import tomllib
from pathlib import Path

import pytest

from gateway.keys.records import Role
from gateway.keys.secrets import new_secret

FILE = Path(__file__).parents[2] / "deploy" / "gitleaks.toml"


def _rule() -> re.Pattern[str]:
    [rule] = tomllib.loads(FILE.read_text())["rules"]
    return re.compile(rule["regex"])


@pytest.mark.parametrize("role", ["inference", "read_only", "admin"])
@pytest.mark.parametrize("text", ["{}", "key={};", "'Bearer {}'", "https://x/?k={}&y"])
def test_a_key_is_found_whole_wherever_it_stands(role: Role, text: str) -> None:
    secret = new_secret(role)
    assert _rule().findall(text.format(secret)) == [secret]


@pytest.mark.parametrize("text", ["sk-ps-short", "sk-ps-DaZ7...2OIG", "sk-ps-" + "x" * 60, "sk-" + "x" * 48])
def test_what_is_none_is_not_found(text: str) -> None:
    assert not _rule().search(text)
