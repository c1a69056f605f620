"""`penstock models`, and `penstock models sync` against a simulated account and against servers that fail."""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from click.testing import Result
from rich.console import Console

from gateway import catalogue
from gateway.cli import sync
from gateway.simulator import SIMULATED_ACCOUNT_ID, Simulator
from tests.cli.conftest import ACCOUNT, Command
from translators.backends.workers_ai.catalogue import Facts

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
KIMI = "@cf/moonshotai/kimi-k2.6"
NEW = "@cf/somebody/new-1b"
ROUTE = f"""
models:
  small: {{targets: [{{backend: cloudflare, model: "{SEED}"}}]}}
"""
SCHEMA = {"properties": {"messages": {}, "max_completion_tokens": {}, "response_format": {}}}

Json = dict[str, Any]
ServeApp = Callable[..., str]


@dataclass
class Account:
    """A server that answers every request with what the test says; it keeps the queries."""

    status: int = 200
    answers: Callable[[str, dict[str, list[str]]], bytes] = lambda _path, _query: b""
    queries: list[dict[str, list[str]]] = field(default_factory=list)

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = parse_qs(scope["query_string"].decode())
        self.queries.append(query)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.answers(scope["path"], query)})


def says(answer: Any) -> Account:
    return Account(
        answers=lambda _path, _query: answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    )


def item(name: str, **properties: Any) -> Json:
    listed = [{"property_id": each, "value": value} for each, value in properties.items()]
    return {"name": name, "task": {"name": "Text Generation"}, "properties": listed}


def at(url: str) -> dict[str, str]:
    return {**ACCOUNT, "CLOUDFLARE_BASE_URL": f"{url}/client/v4"}


def listed(result: Result) -> dict[str, Json]:
    assert result.exit_code == 0, result.output
    return {each["id"]: each for each in json.loads(result.stdout)}


def test_routes_come_first_and_then_the_catalogue(penstock: Command) -> None:
    Path("penstock.yaml").write_text(ROUTE)
    names = list(listed(penstock("models", "--json", **ACCOUNT)))
    assert names == ["small", *catalogue.shipped().models]


def test_without_any_configuration_the_catalogue_shows(penstock: Command) -> None:
    assert list(listed(penstock("models", "--json"))) == list(catalogue.shipped().models)


def test_servers_of_the_environment_alone_have_no_catalogue(penstock: Command) -> None:
    servers = {"PENSTOCK__BACKENDS__OWN__KIND": "openai", "PENSTOCK__BACKENDS__OWN__BASE_URL": "http://gpu-1"}
    assert listed(penstock("models", "--json", **servers)) == {}


def test_json_has_all_facts(penstock: Command) -> None:
    [kimi] = listed(penstock("models", "--json", "--search", "kimi-k2.6", **ACCOUNT)).values()
    facts = catalogue.shipped().models[KIMI]
    assert kimi["can"] == sorted(facts.can)
    assert (kimi["window"], kimi["price"], kimi["neurons"]) == (facts.window, facts.price, facts.neurons)
    assert (kimi["efforts"], kimi["effort"]) == (["high", "none"], "high")


def test_models_are_found_by_name_and_by_what_they_can(penstock: Command) -> None:
    found = listed(
        penstock("models", "--json", "--search", "LLAMA", "--can", "tools", "--can", "vision", **ACCOUNT)
    )
    assert list(found) == ["@cf/meta/llama-4-scout-17b-16e-instruct"]


def test_a_pipe_gets_the_whole_table_a_model_a_line(penstock: Command) -> None:
    lines = penstock("models", **ACCOUNT).stdout.splitlines()
    [kimi] = [line for line in lines if KIMI in line]
    assert kimi.split() == [
        KIMI, "262,144", "0.95", "/", "4", "paid,", "reasoning,", "tools,", "vision", "high*,", "none",
        "openai", "86,364", "/", "363,636",
    ]  # fmt: skip
    assert len([line for line in lines if "@cf/" in line]) == len(catalogue.shipped().models)


