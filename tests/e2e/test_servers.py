"""The official client before a gateway before self-hosted servers of every product."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.simulator import PRODUCTS, SimulatedServer, create_server
from tests.e2e.conftest import _serving
from tests.gateway.served import MASTER

KEY = "sk-of-the-servers-0123456789"
PRODUCT = pytest.mark.parametrize("product", sorted(PRODUCTS))
ASKS_FOR_A_KEY = {"vllm", "sglang", "llama_cpp", "lmdeploy", "openai", "generic"}

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME: Any = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def _key(product: str) -> str | None:
    return KEY if product in ASKS_FOR_A_KEY else None


@pytest.fixture(scope="module")
def servers() -> dict[str, SimulatedServer]:
    return {
        product: create_server(product, models=(f"model-of-{product}", "shared"), api_key=_key(product))
        for product in PRODUCTS
    }


@pytest.fixture(scope="module")
def client(
    servers: dict[str, SimulatedServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    with ExitStack() as stack:
        backends = {
            product: {
                "kind": "openai",
                "server": product,
                "base_url": stack.enter_context(_serving(server)),
                **({"api_key": KEY} if _key(product) else {}),
            }
            for product, server in servers.items()
        }
        settings = {"data_dir": tmp_path_factory.mktemp("data"), "backends": backends}
        url = stack.enter_context(_serving(create_app(Settings.model_validate(settings), MASTER)))
        yield stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key=MASTER, max_retries=0))


def asked(product: str, text: str = "Say hello there", **fields: Any) -> dict[str, Any]:
    return {"model": f"model-of-{product}", "messages": [{"role": "user", "content": text}], **fields}


@PRODUCT
def test_a_chat_is_answered_alike_whole_and_streamed(client: openai.OpenAI, product: str) -> None:
    whole = client.chat.completions.create(**asked(product, seed=7))
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage
    assert whole.usage.completion_tokens > 0
    chunks = list(
        client.chat.completions.create(
            **asked(product, seed=7), stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    roles = [choice.delta.role for chunk in chunks for choice in chunk.choices]
    assert roles == ["assistant", *[None] * (len(roles) - 1)]


@PRODUCT
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_is_called_and_its_answer_used(client: openai.OpenAI, product: str, *, streamed: bool) -> None:
    question = asked(product, "What is the weather in Paris?", tools=[WEATHER])
    if streamed:
        with client.chat.completions.stream(**question) as stream:
            answer = stream.get_final_completion()
    else:
        answer = client.chat.completions.create(**question)
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    said = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call.model_dump(include={"id", "type", "function"})],
    }
    result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees and windy"}
    messages = [*question["messages"], said, result]
    final = client.chat.completions.create(**{**question, "messages": messages})
    assert "12 degrees and windy" in (final.choices[0].message.content or "")


@PRODUCT
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_time"}}])
def test_a_tool_that_has_to_be_called_is_called(client: openai.OpenAI, product: str, choice: Any) -> None:
    answer = client.chat.completions.create(**asked(product, tools=[WEATHER, TIME], tool_choice=choice))
    calls = answer.choices[0].message.tool_calls
    assert calls
    names = {call.function.name for call in calls if call.type == "function"}
    assert names <= ({"get_time"} if isinstance(choice, dict) else {"get_time", "get_weather"})


@PRODUCT
def test_no_tool_is_called_where_none_may_be(client: openai.OpenAI, product: str) -> None:
    question = asked(product, "What is the weather in Paris?", tools=[WEATHER], tool_choice="none")
    answer = client.chat.completions.create(**question)
    assert not answer.choices[0].message.tool_calls
    assert answer.choices[0].message.content


@PRODUCT
def test_json_after_a_schema_is_answered(client: openai.OpenAI, product: str) -> None:
    answer = client.chat.completions.create(**asked(product, "Name a city.", response_format=SCHEMA))
    assert list(json.loads(answer.choices[0].message.content or "")) == ["city"]


@PRODUCT
def test_several_choices_are_answered_in_order(client: openai.OpenAI, product: str) -> None:
    answer = client.chat.completions.create(**asked(product, n=3))
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


@PRODUCT
def test_the_choices_of_a_stream_are_told_apart_and_their_prompt_is_counted_once(
    client: openai.OpenAI, servers: dict[str, SimulatedServer], product: str
) -> None:
    prompt = client.chat.completions.create(**asked(product)).usage
    before = len(servers[product].bodies)
    said = ["", "", ""]
    usage, ends = None, list[int]()
    for chunk in client.chat.completions.create(
        **asked(product, n=3), stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            ends += [choice.index] if choice.finish_reason else []
    assert all(said)
    assert sorted(ends) == [0, 1, 2]
    assert usage is not None
    assert prompt is not None
    assert usage.prompt_tokens == prompt.prompt_tokens
    calls = 1 if product in {"vllm", "sglang", "openai"} else 3
    assert len(servers[product].bodies) - before == calls


@PRODUCT
@pytest.mark.parametrize(
    "fields",
    [
        {"top_p": 1},
        {"logit_bias": {"50": 5}},
        {"n": 2, "temperature": 0},
        {"response_format": {"type": "json_object"}, "max_tokens": 500},
    ],
    ids="-".join,
)
def test_what_openai_allows_no_product_refuses(
    client: openai.OpenAI, product: str, fields: dict[str, Any]
) -> None:
    answer = client.chat.completions.create(**asked(product, "Say a word as JSON", **fields))
    assert len(answer.choices) == fields.get("n", 1)
    if "response_format" in fields:
        assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


@PRODUCT
def test_an_answer_ends_at_its_limit_and_at_a_stop(client: openai.OpenAI, product: str) -> None:
    short = client.chat.completions.create(**asked(product, max_completion_tokens=1))
    assert short.choices[0].finish_reason == "length"
    whole = client.chat.completions.create(**asked(product)).choices[0].message.content or ""
    stop = whole[len(whole) // 2 :][:3]
    stopped = client.chat.completions.create(**asked(product), stop=[stop])
    assert stopped.choices[0].message.content == whole[: whole.index(stop)]


@PRODUCT
def test_what_the_product_does_not_know_is_left_out_and_told(client: openai.OpenAI, product: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        **asked(product), user="somebody", extra_body={"quite_new": 1, "stream_options": None}
    )
    told = answer.headers["x-penstock-translation"]
    assert "quite_new=dropped" in told
    assert answer.parse().choices[0].message.content


@PRODUCT
def test_a_prompt_too_long_is_told_in_the_words_that_agents_know(client: openai.OpenAI, product: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked(product, "word " * 60_000))
    assert caught.value.code == "context_length_exceeded"
    assert "reduce the length of the messages" in caught.value.message


@PRODUCT
def test_a_name_that_several_servers_list_is_a_route_by_itself(client: openai.OpenAI, product: str) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed.count("shared") == 1
    assert f"model-of-{product}" in listed
    answer = client.chat.completions.with_raw_response.create(**asked(product) | {"model": "shared"})
    assert answer.headers["x-penstock-route"] == "shared"


@PRODUCT
def test_a_completion_is_answered(client: openai.OpenAI, product: str) -> None:
    answer = client.completions.create(model=f"model-of-{product}", prompt="Say hello there", max_tokens=50)
    assert answer.choices[0].text


@PRODUCT
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", openai.RateLimitError),
        ("503", openai.InternalServerError),
        ("500", openai.InternalServerError),
    ],
)
def test_a_sick_server_is_an_honest_error(
    client: openai.OpenAI,
    servers: dict[str, SimulatedServer],
    product: str,
    fault: str,
    kind: type[Exception],
) -> None:
    servers[product].fault = fault
    try:
        with pytest.raises(kind) as caught:
            client.chat.completions.create(**asked(product))
    finally:
        servers[product].fault = None
    assert KEY not in str(caught.value)
