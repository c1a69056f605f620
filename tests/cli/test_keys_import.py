"""`penstock keys import`: what LiteLLM has is taken over, or named with the reason why not."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from gateway import settings as configuration
from gateway.api.admin.bodies import ForeignKey
from gateway.api.admin.reading import read
from gateway.cli.keys.litellm import NotLiteLLMError, plan_of
from tests.cli.conftest import MASTER, Command

SECRET = "sk-yx7BzJ3mYw8uA4kQ1234"

# As LiteLLM 1.109 answers it, less what is null.
FULL: dict[str, Any] = {
    "token": hashlib.sha256(SECRET.encode()).hexdigest(),
    "key_name": "sk-...1234",
    "key_alias": "batch",
    "spend": 0.0,
    "max_budget": 10.0,
    "budget_duration": "30d",
    "expires": "2090-01-31T12:00:00+00:00",
    "models": ["small", "gpt-*"],
    "aliases": {},
    "config": {},
    "permissions": {},
    "user_id": "ann",
    "team_id": "team-1",
    "rpm_limit": 60,
    "tpm_limit": 100000,
    "max_parallel_requests": 4,
    "model_rpm_limit": {"small": 5},
    "metadata": {"purpose": "nightly", "nested": {"a": 1}, "model_tpm_limit": {"small": 500}},
    "tags": ["etl"],
    "blocked": None,
    "created_at": "2026-01-01T00:00:00Z",
}
LIMITS_SAID = (
    "took  key 'batch': its holders go on using it; 60 rpm, 100000 tpm, 4 concurrency, limits per model, "
    "models small, gpt-*, until 2090-01-31T12:00:00+00:00"
)
CONFIGURATION = """
model_list:
  - model_name: small
    litellm_params:
      model: cloudflare/@cf/meta/llama-3.1-8b-instruct-fast
      api_key: os.environ/CLOUDFLARE_API_KEY
      api_base: https://api.cloudflare.com/client/v4/accounts/abc123/ai/run/
      rpm: 100
      temperature: 0.2
  - model_name: small
    litellm_params:
      model: cloudflare/@cf/meta/llama-3.2-3b-instruct
      api_key: cf-secret-in-the-file
      rpm: 50
  - model_name: gpt
    litellm_params: {model: openai/gpt-5, api_key: sk-openai-secret}
