"""`penstock backends` against a gateway that runs: shown, drained, set aside and taken up again."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from gateway.cli.backends import COLUMNS
from tests.cli.conftest import MASTER, MODEL, Command

Backends = Callable[..., Result]


@pytest.fixture
def backends(penstock: Command, gateway_url: str) -> Backends:
    """`penstock backends` with a key of the operator."""
    return lambda *arguments, **options: penstock(
        "backends", *arguments, **{"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER, **options}
    )


def _told(backends: Backends, *arguments: str) -> Any:
    result = backends(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _rows(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_the_backends_are_listed_with_who_tells(backends: Backends) -> None:
    result = backends("list")
    assert all(heading in result.stdout for heading in COLUMNS)
    assert "cloudflare all well 0 workers_ai" in _rows(result)
    assert "holds on all workers" in result.stderr
    assert _told(backends, "list")["data"][0]["name"] == "cloudflare"


def test_a_backend_is_drained_and_undrained(backends: Backends) -> None:
    rows = _rows(backends("drain", "cloudflare", "--why", "a new driver"))
    assert "cloudflare all drained: a new driver 0 workers_ai" in rows
    assert "cloudflare all well 0 workers_ai" in _rows(backends("undrain", "cloudflare"))


def test_a_model_alone_is_drained(backends: Backends) -> None:
    drained = _told(backends, "drain", "cloudflare", "--model", MODEL)
    assert (drained["drained"], drained["models"][0]["drained"]) == (None, {"why": ""})
    assert f"cloudflare {MODEL} drained 0" in _rows(backends("list"))
    assert _told(backends, "undrain", "cloudflare", "--model", MODEL)["models"][0]["drained"] is None


def test_a_backend_is_set_aside_and_taken_back_while_its_drain_stays(backends: Backends) -> None:
    assert backends("drain", "cloudflare").exit_code == 0
    shown = backends("aside", "cloudflare", "--for", "15m", "--why", "it restarts").stdout
    assert "drained; aside until " in shown
    assert "UTC: it restarts" in shown
    taken = _told(backends, "take-back", "cloudflare")
    assert (taken["drained"], taken["aside"]) == ({"why": ""}, None)
    assert _told(backends, "aside", "cloudflare", "--for", "60", "--model", MODEL)["models"][0]["aside"]
    assert not _told(backends, "take-back", "cloudflare", "--model", MODEL)["models"][0]["aside"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["drain", "nobody"], 1, "There is no backend 'nobody'"),
        (["aside", "cloudflare"], 2, "--for"),
        (["aside", "cloudflare", "--for", "soon"], 1, "seconds: should be a time such as '30s'"),
    ],
)
def test_mistakes_are_told_with_what_to_do(
    backends: Backends, arguments: list[str], code: int, words: str
) -> None:
    result = backends(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


@pytest.mark.parametrize("name", ["list", "drain", "undrain", "aside", "take-back"])
def test_every_command_explains_itself_with_examples(penstock: Command, name: str) -> None:
    result = penstock("backends", name, "--help")
    assert result.exit_code == 0
    assert f"  penstock backends {name}" in result.output.partition("Examples:")[2]
