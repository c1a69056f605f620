"""`penstock limits` against a gateway that runs: limits of all requests and of a model's, set and cleared."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from gateway.cli.limits import COLUMNS
from tests.cli.conftest import MASTER, Command

Limits = Callable[..., Result]


@pytest.fixture
def limits(penstock: Command, gateway_url: str) -> Limits:
    """`penstock limits` with a key of the operator."""
    return lambda *arguments, **options: penstock(
        "limits", *arguments, **{"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER, **options}
    )


def _told(limits: Limits, *arguments: str) -> Any:
    result = limits(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_where_nothing_is_limited_it_says_how_to_set_a_limit(limits: Limits) -> None:
    result = limits("show")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "penstock limits set --rpm N" in result.stderr


def test_what_is_set_is_shown_with_its_use_until_it_is_cleared(limits: Limits) -> None:
    assert limits("set", "--rpm", "6000", "--concurrency", "20").exit_code == 0
    shown = limits("set", "--model", "small", "--tpm", "500").stdout
    assert all(heading in shown for heading in COLUMNS)
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "all requests 6,000 requests in 1m 0 6,000 here" in rows
    assert "all requests 20 in flight at once 0 20 here" in rows
    assert "small 500 tokens in 1m 0 500 here" in rows
    assert _told(limits, "clear", "rpm")["gateway"]["set"] == {"concurrency": 20}
    assert _told(limits, "clear", "--model", "small")["models"]["small"]["set"] == {}
    assert _told(limits, "set", "--model", "small", "--rpd", "1")["models"]["small"]["set"] == {"rpd": 1}
    cleared = _told(limits, "clear", "--all")
    assert cleared["gateway"]["set"] == cleared["models"]["small"]["set"] == {}
    assert _told(limits, "show") == cleared


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["set"], 2, "nothing is to be set: name a limit"),
        (["set", "--rpm", "-1"], 2, "--rpm"),
        (["set", "--model", "nothing", "--rpm", "1"], 1, "models.nothing: there is no such model"),
        (["clear", "--all", "rpm"], 2, "--all stands alone"),
        (["clear", "rmp"], 2, "rmp"),
    ],
)
def test_mistakes_are_told_with_what_to_do(
    limits: Limits, arguments: list[str], code: int, words: str
) -> None:
    result = limits(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


@pytest.mark.parametrize("name", ["show", "set", "clear"])
def test_every_command_explains_itself_with_examples(penstock: Command, name: str) -> None:
    result = penstock("limits", name, "--help")
    assert result.exit_code == 0
    assert f"  penstock limits {name}" in result.output.partition("Examples:")[2]
