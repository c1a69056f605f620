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
from tests.cli.conftest import MASTER, MODEL, Command

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
      order: 2
  - model_name: gpt
    litellm_params: {model: openai/gpt-5, api_key: sk-openai-secret}
  - model_name: qwen
    litellm_params: {model: hosted_vllm/Qwen/Qwen3-8B, api_base: "http://gpu-1:8000/v1/", weight: 3}
  - model_name: qwen
    litellm_params:
      model: hosted_vllm/Qwen/Qwen3-8B
      api_base: http://gpu-2:8000
      max_parallel_requests: 8
  - model_name: qwen
    litellm_params:
      model: Qwen/Qwen3-8B
      custom_llm_provider: openai
      api_base: http://gpu-3:8000/v1
      api_key: none
  - model_name: "*"
    litellm_params: {model: ollama_chat/*}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: nowhere
    litellm_params: {model: hosted_vllm/a}
  - model_name: wrong
    litellm_params: {model: cloudflare/llama}
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
        "what holds for the team is not in this list: make one, and put its keys into it with "
        "--team team-1=NAME"
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
        ({**FULL, "models": ["all-team-models"], "team_id": None}, "with --team ID=NAME"),
        ({**FULL, "models": []}, "it may use its team's models, which are not in this list"),
        ({**FULL, "models": [], "team_models": []}, "with --team team-1=NAME"),
        ({**FULL, "models": ["*"]}, "it may use its team's models, which are not in this list"),
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
        ({"models": ["all-proxy-models", "small"], "team_id": None}, {"models": None}),
        ({"models": ["*"], "team_id": None}, {"models": None}),
        ({"models": [], "team_id": None}, {"models": None}),
        ({"models": ["*"], "team_models": ["a"]}, {"models": ["a"]}),
        ({"models": [], "team_models": ["all-proxy-models"]}, {"models": None}),
        ({"models": ["a", "a"]}, {"models": ["a"]}),
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


@pytest.mark.parametrize("models", [[], ["*"], ["all-team-models"]])
def test_a_key_of_a_team_is_put_into_the_one_that_is_named_for_it_and_may_what_that_may(
    bring: Import, penstock: Command, gateway_url: str, models: list[str]
) -> None:
    environ = {"PENSTOCK_URL": gateway_url, "PENSTOCK_ADMIN_KEY": MASTER}
    made = penstock("teams", "create", "--name", "web", "--models", "small", "--json", **environ)
    key = {**FULL, "models": models, "metadata": {}, "model_rpm_limit": None}
    result = bring(key, arguments=("--team", "team-1=web"))
    assert result.exit_code == 0, result.output
    assert "team web" in result.stderr
    assert "team_id" not in result.stderr
    [key] = _listed(penstock, gateway_url)
    assert (key["team"], key["models"]) == (json.loads(made.stdout)["id"], None)
    headers = {"authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=gateway_url, headers=headers, trust_env=False) as client:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        assert client.post("/v1/chat/completions", json={**body, "model": "small"}).status_code == 200
        assert client.post("/v1/chat/completions", json={**body, "model": MODEL}).status_code == 403


@pytest.mark.parametrize(
    ("team", "words"), [("team-1", "is no pair of teams"), ("team-1=none", "there is no team 'none'")]
)
def test_a_team_that_cannot_be_named_so_is_told(bring: Import, team: str, words: str) -> None:
    result = bring(FULL, arguments=("--team", team))
    assert (result.exit_code, words in result.stderr) == (2, True)


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
    assert ours["models"]["small"]["targets"] == [
        {"backend": "cloudflare", "model": "@cf/meta/llama-3.1-8b-instruct-fast", "limits": {"rpm": 100}},
        {"backend": "cloudflare2", "model": "@cf/meta/llama-3.2-3b-instruct", "tier": 2},
    ]
    assert ours["models"]["qwen"]["targets"] == [
        {"backend": "vllm", "model": "Qwen/Qwen3-8B", "weight": 3},
        {"backend": "vllm2", "model": "Qwen/Qwen3-8B", "limits": {"concurrency": 8}},
        {"backend": "server", "model": "Qwen/Qwen3-8B"},
    ]
    listed = {"kind": "openai", "catalogue": "listed"}
    assert ours["backends"] == {
        "cloudflare": {
            "kind": "workers_ai",
            "account_id": "abc123",
            "api_token": "${CLOUDFLARE_API_KEY}",
            "catalogue": "listed",
        },
        "cloudflare2": {
            "kind": "workers_ai",
            "account_id": "${CLOUDFLARE_ACCOUNT_ID}",
            "api_token": "${CLOUDFLARE_API_TOKEN}",
            "catalogue": "listed",
        },
        "openai": {
            **listed,
            "server": "openai",
            "base_url": "https://api.openai.com/v1",
            "api_key": "${OPENAI_API_KEY}",
        },
        "vllm": {**listed, "server": "vllm", "base_url": "http://gpu-1:8000/v1"},
        "vllm2": {**listed, "server": "vllm", "base_url": "http://gpu-2:8000"},
        "server": {**listed, "base_url": "http://gpu-3:8000/v1", "api_key": "${OPENAI_API_KEY}"},
        "ollama": {"kind": "openai", "server": "ollama", "base_url": "http://localhost:11434"},
    }
    Path("penstock.yaml").write_text(result.stdout)
    environ = {
        "CLOUDFLARE_API_KEY": "t" * 40,
        "CLOUDFLARE_API_TOKEN": "u" * 40,
        "CLOUDFLARE_ACCOUNT_ID": "a",
        "OPENAI_API_KEY": "v" * 40,
        "PENSTOCK_MASTER_KEY": "k" * 20,
    }
    loaded = configuration.load(Path("penstock.yaml"), environ)
    assert [target.limits.rpm for target in loaded.models["small"].targets] == [100, None]
    no_kind = "is of no kind of backend that there is: Workers AI, and servers that speak OpenAI's API"
    assert result.stderr.splitlines() == [
        "took  model 'small': target cloudflare: @cf/meta/llama-3.1-8b-instruct-fast, 100 rpm",
        "left  model 'small' temperature: there is nothing like it in a target",
        "took  model 'small': target cloudflare2: @cf/meta/llama-3.2-3b-instruct, tier 2",
        "left  model 'small' api_key: a secret is not copied: put it into the variable CLOUDFLARE_API_TOKEN",
        "took  model 'gpt': target openai: gpt-5",
        "left  model 'gpt' api_key: a secret is not copied: put it into the variable OPENAI_API_KEY",
        "took  model 'qwen': target vllm: Qwen/Qwen3-8B, weight 3",
        "took  model 'qwen': target vllm2: Qwen/Qwen3-8B, 8 concurrency",
        "took  model 'qwen': target server: Qwen/Qwen3-8B",
        "left  model 'qwen' api_key: a secret is not copied: put it into the variable OPENAI_API_KEY",
        "took  model '*': backend ollama, whose models are asked for under its own names",
        f"left  model 'claude': 'anthropic/claude-sonnet' {no_kind}",
        "left  model 'nowhere': 'hosted_vllm/a' has no address: an api_base that begins with http:// or https://",
        "left  model 'wrong': 'cloudflare/llama' is no model of Workers AI",
        "took  master_key: keys.master, from the variable PENSTOCK_MASTER_KEY, into which to put it",
        "left  database_url: keys are in the store at redis_url: bring them over with the list of keys",
        "took  drop_params: what a model cannot take is dropped and reported, unless a route is strict",
        "took  request_timeout: deadlines.total: 120",
        "left  num_retries: there is nothing like it here",
        "left  router_settings: there is nothing like it here",
        "10 taken over, 10 not.",
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
    plan = plan_of({"keys": [{**FULL, "models": [], "team_id": None, **changes}]})
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