general_settings: {master_key: sk-master-secret-1234, database_url: "postgres://u:p@h/db"}
litellm_settings: {drop_params: true, request_timeout: 120, num_retries: 3}
router_settings: {routing_strategy: least-busy}
"""

Import = Callable[..., Result]


@pytest.fixture
def bring(penstock: Command, gateway_url: str, tmp_path: Path) -> Import:
    """Imports a list of keys into a gateway that runs."""

    def run(*keys: Any, arguments: tuple[str, ...] = (), total: int | None = None) -> Result:
        file = tmp_path / "keys.json"
        file.write_text(
            json.dumps({"keys": list(keys), "total_count": len(keys) if total is None else total})
        )
        return penstock(
            "keys", "import", str(file), *arguments, PENSTOCK_URL=gateway_url, PENSTOCK_ADMIN_KEY=MASTER
        )

    return run


def _listed(penstock: Command, gateway_url: str) -> Any:
    return json.loads(penstock("keys", "list", "--json", "--url", gateway_url, "--key", MASTER).stdout)


def test_a_key_goes_on_working_with_its_name_limits_and_models(
    bring: Import,
    penstock: Command,
    gateway_url: str,
) -> None:
    result = bring(FULL)
    no_team = (
        "what holds for the team is not in this list: make one, and put the key into it with "
        "`penstock keys update --team`"
    )
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        LIMITS_SAID,
        "left  key 'batch' max_budget: there are no budgets yet",
        "left  key 'batch' budget_duration: there are no budgets yet",
        "left  key 'batch' user_id: keys have teams and no users; it is in the metadata",
        "left  key 'batch' metadata nested: notes are text, at most 16 of them with up to 512 characters",
        f"left  key 'batch' team_id: {no_team}",
        "1 taken over, 5 not.",
    ]
    [key] = _listed(penstock, gateway_url)
    assert (key["name"], key["redacted"], key["models"]) == ("batch", "sk-...1234", ["small", "gpt-*"])
    assert key["limits"] == {
        "rpm": 60,
        "tpm": 100000,
        "concurrency": 4,
        "per_model": {"small": {"rpm": 5, "tpm": 500}},
    }
    assert key["metadata"] == {"purpose": "nightly", "litellm_user_id": "ann", "litellm_team_id": "team-1"}
    assert (key["tags"], key["expires_at"]) == (["etl"], "2090-01-31T12:00:00Z")
    headers = {"authorization": f"Bearer {SECRET}"}
    own = httpx.get(f"{gateway_url}/v1/key", headers=headers, trust_env=False).json()["data"]
    assert own["id"] == key["id"]


def test_a_second_import_changes_nothing_and_is_no_mistake(
    bring: Import,
    penstock: Command,
    gateway_url: str,
) -> None:
    bring(FULL)
    result = bring(FULL)
    assert (result.exit_code, "is here already" in result.stderr) == (0, True)
    assert len(_listed(penstock, gateway_url)) == 1


def test_what_is_refused_holds_up_none_of_the_others(
    bring: Import,
    penstock: Command,
    gateway_url: str,
) -> None:
    odd = {**FULL, "token": "1" * 64, "key_alias": "odd", "models": ["a["]}
    result = bring(odd, FULL)
    assert (result.exit_code, "left  key 'odd': models[0]: has a bracket" in result.stderr) == (1, True)
    assert [key["name"] for key in _listed(penstock, gateway_url)] == ["batch"]


def test_a_dry_run_changes_nothing_and_needs_no_gateway(
    bring: Import,
    penstock: Command,
    gateway_url: str,
    tmp_path: Path,
) -> None:
    result = bring(FULL, arguments=("--dry-run",))
    assert (result.exit_code, "1 would be taken over, 5 not." in result.stderr) == (0, True)
    assert _listed(penstock, gateway_url) == []
    assert penstock("keys", "import", str(tmp_path / "keys.json"), "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({**FULL, "blocked": True}, "it is blocked"),
        ({**FULL, "expires": "2020-01-01T00:00:00"}, "it has expired"),
        ({**FULL, "expires": "next year"}, "when it expires cannot be read"),
        ({**FULL, "team_blocked": True}, "its team is blocked"),
        ({**FULL, "max_budget": 0}, "may spend nothing"),
        ({**FULL, "allowed_routes": ["management_routes"]}, "may not ask models there"),
        ({**FULL, "allowed_routes": ["/key/info", "info_routes"]}, "may not ask models there"),
        ({**FULL, "models": ["all-team-models"]}, "which are not in this list"),
        ({**FULL, "models": "small"}, "what models it may use cannot be read"),
        ({**FULL, "models": ["small", None]}, "what models it may use cannot be read"),
        ({**FULL, "rpm_limit": "sixty"}, "its rpm_limit is no whole number"),
        ({**FULL, "tpm_limit": -1}, "its tpm_limit is no whole number"),
        ({**FULL, "metadata": {"model_tpm_limit": {"a": 0.5}}}, "its model_tpm_limit is no whole number"),
        ({**FULL, "metadata": {"model_tpm_limit": 5}}, "its model_tpm_limit is no whole number"),
        (
            {**FULL, "token": "88dc28d0f030c55ed4ab77ed8faf09"},
            "is no SHA-256",
        ),
        ("88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b", "return_full_object=true"),
    ],
)
def test_a_key_that_cannot_be_taken_over_is_told(key: Any, words: str) -> None:
    plan = plan_of({"keys": [key]})
    assert plan.keys == []
    assert not plan.lines[0].taken
    assert words in plan.lines[0].words


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ({"models": ["all-proxy-models", "small"]}, {"models": None}),
        ({"models": ["*"]}, {"models": None}),
        ({"models": []}, {"models": None}),
        ({"models": ["no-default-models"]}, {"models": []}),
        ({"models": ["all-team-models", "b"], "team_models": ["a"]}, {"models": ["a", "b"]}),
        ({"models": [], "team_models": ["a"]}, {"models": ["a"]}),
        ({"rpm_limit": 60.0, "tpm_limit": None}, {"limits": {"rpm": 60}}),
        ({"rpm_limit": 0, "tpm_limit": None}, {"limits": {"rpm": 0}}),
        ({"allowed_routes": ["llm_api_routes"]}, {"name": "batch"}),
        ({"allowed_routes": ["/v1/chat/completions"]}, {"name": "batch"}),
        ({"tags": None, "metadata": {"tags": ["x"]}}, {"tags": ["x"]}),
    ],
)
def test_a_key_may_no_more_here_than_there(key: dict[str, Any], fields: dict[str, Any]) -> None:
    plain = {**FULL, "max_parallel_requests": None, "model_rpm_limit": None, "metadata": {}, **key}
    [planned] = plan_of({"keys": [plain]}).keys
    assert {name: planned.body.get(name) for name in fields} == fields


def test_one_page_of_several_is_told(bring: Import) -> None:
    assert "this is one page, with 1 of 30 keys" in bring(FULL, total=30).stderr


def test_a_configuration_becomes_ours_and_no_secret_is_copied(penstock: Command) -> None:
    Path("litellm.yaml").write_text(CONFIGURATION)
    result = penstock("keys", "import", "litellm.yaml")
    assert result.exit_code == 0, result.output
    for secret in ("cf-secret", "sk-openai", "sk-master", "u:p"):
        assert secret not in result.output
    ours = yaml.safe_load(result.stdout)
    assert ours["keys"] == {"master": "${PENSTOCK_MASTER_KEY}"}
    assert ours["deadlines"] == {"total": 120.0}
    assert ours["models"]["small"]["limits"] == {"rpm": 150}
    assert [target["backend"] for target in ours["models"]["small"]["targets"]] == [
        "cloudflare",
        "cloudflare2",
    ]
    assert ours["backends"]["cloudflare"] == {
        "kind": "workers_ai",
        "account_id": "abc123",
        "api_token": "${CLOUDFLARE_API_KEY}",
    }
    Path("penstock.yaml").write_text(result.stdout)
    environ = {
        "CLOUDFLARE_API_KEY": "t" * 40,
        "CLOUDFLARE_API_TOKEN": "u" * 40,
        "CLOUDFLARE_ACCOUNT_ID": "a",
        "PENSTOCK_MASTER_KEY": "k" * 20,
    }
    assert configuration.load(Path("penstock.yaml"), environ).models["small"].limits.rpm == 150
    assert result.stderr.splitlines() == [
        "took  model 'small': target cloudflare: @cf/meta/llama-3.1-8b-instruct-fast",
        "took  model 'small' rpm: a limit of the model on all replicas together",
        "left  model 'small' temperature: there is nothing like it in a target",
        "took  model 'small': target cloudflare2: @cf/meta/llama-3.2-3b-instruct",
        "took  model 'small' rpm: a limit of the model on all replicas together",
        "left  model 'gpt': 'openai/gpt-5' is not of Workers AI, the one kind of backend that is there yet",
        "took  master_key: keys.master, from the variable PENSTOCK_MASTER_KEY, into which to put it",
        "left  database_url: keys are in the store at redis_url: bring them over with the list of keys",
        "took  drop_params: what a model cannot take is dropped and reported, unless a route is strict",
        "took  request_timeout: deadlines.total: 120",
        "left  num_retries: there is nothing like it here",
        "left  router_settings: there is nothing like it here",
        "7 taken over, 5 not.",
    ]


def test_the_report_is_had_as_json(penstock: Command) -> None:
    Path("keys.json").write_text(json.dumps([FULL]))
    told = json.loads(penstock("keys", "import", "keys.json", "--dry-run", "--json").stdout)
    assert told["keys"][0]["name"] == "batch"
    assert told["lines"][0]["taken"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "neither LiteLLM's configuration"),
        ("5", "neither LiteLLM's configuration"),
        ("server: {port: 1}", "neither LiteLLM's configuration"),
        ("a: [", "is neither JSON nor YAML"),
        ("!!python/object:os.system x", "is neither JSON nor YAML"),
    ],
)
def test_what_is_not_litellms_is_told(penstock: Command, content: str, words: str) -> None:
    Path("file").write_text(content)
    result = penstock("keys", "import", "file")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*FULL, "model_max_budget"]), ANYTHING))
def test_any_key_is_planned_as_the_admin_api_takes_it_or_told(changes: dict[str, Any]) -> None:
    plan = plan_of({"keys": [{**FULL, "models": [], **changes}]})
    assert plan.lines
    for planned in plan.keys:
        body = {name: value for name, value in planned.body.items() if name not in {"models", "limits"}}
        read(ForeignKey, body)


@given(
    st.dictionaries(st.sampled_from(["model_list", "general_settings", "litellm_settings", "x"]), ANYTHING)
)
def test_any_configuration_is_planned_or_told(read_file: dict[str, Any]) -> None:
    try:
        plan = plan_of(read_file)
    except NotLiteLLMError:
        return
    assert plan.keys == []
