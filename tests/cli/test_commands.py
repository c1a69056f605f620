"""The commands that end by themselves, called in this process."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli import COMMANDS
from gateway.settings import json_schema
from gateway.simulator import Simulator
from tests.cli.conftest import ACCOUNT, Command

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "store": True}
ROUTES = """
models:
  small: {targets: [{backend: cloudflare, model: "@cf/meta/llama-3.1-8b-instruct-fast"}]}
"""


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_explains_itself(penstock: Command, name: str) -> None:
    result = penstock(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: penstock {name}" in result.output


def test_the_help_lists_every_command(penstock: Command) -> None:
    output = penstock("--help").output
    assert [command.name for command in COMMANDS if f"│ {command.name}" not in output] == []


def test_help_in_a_pipe_has_no_colours(penstock: Command) -> None:
    assert "\x1b" not in penstock("--help").output


@pytest.mark.parametrize("arguments", [["unknown"], ["serve", "--port", "70000"], ["completion", "tcsh"]])
def test_wrong_use_exits_with_2(penstock: Command, arguments: list[str]) -> None:
    assert penstock(*arguments).exit_code == 2


def test_check_shows_what_the_configuration_amounts_to(penstock: Command) -> None:
    Path("penstock.yaml").write_text(ROUTES)
    result = penstock("check", **ACCOUNT)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "penstock.yaml: no mistakes",
        "",
        "BACKEND     KIND        CATALOGUE  ADDRESS",
        "cloudflare  workers_ai  open       https://api.cloudflare.com/client/v4",
        "",
        "MODEL  TRANSLATION  TARGETS",
        "small  lenient      cloudflare: @cf/meta/llama-3.1-8b-instruct-fast",
    ]


def test_check_finds_a_target_that_is_no_model(penstock: Command) -> None:
    Path("penstock.yaml").write_text(ROUTES.replace("@cf/meta/", ""))
    result = penstock("check", **ACCOUNT)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "penstock.yaml:3:50: models.small.targets.0.model: is no model id of Workers AI"
    )


@pytest.mark.parametrize("name", ["check", "serve", "models", "translate"])
def test_mistakes_of_the_configuration_go_to_stderr_with_2(penstock: Command, name: str) -> None:
    Path("other.yaml").write_text("sever: {}\n")
    result = penstock(name, "--config", "other.yaml", stdin=json.dumps(CHAT), **ACCOUNT)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        "other.yaml:1:1: sever: is not a setting (did you mean 'server'?)\n  | sever: {}\n  | ^\n"
    )


def test_the_configuration_can_be_named_by_the_environment(penstock: Command) -> None:
    Path("other.yaml").write_text(ROUTES)
    assert "other.yaml: no mistakes" in penstock("check", PENSTOCK_CONFIG="other.yaml", **ACCOUNT).output


@pytest.mark.parametrize(
    ("environ", "verdict", "exit_code"),
    [
        ({}, "ok", 0),
        ({"CLOUDFLARE_API_TOKEN": "wrong"}, "refused: the API token is malformed", 1),
        ({"CLOUDFLARE_API_TOKEN": "0" * 40}, "refused: the API token is not valid", 1),
        ({"CLOUDFLARE_ACCOUNT_ID": "other"}, "refused: there is no account of this id", 1),
    ],
)
def test_a_live_check_asks_the_backend_about_the_credential(
    penstock: Command,
    serve_app: Callable[..., str],
    environ: dict[str, str],
    verdict: str,
    exit_code: int,
) -> None:
    url = serve_app(Simulator())
    result = penstock("check", "--live", **{**ACCOUNT, "CLOUDFLARE_BASE_URL": f"{url}/client/v4", **environ})
    assert result.output.splitlines()[-1].endswith(f"  {verdict}")
    assert result.exit_code == exit_code


def test_a_live_check_asks_about_each_of_several_credentials(
    penstock: Command, serve_app: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    Path("token").write_text(ACCOUNT["CLOUDFLARE_API_TOKEN"])
    Path("penstock.yaml").write_text(f"""
backends:
  good:
    kind: workers_ai
    account_id: {ACCOUNT["CLOUDFLARE_ACCOUNT_ID"]}
    api_token: [{{file: token}}, {{exec: [cat, token]}}]
    base_url: {serve_app(Simulator())}/client/v4
  bad:
    kind: workers_ai
    account_id: {ACCOUNT["CLOUDFLARE_ACCOUNT_ID"]}
    api_token: [{{file: token}}, {"0" * 40}, {{file: missing}}]
    base_url: {serve_app(Simulator())}/client/v4
""")
    result = penstock("check", "--live")
    good, bad = result.output.splitlines()[-2:]
    assert good.endswith("  ok")
    assert bad.endswith("  1. ok, 2. refused: the API token is not valid, 3. its credential cannot be read")
    assert result.exit_code == 1
    assert "A credential of backend 'bad' cannot be read: missing: No such file or directory" in caplog.text


def test_a_live_check_names_a_backend_that_is_not_there(
    penstock: Command, closed_port: Callable[[], int]
) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    result = penstock("check", "--live", **ACCOUNT, CLOUDFLARE_BASE_URL=url)
    assert "  unreachable: " in result.output
    assert result.exit_code == 1


def test_a_demo_that_can_write_nowhere_says_so(penstock: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_options: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", none)
    result = penstock("demo", "--once", "--port", "0")
    assert result.exit_code == 1
    assert result.stderr == (
        "the demo has nowhere to keep anything: No usable temporary directory found; "
        "set TMPDIR to a folder of yours\n"
    )


def test_translate_shows_body_and_report_without_any_credentials(penstock: Command) -> None:
    Path("request.json").write_text(json.dumps(CHAT))
    result = penstock("translate", "request.json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert shown["calls"][0]["body"]["messages"] == CHAT["messages"]
    assert {entry["parameter"]: entry["fate"] for entry in shown["report"]}["store"] == "dropped"


def test_translate_reads_standard_input_for_another_model(penstock: Command) -> None:
    Path("penstock.yaml").write_text(ROUTES)
    result = penstock("translate", "--model", "small", stdin=json.dumps({**CHAT, "model": "?"}), **ACCOUNT)
    assert json.loads(result.stdout)["target"] == {"backend": "cloudflare", "model": MODEL}


@pytest.mark.parametrize(
    ("body", "words"),
    [("{", "not valid JSON"), (json.dumps({**CHAT, "messages": 1}), "(parameter messages)")],
)
def test_translate_says_what_the_gateway_would_refuse(penstock: Command, body: str, words: str) -> None:
    result = penstock("translate", stdin=body)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("400: ")
    assert words in result.stderr


def test_schema_prints_the_schema_of_the_settings(penstock: Command) -> None:
    assert json.loads(penstock("schema").output) == json_schema()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script_that_asks_the_command(penstock: Command, shell: str) -> None:
    assert f"_PENSTOCK_COMPLETE={shell}_complete" in penstock("completion", shell).output


def test_the_command_completes_its_own_words(penstock: Command) -> None:
    environ = {"_PENSTOCK_COMPLETE": "bash_complete", "COMP_WORDS": "penstock tr", "COMP_CWORD": "1"}
    assert penstock(**environ).output == "plain,translate\n"
