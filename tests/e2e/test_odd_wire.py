"""What the wire does that nobody writes down, and what clients ask for that OpenAI has no name for.

Each is put to the simulated account through the official client.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import openai
import pytest

from tests.e2e.faulty_account import Account, arguments, ask, calls, raw, serving_account, stream
from tests.e2e.test_defects import GLM, LLAMA, MISTRAL, NEMOTRON, PARIS, QWEN3, SCHEMA, TOOL
from tests.laws import stream_rules

EMOJI: Final[list[Any]] = [{"role": "user", "content": "say x\N{GRINNING FACE}y\N{BALLOON}"}]
COUNT: Final[list[Any]] = [{"role": "user", "content": "count to 9"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Account, openai.OpenAI]]:
    with serving_account(tmp_path_factory.mktemp("data"), (LLAMA, QWEN3, GLM)) as both:
        yield both


@pytest.fixture
def account(served: tuple[Account, openai.OpenAI]) -> Account:
    account, _ = served
    account.bodies.clear()
    return account


@pytest.fixture
def client(served: tuple[Account, openai.OpenAI], account: Account) -> openai.OpenAI:
    del account  # it begins empty
    return served[1]


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM])
def test_a_character_that_comes_in_two_events_is_whole(client: openai.OpenAI, model: str) -> None:
    text = raw(client, f"split-surrogates/{model}", EMOJI)
    chunks = stream_rules.check_chat(text.encode(), choices=1, include_usage=False)
    (choice,) = stream_rules.accumulated(chunks)["choices"]
    assert choice["message"]["content"] == ask(client, model, EMOJI).choices[0].message.content
    assert "\N{GRINNING FACE}" in choice["message"]["content"]
    assert not [mark for mark in ("\\ud83d", "\ufffd") if mark in text]


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM])
def test_events_in_lists_are_events(client: openai.OpenAI, model: str) -> None:
    wanted = {"include_usage": True}
    text = raw(client, f"streamed-data/{model}", COUNT, stream_options=wanted)
    chunks = stream_rules.check_chat(text.encode(), choices=1, include_usage=True)
    answer = stream(client, f"streamed-data/{model}", COUNT, stream_options=wanted)
    whole = ask(client, model, COUNT)
    assert answer.choices[0].message.content == whole.choices[0].message.content
    assert chunks[-1]["usage"]["total_tokens"] == answer.usage.total_tokens == whole.usage.total_tokens


@pytest.mark.parametrize("fault", ["arguments-first", "streamed-data"])
@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM])
def test_a_call_whose_arguments_come_before_its_name_is_told_by_its_name(
    client: openai.OpenAI, fault: str, model: str
) -> None:
    text = raw(client, f"{fault}/{model}", PARIS, tools=[TOOL])
    stream_rules.check_chat(text.encode(), choices=1, include_usage=False)
    answer = stream(client, f"{fault}/{model}", PARIS, tools=[TOOL])
    [call] = calls(answer)
    assert (call.function.name, arguments(call)) == ("get_weather", {"city": "Paris"})
    assert answer.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("number", [3043, 8008])
def test_a_failure_inside_is_no_fault_of_the_request(client: openai.OpenAI, number: int) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, f"code-{number}/{LLAMA}")
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_error")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_who_would_rather_not_wait_is_told_to_come_again(client: openai.OpenAI, *, is_streamed: bool) -> None:
    model = f"busy-1/{LLAMA}"
    assert ask(client, model).choices[0].message.content
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(
            model=model, messages=COUNT, stream=is_streamed, extra_body={"options": {"rejectIfBusy": True}}
        )
    assert (raised.value.status_code, raised.value.code) == (503, "overloaded")
    assert raised.value.response.headers["retry-after"] == "2"


@pytest.mark.parametrize("effort", ["none", "low"])
@pytest.mark.parametrize("model", [QWEN3, NEMOTRON])
def test_a_model_thinks_less_where_it_is_told_to(client: openai.OpenAI, model: str, effort: Any) -> None:
    usual = ask(client, model).choices[0].message
    less = ask(client, model, reasoning_effort=effort).choices[0].message
    thought = getattr(less, "reasoning_content", None) or ""
    if effort == "none":
        assert not thought
    else:
        assert (len(thought) < len(usual.reasoning_content)) is (model == NEMOTRON)
    assert "Ada" in less.content


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM, MISTRAL])
@pytest.mark.parametrize("schema", [SCHEMA, json.dumps(SCHEMA)])
def test_guided_json_is_json_after_that_schema(client: openai.OpenAI, model: str, schema: Any) -> None:
    for ask_for in (ask, stream):
        answer = ask_for(client, model, extra_body={"guided_json": schema})
        assert json.loads(answer.choices[0].message.content).keys() == {"a"}


def test_replayed_thinking_reaches_the_model(client: openai.OpenAI, account: Account) -> None:
    turns: list[Any] = [*PARIS, {"role": "assistant", "content": "Hm.", "reasoning_content": "so"}, *COUNT]
    ask(client, GLM, turns, extra_body={"chat_template_kwargs": {"clear_thinking": False}})
    (body,) = account.bodies
    assert body["messages"][1]["reasoning_content"] == "so"
    assert body["chat_template_kwargs"] == {"clear_thinking": False}
