"""`penstock teams` against a gateway that runs: teams made, given keys, changed and ended."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import Result

from gateway.cli.keys.words import TEAM_COLUMNS
from tests.cli.conftest import MASTER, Command

Ask = Callable[..., Result]


@pytest.fixture
def ask(penstock: Command, gateway_url: str) -> Ask:
    """`penstock` with a key of the operator."""
    return lambda *arguments, **options: penstock(
        *arguments, **{"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER, **options}
    )


def _told(ask: Ask, *arguments: str) -> Any:
    result = ask(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_teams_limits_and_models_hold_for_its_keys(ask: Ask, gateway_url: str) -> None:
    shown = ask("teams", "create", "--name", "web", "--models", "small", "--rpd", "1000", "--tag", "x")
    assert (shown.exit_code, "1,000 rpd" in shown.stdout) == (0, True), shown.output
    secret = _told(ask, "keys", "create", "--name", "ci", "--team", "web")["key"]
    headers = {"authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=gateway_url, headers=headers, trust_env=False) as client:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        assert client.post("/v1/chat/completions", json={**body, "model": "small"}).status_code == 200
        assert client.post("/v1/chat/completions", json={**body, "model": "@cf/a/b"}).status_code == 403
    shown = ask("teams", "show", "web").stdout
    for words in ("1,000 requests in 1d: 1 used, 999 left", "small", "tags", "active"):
        assert words in shown
    assert "team's limit" in ask("keys", "show", "ci").stdout


def test_all_options_reach_the_team_and_can_be_cleared(ask: Ask) -> None:
    made = _told(
        ask, "teams", "create", "--name", "web", "--models", "a,b*", "--rpm", "1", "--rpd", "2", "--tpm", "3",
        "--tpd", "4", "--concurrency", "5", "--tag", "x", "--tag", "y", "--metadata", "who=ann",
    )  # fmt: skip
    assert made["limits"] == {"rpm": 1, "rpd": 2, "tpm": 3, "tpd": 4, "concurrency": 5}
    assert (made["models"], made["tags"], made["metadata"]) == (["a", "b*"], ["x", "y"], {"who": "ann"})
    changed = _told(ask, "teams", "update", "web", "--name", "site", "--clear", "rpm", "--tpm", "9")
    assert (changed["name"], changed["limits"]) == ("site", {"rpd": 2, "tpm": 9, "tpd": 4, "concurrency": 5})
    cleared = [word for name in ("limits", "models", "tags", "metadata") for word in ("--clear", name)]
    changed = _told(ask, "teams", "update", made["id"], *cleared, "--rpm", "7")
    assert [changed[name] for name in ("limits", "models", "tags", "metadata")] == [{"rpm": 7}, None, [], {}]


def test_a_list_is_a_table_of_those_that_are_asked_for(ask: Ask) -> None:
    for number in range(3):
        _told(ask, "teams", "create", "--name", f"t{number}", "--tag", "nightly" if number else "y")
    whole = ask("teams", "list").stdout
    assert all(heading in whole for heading in TEAM_COLUMNS)
    assert [each["name"] for each in _told(ask, "teams", "list", "--search", "nightly")] == ["t2", "t1"]


def test_an_empty_list_says_how_to_make_a_team(ask: Ask) -> None:
    result = ask("teams", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "penstock teams create" in result.stderr


def test_a_team_with_keys_is_not_ended_and_an_empty_one_is_after_a_question(ask: Ask) -> None:
    made = _told(ask, "teams", "create", "--name", "web")
    _told(ask, "keys", "create", "--name", "ci", "--team", "web")
    refused = ask("teams", "delete", "web", "--yes")
    assert (refused.exit_code, "the team has keys, such as key_" in refused.stderr.lower()) == (1, True)
    assert ask("keys", "revoke", "ci", "--yes").exit_code == 0
    assert ask("teams", "delete", "web", stdin="n\n").exit_code == 1
    assert _told(ask, "teams", "show", "web")["status"] == "active"
    assert "is deleted" in ask("teams", "delete", "web", stdin="y\n").stdout
    assert _told(ask, "teams", "delete", made["id"], "--yes")["status"] == "revoked"
    assert [each["id"] for each in _told(ask, "teams", "list", "--status", "revoked")] == [made["id"]]
    assert "revoked" in ask("teams", "show", made["id"]).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nobody"], 2, "there is no team 'nobody': `penstock teams list`"),
        (["show", "team_none"], 1, "There is no team with the id 'team_none'"),
        (["create"], 2, "--name"),
        (["create", "--name", "x", "--models", "a["], 1, "models[0]: has a bracket"),
        (["create", "--name", "x", "--metadata", "who"], 2, "--metadata who=ann"),
        (["update", "x"], 2, "nothing is to be changed"),
        (["update", "x", "--rpm", "1"], 2, "there is no team 'x'"),
    ],
)
def test_mistakes_are_told_with_what_to_do(ask: Ask, arguments: list[str], code: int, words: str) -> None:
    result = ask("teams", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_of_two_teams_with_one_name_an_id_is_asked_for(ask: Ask) -> None:
    ids = [_told(ask, "teams", "create", "--name", "web")["id"] for _ in range(2)]
    result = ask("teams", "show", "web")
    assert result.exit_code == 2
    assert all(each in result.stderr for each in ids)


@pytest.mark.parametrize("name", ["create", "list", "show", "update", "delete"])
def test_every_command_explains_itself_with_examples(penstock: Command, name: str) -> None:
    result = penstock("teams", name, "--help")
    assert result.exit_code == 0
    assert f"  penstock teams {name}" in result.output.partition("Examples:")[2]