def test_a_narrow_terminal_gets_the_columns_that_fit_and_is_told_of_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = importlib.import_module("gateway.cli.models")  # by name: the package has the command under it
    terminal = Console(force_terminal=True, width=40, no_color=True, highlight=False)
    monkeypatch.setattr("gateway.cli.tables.stdout", lambda: terminal)
    models._show([(SEED, Facts(window=8192)), ("small", Facts(retires="2027-01-31"))])
    said = capsys.readouterr()
    assert SEED in said.out
    assert "8,192" not in said.out
    assert "WINDOW, $ IN / OUT, CAN, EFFORTS, RETIRES, FAMILY" in said.err


def test_sync_keeps_what_the_account_lists_and_changes_nothing_that_was_right(
    penstock: Command, serve_app: ServeApp, tmp_path: Path
) -> None:
    account = at(serve_app(Simulator()))
    before = listed(penstock("models", "--json", **account))
    result = penstock("models", "sync", **account)
    kept = tmp_path / "data" / "workers-ai-models.json"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == f"{len(before)} text models are listed; kept in {kept}"
    after = listed(penstock("models", "--json", **account))
    assert after.keys() == before.keys()
    for name, facts in after.items():
        if before[name]["family"] != "unknown":
            undated = {"released": before[name]["released"]}  # the simulation dates all of its models
            assert {**facts, **undated} == before[name]


def test_sync_reads_the_schema_of_a_model_whose_family_is_not_known(
    penstock: Command, serve_app: ServeApp
) -> None:
    account = at(serve_app(Simulator()))
    assert penstock("models", "sync", **account).exit_code == 0
    [apertus] = listed(penstock("models", "--json", "--search", "apertus", **account)).values()
    assert (apertus["family"], apertus["content"]) == ("openai", "openai")


def test_sync_says_what_has_changed(penstock: Command, serve_app: ServeApp) -> None:
    price = [{"unit": "per M input tokens", "price": 1}, {"unit": "per M output tokens", "price": 5}]
    kimi = item(
        KIMI, vision="true", context_window="262144", price=price, planned_deprecation_date="2027-01-31"
    )
    account = at(serve_app(says({"result": [kimi, item(NEW, context_window="8192")]})))
    result = penstock("models", "sync", **account)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.strip() for line in result.stdout.splitlines()[1:]] == [
        f"{KIMI}: can paid, reasoning, tools, vision -> vision",
        f"{KIMI}: price input $0.95, output $4, cached_input $0.16 -> input $1, output $5",
        f"{KIMI}: retires None -> 2027-01-31",
        f"new: {NEW}",
    ]
    found = listed(penstock("models", "--json", **account))
    assert found[NEW]["window"] == 8192
    assert (found[KIMI]["retires"], found[KIMI]["family"]) == ("2027-01-31", "openai")
    assert SEED in found  # it is not in the list, and goes on being served


def test_sync_asks_for_the_schema_of_a_new_model(penstock: Command, serve_app: ServeApp) -> None:
    def answers(path: str, _query: dict[str, list[str]]) -> bytes:
        schema = {"result": {"input": SCHEMA}}
        return json.dumps(schema if path.endswith("/schema") else {"result": [item(NEW)]}).encode()

    account = Account(answers=answers)
    environ = at(serve_app(account))
    assert penstock("models", "sync", **environ).exit_code == 0
    assert {"model": [NEW]} in account.queries
    found = listed(penstock("models", "--json", **environ))[NEW]
    assert (found["family"], found["json"]) == ("openai", "response_format")


def test_sync_turns_pages_until_it_has_all(penstock: Command, serve_app: ServeApp) -> None:
    names = ["@cf/a/one", "@cf/a/two", "@cf/a/three"]

    def answers(_path: str, query: dict[str, list[str]]) -> bytes:
        page = [item(each) for each in names[int(query.get("page", ["9"])[0]) - 1 :][:1]]
        return json.dumps({"result": page, "result_info": {"total_count": 3}}).encode()

    account = Account(answers=answers)
    result = penstock("models", "sync", **at(serve_app(account)))
    assert result.stdout.startswith("3 text models")
    assert [query["page"] for query in account.queries if "page" in query] == [["1"], ["2"], ["3"]]


