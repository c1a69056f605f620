"""`penstock route explain` against a gateway that runs: the way of a request, and why."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway.cli.route import COLUMNS
from gateway.health import Asides
from gateway.store import StoreAwayError
from tests.cli.conftest import MASTER, MODEL, Command

Explain = Callable[..., Result]


@pytest.fixture
def explain(penstock: Command, gateway_url: str) -> Explain:
    """`penstock route explain` with a key of the operator."""
    return lambda *arguments, **options: penstock(
        "route", "explain", *arguments,
        **{"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER, **options},
    )  # fmt: skip


def _rows(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_the_targets_are_shown_in_their_order_with_why(explain: Explain) -> None:
    result = explain("--model", "small")
    assert all(heading in result.stdout for heading in COLUMNS)
    assert f"1 cloudflare {MODEL} the only one of its tier that is left 1 1" in _rows(result)
    assert "3 targets at most" in result.stderr


def test_who_is_drained_is_shown_with_why(explain: Explain, penstock: Command, gateway_url: str) -> None:
    options = {"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER}
    assert penstock("backends", "drain", "cloudflare", "--why", "repair", **options).exit_code == 0
    result = explain("--model", "small")
    assert f"not asked cloudflare {MODEL} is drained: repair 1 1" in _rows(result)
    assert "Nobody can be asked now" in result.stderr


def test_what_the_store_does_not_tell_is_said(
    explain: Explain, penstock: Command, gateway_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_away(_asides: Asides) -> None:
        raise StoreAwayError("away")

    options = {"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER}
    assert "does not answer" not in explain("--model", "small").stderr
    monkeypatch.setattr(Asides, "look", is_away)
    words = (
        "The gateway's store does not answer: what is drained and set aside is as this worker last knew it."
    )
    for result in (explain("--model", "small"), penstock("backends", "list", **options)):
        assert result.exit_code == 0, result.output
        assert words in " ".join(result.stderr.split())


def test_a_body_is_read_from_a_file_or_standard_input(explain: Explain, tmp_path: Path) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "tools": "no"})
    file = tmp_path / "request.json"
    file.write_text(body)
    for result in (
        explain("--model", "small", "--body", str(file)),
        explain("--model", "small", "--body", "-", stdin=body),
    ):
        assert (result.exit_code, result.stdout) == (1, "")
        assert "tools" in result.stderr
    file.write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
    told = json.loads(explain("--model", "small", "--body", str(file), "--json").stdout)
    assert [each["place"] for each in told["targets"]] == [1]


def test_mistakes_are_told_with_what_to_do(explain: Explain) -> None:
    result = explain("--model", "nothing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing" in result.stderr
    result = explain("--model", "small", "--body", "-", stdin="[]")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no JSON object" in result.stderr
    assert explain().exit_code == 2


def test_it_explains_itself_with_examples(penstock: Command) -> None:
    result = penstock("route", "explain", "--help")
    assert result.exit_code == 0
    assert "  penstock route explain --model chat" in result.output.partition("Examples:")[2]
