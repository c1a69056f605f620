"""What clients say in the words of other APIs than OpenAI's, through the official client."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import openai
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.simulator import create_server
from tests.e2e.conftest import _serving
from tests.e2e.faulty_account import HELLO, Account, ask, calls, serving_account, stream
from tests.gateway.served import MASTER, MODEL

LLAMA: Final = MODEL
QWEN3: Final = "@cf/qwen/qwen3-30b-a3b-fp8"
GLM: Final = "@cf/zai-org/glm-4.7-flash"
KIMI: Final = "@cf/moonshotai/kimi-k2.6"
GPT_OSS: Final = "@cf/openai/gpt-oss-20b"
MISTRAL: Final = "@cf/mistralai/mistral-small-3.1-24b-instruct"
MODELS: Final = (LLAMA, QWEN3, GLM, KIMI, GPT_OSS, MISTRAL)

SCHEMA: Final = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMAT: Final[Any] = {
    "type": "json_schema",
    "json_schema": {"name": "person", "schema": SCHEMA, "strict": True},
}
TOOL: Final[Any] = {"type": "function", "function": {"name": "greet", "parameters": SCHEMA}}
OTHER: Final[Any] = {"type": "function", "function": {"name": "leave"}}

each_model = pytest.mark.parametrize("model", MODELS)
each_way = pytest.mark.parametrize("asked", [ask, stream], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Account, openai.OpenAI]]:
    with serving_account(tmp_path_factory.mktemp("data"), MODELS) as both:
        yield both


@pytest.fixture
def account(served: tuple[Account, openai.OpenAI]) -> Account:
    served[0].bodies.clear()
    return served[0]


@pytest.fixture
def client(served: tuple[Account, openai.OpenAI]) -> openai.OpenAI:
    return served[1]


@each_model
@each_way
@pytest.mark.parametrize(
    "said",
    [{"structured_outputs": {"json": SCHEMA}}, {"guided_json": SCHEMA}],
    ids=lambda said: next(iter(said)),
)
def test_json_is_asked_for_as_of_vllm(client: openai.OpenAI, model: str, asked: Any, said: Any) -> None:
    answer = asked(client, model, extra_body=said)
    assert json.loads(answer.choices[0].message.content).keys() == {"name", "age"}


@each_model
@each_way
@pytest.mark.parametrize(
    "form",
    [{"type": "json_object", "schema": SCHEMA}, {"type": "json_schema", "json_schema": SCHEMA}],
    ids=lambda form: form["type"],
)
def test_json_is_asked_for_by_a_schema_alone(
    client: openai.OpenAI, model: str, asked: Any, form: dict[str, Any]
) -> None:
    answer = asked(client, model, response_format=form)
    assert json.loads(answer.choices[0].message.content).keys() == {"name", "age"}


@pytest.mark.parametrize("model", [QWEN3, GLM, KIMI])
@pytest.mark.parametrize(
    "said",
    [{"enable_thinking": False}, {"thinking": {"type": "disabled"}}, {"reasoning": {"effort": "none"}}],
    ids=lambda said: next(iter(said)),
)
def test_thinking_is_turned_off_as_elsewhere(client: openai.OpenAI, model: str, said: Any) -> None:
    usual, told = (ask(client, model, extra_body=each).choices[0].message for each in ({}, said))
    assert usual.reasoning_content
    assert not hasattr(told, "reasoning_content")
    assert told.content == usual.content


@each_model
@each_way
@pytest.mark.parametrize("choice", ["any", {"type": "any"}, {"type": "tool", "name": "greet"}])
def test_a_call_is_asked_for_as_of_anthropic(
    client: openai.OpenAI, model: str, asked: Any, choice: Any
) -> None:
    [call] = calls(asked(client, model, tools=[TOOL, OTHER], tool_choice=choice))
    assert call.function.name in {"greet", "leave"} if "any" in str(choice) else call.function.name == "greet"


@each_model
def test_rules_in_several_turns_become_one(client: openai.OpenAI, account: Account, model: str) -> None:
    rules = [{"role": "system", "content": "Be kind."}, {"role": "developer", "content": "Be brief."}]
    assert ask(client, model, [*rules, *HELLO]).choices[0].message.content
    (body,) = account.bodies
    assert [each["role"] for each in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"].startswith("Be kind.\n\nBe brief.")


@pytest.mark.parametrize("model", [GLM, KIMI, GPT_OSS])
def test_a_completion_has_its_log_probabilities(client: openai.OpenAI, model: str) -> None:
    whole = client.completions.create(model=model, prompt="Say hello to Ada", logprobs=2, max_tokens=50)
    scores = whole.choices[0].logprobs
    assert scores is not None
    assert "".join(scores.tokens or []) == whole.choices[0].text
    assert scores.text_offset == [
        len("".join((scores.tokens or [])[:at])) for at in range(len(scores.tokens or []))
    ]
    assert {len(each) for each in scores.top_logprobs or []} == {2}
    pieces = client.completions.create(
        model=model, prompt="Say hello to Ada", logprobs=2, max_tokens=50, stream=True
    )
    streamed = [piece.choices[0].logprobs for piece in pieces if piece.choices]
    assert [token for each in streamed if each for token in each.tokens or []] == scores.tokens
    assert [offset for each in streamed if each for offset in each.text_offset or []] == scores.text_offset


@pytest.mark.parametrize("model", [GLM, KIMI])
def test_log_probabilities_are_whole_beside_stop_strings_that_do_not_come(
    client: openai.OpenAI, model: str
) -> None:
    asked: Any = {"logprobs": True, "top_logprobs": 1, "stop": ["Adam", "hello there"]}
    for answer in (ask(client, model, **asked), stream(client, model, **asked)):
        choice = answer.choices[0]
        assert "".join(each.token for each in choice.logprobs.content) == choice.message.content


@pytest.fixture(scope="module")
def server_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """Before a server of which nobody says whether its JSON can be relied on: one of its models is sick."""
    with ExitStack() as stack:
        url = stack.enter_context(_serving(create_server("generic", models=("well",))))
        backend = {"kind": "openai", "server": "generic", "base_url": url}
        sick = {"targets": [{"backend": "own", "model": "simulator/ignored-format"}]}
        settings = {
            "data_dir": tmp_path_factory.mktemp("data"),
            "backends": {"own": backend},
            "models": {"sick": sick},
        }
        gateway = stack.enter_context(_serving(create_app(Settings.model_validate(settings), MASTER)))
        yield stack.enter_context(openai.OpenAI(base_url=f"{gateway}/v1", api_key=MASTER, max_retries=0))


@each_way
@pytest.mark.parametrize("model", ["well", "sick"])
def test_json_of_a_server_that_nobody_vouches_for_is_what_was_asked_for(
    server_client: openai.OpenAI, model: str, asked: Any
) -> None:
    answer = asked(server_client, model, response_format=FORMAT)
    assert json.loads(answer.choices[0].message.content).keys() == {"name", "age"}
    assert answer.choices[0].finish_reason == "stop"