def test_sync_ends_where_a_page_brings_nothing_new(penstock: Command, serve_app: ServeApp) -> None:
    account = says({"result": [item("@cf/a/one")], "result_info": {"total_count": 900}})
    assert penstock("models", "sync", **at(serve_app(account))).exit_code == 0
    assert len([query for query in account.queries if "page" in query]) == 2


def test_sync_leaves_out_what_is_no_models_id(penstock: Command, serve_app: ServeApp) -> None:
    account = at(serve_app(says({"result": [item("@cf/a/one"), item("@cf/../\x1b[2J")]})))
    assert penstock("models", "sync", **account).exit_code == 0
    assert "@cf/../\x1b[2J" not in listed(penstock("models", "--json", **account))


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CLOUDFLARE_API_TOKEN": "wrong"}, "cloudflare: refused: the API token is malformed"),
        ({"CLOUDFLARE_API_TOKEN": "0" * 40}, "cloudflare: refused: the API token is not valid"),
        ({"CLOUDFLARE_ACCOUNT_ID": "other"}, "cloudflare: refused: there is no account of this id"),
    ],
)
def test_sync_says_whose_fault_a_refusal_is(
    penstock: Command, serve_app: ServeApp, tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    result = penstock("models", "sync", **{**at(serve_app(Simulator())), **environ})
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [words, "Nothing was fetched; what was kept before stays."]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (says(b"<html>"), "unexpected: the answer is no list of models"),
        (says(b"\xff"), "unexpected: the answer is no list of models"),
        (says({"success": False, "result": None}), "unexpected: the answer is no list of models"),
        (says({"result": []}), "unexpected: the list has no text model"),
        (Account(status=503), "unexpected: HTTP status 503"),
        (Account(status=302), "unexpected: HTTP status 302"),
        (says(b" " * (17 * 1024 * 1024)), "unexpected: an answer of more than 16777216 bytes"),
    ],
)
def test_sync_is_told_rubbish_from_a_list(
    penstock: Command, serve_app: ServeApp, account: Account, words: str
) -> None:
    result = penstock("models", "sync", **at(serve_app(account)))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"cloudflare: {words}")


def test_sync_names_a_backend_that_is_not_there(penstock: Command, closed_port: Callable[[], int]) -> None:
    result = penstock("models", "sync", **at(f"http://127.0.0.1:{closed_port()}"))
    assert result.exit_code == 1
    assert result.stderr.startswith("cloudflare: unreachable: ")


def test_sync_keeps_what_one_account_lists_where_another_is_away(
    penstock: Command, serve_app: ServeApp, closed_port: Callable[[], int]
) -> None:
    one = says({"result": [item("@cf/a/one")]})
    backend = {"kind": "workers_ai", "account_id": SIMULATED_ACCOUNT_ID, "api_token": "t" * 40}
    here = {**backend, "base_url": serve_app(one)}
    away = {**backend, "base_url": f"http://127.0.0.1:{closed_port()}"}
    Path("penstock.yaml").write_text(json.dumps({"backends": {"away": away, "here": here, "again": here}}))
    result = penstock("models", "sync")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 text models are listed")
    assert result.stderr.startswith("away: unreachable: ")
    assert (
        len([query for query in one.queries if "page" in query]) == 1
    )  # an account of two names is asked once


def test_sync_says_that_it_cannot_write(penstock: Command, serve_app: ServeApp, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    result = penstock("models", "sync", **at(serve_app(Simulator())))
    assert result.exit_code == 1
    assert result.stderr == f"cannot keep the list in {tmp_path / 'data'}: File exists; set data_dir\n"


def test_a_field_without_a_value_is_said_in_a_word() -> None:
    assert [sync._in_words(Facts(), each) for each in ("can", "price", "efforts")] == [
        "none",
        "unknown",
        "none",
    ]
