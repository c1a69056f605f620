"""`penstock keys` against a gateway that runs: keys issued, used, changed and ended; every way to fail."""

import importlib
import json
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from openai import OpenAI, PermissionDeniedError
from rich.console import Console

from gateway.cli.keys.words import COLUMNS
from gateway.simulator import Simulator
from tests.cli.conftest import ACCOUNT, MASTER, MODEL, Command
from tests.cli.test_processes import Environment, environment, finish, read_until, started  # noqa: F401 - a fixture

SECRET = re.compile(r"sk-ps-(?:admin-)?[0-9A-Za-z]{46}")

ServeApp = Callable[..., str]
Keys = Callable[..., Result]


@pytest.fixture
def keys(penstock: Command, gateway_url: str) -> Keys:
    """`penstock keys` with a key of the operator."""
    return lambda *arguments, **options: penstock(
        "keys", *arguments, **{"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER, **options}
    )


def _made(keys: Keys, *arguments: str) -> Any:
    result = keys("create", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _updated(keys: Keys, *arguments: str) -> Any:
    result = keys("update", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _shown(keys: Keys, name: str) -> Any:
    return json.loads(keys("show", name, "--json").stdout)


def test_a_key_is_made_with_lines_that_work_as_they_are_copied(
    keys: Keys, gateway_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = keys(
        "create", "--name", "ci", "--models", "small, @cf/meta/*", "--rpm", "60", "--expires", "30d"
    )
    assert result.exit_code == 0, result.output
    shell, _, python = result.stdout.partition("For Python")
    for variable, value in re.findall(r"export (\w+)=(\S+)", shell):
        monkeypatch.setenv(variable, value)
    lines = [line.strip() for line in python.splitlines()[2:]]
    exec("\n".join(lines), {})
    assert capsys.readouterr().out.strip()
    assert 'model="small"' in python
    assert len(set(SECRET.findall(result.stdout))) == 1
    [secret] = set(SECRET.findall(result.stdout))
    with OpenAI(base_url=f"{gateway_url}/v1", api_key=secret, max_retries=0) as client:
        ask = partial(client.chat.completions.create, messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(PermissionDeniedError):
            ask(model="@cf/qwen/qwq-32b")
    shown = _shown(keys, "ci")
    assert (shown["models"], shown["limits"]) == (["small", "@cf/meta/*"], {"rpm": 60})
    assert shown["usage"][0]["used"] == 1


def test_an_admin_key_is_handed_over_for_the_admin_api(keys: Keys, penstock: Command) -> None:
    shown = keys("create", "--name", "me", "--role", "admin").stdout
    environ = dict(re.findall(r"export (\w+)=(\S+)", shown))
    assert penstock("keys", "create", "--name", "ci", "--json", **environ).exit_code == 0
    assert "sk-ps-admin-" in environ["PENSTOCK_ADMIN_KEY"]


def test_all_options_reach_the_key_and_can_be_cleared(keys: Keys, gateway_url: str) -> None:
    headers = {"authorization": f"Bearer {MASTER}"}
    with httpx.Client(base_url=gateway_url, headers=headers, trust_env=False) as client:
        team = client.post("/admin/v1/teams", json={"name": "site"}).json()["id"]
    _made(
        keys, "--name", "web", "--team", "site", "--models", "a,b*", "--expires", "2090-01-31", "--rpm", "1",
        "--rpd", "2", "--tpm", "3", "--tpd", "4", "--concurrency", "5", "--ips", "10.0.0.0/8,192.0.2.7",
        "--tag", "x", "--tag", "y", "--metadata", "who=ann", "--metadata", "why=a=b", "--role", "inference",
    )  # fmt: skip
    key = _shown(keys, "web")
    assert (key["team"], key["models"], key["expires_at"]) == (team, ["a", "b*"], "2090-01-31T00:00:00Z")
    assert key["limits"] == {"rpm": 1, "rpd": 2, "tpm": 3, "tpd": 4, "concurrency": 5}
    assert (key["allowed_ips"], key["tags"]) == (["10.0.0.0/8", "192.0.2.7/32"], ["x", "y"])
    assert key["metadata"] == {"who": "ann", "why": "a=b"}
    changed = _updated(keys, "web", "--name", "site", "--clear", "rpm", "--tpm", "9", "--clear", "models")
    assert (changed["name"], changed["models"]) == ("site", None)
    assert changed["limits"] == {"rpd": 2, "tpm": 9, "tpd": 4, "concurrency": 5}
    cleared = ["limits", "team", "expires", "ips", "tags", "metadata", "defaults"]
    changed = _updated(keys, "site", *(word for name in cleared for word in ("--clear", name)), "--rpm", "7")
    assert changed["limits"] == {"rpm": 7}
    assert [changed[name] for name in ("team", "expires_at", "allowed_ips", "tags", "metadata")] == [
        None, None, None, [], {},
    ]  # fmt: skip


def test_a_list_is_a_table_that_fits_the_terminal(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        _made(keys, "--name", f"k{number}", "--rpm", "1000", "--tag", "nightly" if number else "y")
    whole = keys("list").stdout
    assert all(heading in whole for heading in COLUMNS)
    assert "1,000 rpm" in whole
    found = json.loads(keys("list", "--search", "nightly", "--json").stdout)
    assert [each["name"] for each in found] == ["k2", "k1"]
    narrow = Console(force_terminal=True, width=60, no_color=True, highlight=False)
    monkeypatch.setattr("gateway.cli.tables.stdout", lambda: narrow)
    result = keys("list")
    assert "A pipe and --json get everything." in result.stderr


def test_a_long_list_is_read_whole(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    client = importlib.import_module("gateway.cli.keys.client")  # by name: the command is called so as well
    monkeypatch.setattr(client, "_PAGE", 2)
    for number in range(5):
        _made(keys, "--name", f"k{number}")
    assert len(json.loads(keys("list", "--json").stdout)) == 5


def test_an_empty_list_says_how_to_make_a_key(keys: Keys) -> None:
    result = keys("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "penstock keys create" in result.stderr


def test_a_rotated_key_says_until_when_the_old_one_holds(keys: Keys) -> None:
    old = _made(keys, "--name", "ci")["key"]
    result = keys("rotate", "ci", "--grace", "1h")
    assert "The old secret of 'ci' is taken until 20" in result.stdout
    [new] = set(SECRET.findall(result.stdout))
    assert new != old
    assert "is not taken any more" in keys("rotate", "ci", "--grace", "0").stdout
    assert "taken until" not in keys("show", "ci").stdout
    refused = keys("rotate", "ci", "--grace", "3 weeks")
    assert (refused.exit_code, "grace: should be a time such as" in refused.stderr) == (1, True)


def test_revoking_asks_first_and_is_for_good(keys: Keys) -> None:
    made = _made(keys, "--name", "ci")
    result = keys("revoke", "ci", stdin="n\n")
    assert (result.exit_code, "for good?" in result.stderr) == (1, True)
    assert _shown(keys, "ci")["status"] == "active"
    assert keys("revoke", "ci", stdin="y\n").exit_code == 0
    for _ in range(2):
        assert "is revoked" in keys("revoke", made["id"], "--yes").stdout
    assert "revoked" in keys("show", made["id"]).stdout
    assert json.loads(keys("revoke", made["id"], "--yes", "--json").stdout)["status"] == "revoked"


def test_a_key_is_shown_in_full_without_its_secret(keys: Keys) -> None:
    made = _made(keys, "--name", "ci", "--rpm", "1000", "--metadata", "who=ann", "--ips", "10.0.0.0/8")
    shown = keys("show", made["redacted"]).stdout
    assert made["key"] not in shown
    for words in ("1,000 requests in 1m: 0 used, 1,000 left", "note who", "10.0.0.0/8", "never"):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nobody"], 2, "there is no key 'nobody': `penstock keys list`"),
        (["show", "key_none"], 1, "There is no key with the id 'key_none'"),
        (["show", f"sk-ps-{'x' * 46}"], 2, "not by the secret itself"),
        (["create", "--name", "x", "--team", "none"], 2, "there is no team 'none'"),
        (["create", "--name", "x", "--team", "team_none"], 1, "team: there is no team"),
        (["create", "--name", "x", "--metadata", "who"], 2, "--metadata who=ann"),
        (["create", "--name", "x", "--models", "a[", "--ips", "10.0.0.0/99"], 1, "allowed_ips[0]: should be"),
        (["create", "--name", "x", "--expires", "2020-01-01"], 1, "expires_at: is in the past"),
        (["create", "--name", "x", "--expires", "soon"], 1, "expires_at: should be a date"),
        (["create"], 2, "--name"),
        (["update", "x"], 2, "nothing is to be changed"),
        (["list", "--team", "none"], 2, "there is no team"),
    ],
)
def test_mistakes_are_told_with_what_to_do(keys: Keys, arguments: list[str], code: int, words: str) -> None:
    result = keys(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_of_two_keys_with_one_name_an_id_is_asked_for(keys: Keys) -> None:
    ids = [_made(keys, "--name", "ci")["id"] for _ in range(2)]
    result = keys("show", "ci")
    assert result.exit_code == 2
    assert all(each in result.stderr for each in ids)


def test_no_gateway_a_wrong_key_and_no_key_are_told_apart(
    penstock: Command, gateway_url: str, closed_port: Callable[[], int], serve_app: ServeApp
) -> None:
    away = f"http://127.0.0.1:{closed_port()}"
    result = penstock("keys", "list", "--url", away, "--key", MASTER)
    assert (result.exit_code, f"no gateway answers at {away}" in result.stderr) == (1, True)
    assert "`penstock serve`" in result.stderr
    result = penstock("keys", "list", "--url", gateway_url, "--key", "sk-ps-wrong-wrong-wrong")
    assert (result.exit_code, "does not take this admin key" in result.stderr) == (1, True)
    assert "PENSTOCK_ADMIN_KEY" in result.stderr
    result = penstock("keys", "list", "--url", gateway_url)
    assert (result.exit_code, "no admin key is at hand" in result.stderr) == (2, True)
    result = penstock("keys", "list", "--url", "localhost", "--key", MASTER)
    assert (result.exit_code, "is no address" in result.stderr) == (2, True)
    result = penstock("keys", "list", "--url", "http://[::1", "--key", MASTER)
    assert (result.exit_code, "is no address" in result.stderr) == (2, True)
    result = penstock("keys", "list", "--url", "http://127.0.0.1:99999", "--key", MASTER)
    assert (result.exit_code, "is no address" in result.stderr) == (2, True)
    for wrong in ("\N{LEFT DOUBLE QUOTATION MARK}sk-ps-secret", "sk-ps-secret\nsk-ps-other"):
        result = penstock("keys", "list", "--url", gateway_url, "--key", wrong)
        assert (result.exit_code, "the admin key is none" in result.stderr) == (2, True)
        assert "secret" not in result.output
    assert penstock("keys", "list", "--url", gateway_url, "--key", f"{MASTER}\n").exit_code == 0
    other = serve_app(Simulator())
    result = penstock("keys", "list", "--url", other, "--key", MASTER)
    assert (result.exit_code, "is no Penstock" in result.stderr) == (1, True)


def test_a_key_for_looking_may_not_change_anything(keys: Keys) -> None:
    looking = _made(keys, "--name", "look", "--role", "read_only")["key"]
    assert keys("list", PENSTOCK_ADMIN_KEY=looking).exit_code == 0
    result = keys("create", "--name", "x", PENSTOCK_ADMIN_KEY=looking)
    assert (result.exit_code, "may only read" in result.stderr) == (1, True)
    asking = _made(keys, "--name", "ask")["key"]
    assert "for asking models" in keys("list", PENSTOCK_ADMIN_KEY=asking).stderr


def test_the_settings_say_where_the_gateway_is_and_its_key(penstock: Command, gateway_url: str) -> None:
    port = gateway_url.rpartition(":")[2]
    Path("penstock.yaml").write_text(
        f"server: {{host: 0.0.0.0, port: {port}}}\nkeys: {{master: {MASTER}}}\n"
        "backends: {b: {kind: workers_ai, account_id: a, api_token: t}}\n"
    )
    assert penstock("keys", "list", "--json").stdout == "[]\n"
    Path("penstock.yaml").write_text("sever: {}\n")
    result = penstock("keys", "list")
    assert (result.exit_code, "With both --url and --key" in result.stderr) == (2, True)
    assert penstock("keys", "list", "--json", "--url", f"{gateway_url}/v1/", "--key", MASTER).exit_code == 0


def test_a_kept_master_key_is_used(penstock: Command, gateway_url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "master.key").write_text(MASTER)
    account = {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_API_TOKEN": "t"}
    assert penstock("keys", "list", "--json", "--url", gateway_url, **account).exit_code == 0


@pytest.mark.parametrize("name", ["create", "list", "show", "update", "rotate", "revoke"])
def test_every_command_explains_itself_with_examples(penstock: Command, name: str) -> None:
    result = penstock("keys", name, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"  penstock keys {name}" in result.output.partition("Examples:")[2]


def test_from_nothing_to_somebody_elses_key_in_three_commands(
    penstock: Command,
    environment: Environment,  # noqa: F811 - a fixture
    tmp_path: Path,
    serve_app: ServeApp,
) -> None:
    account = {**ACCOUNT, "CLOUDFLARE_BASE_URL": f"{serve_app(Simulator())}/client/v4"}
    with started({**environment, **account}, tmp_path, "serve", "--port", "0") as process:
        banner = read_until(process.stderr, "key ")
        url, admin = re.search(r"base_url +(\S+)", banner), SECRET.search(banner)
        assert url, banner
        assert admin, banner
        shown = penstock("keys", "create", "--name", "ci", PENSTOCK_URL=url[1], PENSTOCK_ADMIN_KEY=admin[0])
        assert shown.exit_code == 0, shown.output
        copied = dict(re.findall(r"export (\w+)=(\S+)", shown.stdout))
        base_url, secret = copied["OPENAI_BASE_URL"], copied["OPENAI_API_KEY"]
        with OpenAI(base_url=base_url, api_key=secret, max_retries=0) as client:
            answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
        assert answer.choices[0].message.content
        finish(process, signal.SIGTERM)
