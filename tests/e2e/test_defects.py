"""What is broken or missing in Cloudflare's own OpenAI endpoints, each through the official client.

The numbers are those of a list of such defects; each test says in its docstring what the defect is.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import openai
import pytest

from tests.e2e.faulty_account import (
    HELLO,
    Account,
    Json,
    arguments,
    ask,
    calls,
    raw,
    sent_back,
    serving_account,
    stream,
)
from tests.gateway.served import MODEL

LLAMA: Final = MODEL
QWEN3: Final = "@cf/qwen/qwen3-30b-a3b-fp8"
GLM: Final = "@cf/zai-org/glm-4.7-flash"
GLM_2: Final = "@cf/zai-org/glm-5.2"
KIMI: Final = "@cf/moonshotai/kimi-k2.6"
GPT_OSS: Final = "@cf/openai/gpt-oss-20b"
NEMOTRON: Final = "@cf/nvidia/nemotron-3-120b-a12b"
QWQ: Final = "@cf/qwen/qwq-32b"
MISTRAL: Final = "@cf/mistralai/mistral-small-3.1-24b-instruct"
VISION: Final = "@cf/meta/llama-4-scout-17b-16e-instruct"

PARIS: Final[list[Any]] = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: Final[Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA: Final = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FORMAT: Final[Any] = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
# One transparent pixel.
PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZF"
    "QAAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Account, openai.OpenAI]]:
    with serving_account(tmp_path_factory.mktemp("data"), (LLAMA, QWEN3, GLM, KIMI, GPT_OSS, QWQ)) as both:
        yield both


@pytest.fixture
def account(served: tuple[Account, openai.OpenAI]) -> Iterator[Account]:
    account, _ = served
    account.bodies.clear()
    yield account
    account.spoils = None


@pytest.fixture
def client(served: tuple[Account, openai.OpenAI], account: Account) -> openai.OpenAI:
    del account  # it begins empty
    return served[1]


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (8001, 400, None),
        (5012, 400, None),
        (5007, 404, "model_not_found"),
        (10000, 502, "upstream_auth"),
        (3040, 503, "overloaded"),
    ],
)
def test_1_an_error_is_openais_object_with_a_request_id(
    client: openai.OpenAI, number: int, status: int, code: str | None
) -> None:
    """There errors are Cloudflare's envelopes, some with an engine's JSON inside, and SDKs show nothing."""
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client, f"code-{number}/{LLAMA}")
    error = raised.value
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert (error.status_code, error.code) == (status, code)
    assert error.request_id
    assert not [mark for mark in ("AiError", "{", f"{number}") if mark in error.body["message"]]


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM])
def test_2_a_call_with_null_content_is_sent_back_and_taken(client: openai.OpenAI, model: str) -> None:
    """There the second turn of a tool loop is refused, for content is null beside the calls."""
    [call] = calls(ask(client, model, PARIS, tools=[TOOL]))
    turns = [
        *PARIS,
        {"role": "assistant", "content": None, "tool_calls": [sent_back(call)]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    assert "sunny" in ask(client, model, turns, tools=[TOOL]).choices[0].message.content


def test_3_parts_of_text_are_taken_by_a_model_whose_content_is_a_string(
    client: openai.OpenAI, account: Account
) -> None:
    """There arrays of parts are refused by models that take strings only."""
    parts = [{"type": "text", "text": "Say hello "}, {"type": "text", "text": "to Ada"}]
    answer = ask(client, LLAMA, [{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == ask(client, LLAMA).choices[0].message.content
    assert [body["messages"][0]["content"] for body in account.bodies] == ["Say hello to Ada"] * 2


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM])
def test_4_a_refusal_names_the_field_at_fault(client: openai.OpenAI, account: Account, model: str) -> None:
    """There a refusal lists all that might have been sent instead, first of all a missing prompt."""

    def spoil(body: Json) -> None:
        body["messages"][1]["content"] = None
        body["messages"][1]["role"] = "user"

    account.spoils = spoil
    turns = [*HELLO, {"role": "assistant", "content": "Hello"}, *HELLO]
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, model, turns, tools=[TOOL])
    assert raised.value.param == "messages[1].content"
    assert "'messages[1].content' must be a string" in raised.value.message
    assert "prompt" not in raised.value.message


def test_4_a_field_is_named_by_its_place_in_the_clients_own_request(
    client: openai.OpenAI, account: Account
) -> None:
    """There the names are those of what the service makes of a request; ours has but one of two tools."""

    def spoil(body: Json) -> None:
        body["tools"][0]["function"]["name"] = 5

    account.spoils = spoil
    other = {"type": "function", "function": {"name": "clock", "description": "Tells the time"}}
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, GLM, PARIS, tools=[other, TOOL], tool_choice=choice)
    assert raised.value.param == "tools[1].function.name"


def test_5_nulls_are_as_good_as_nothing(client: openai.OpenAI, account: Account) -> None:
    """There null for a parameter is a mismatch of its type."""
    names = ("max_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")
    assert ask(client, LLAMA, **dict.fromkeys((*names, "n", "frequency_penalty"))).choices[0].message.content
    assert not [value for value in account.bodies[0].values() if value is None]


def test_6_an_answer_has_room_and_says_when_it_was_cut(client: openai.OpenAI, account: Account) -> None:
    """There an answer ends after 256 tokens unless told otherwise, without saying that it was cut."""
    counted: list[Any] = [{"role": "user", "content": "count to 400"}]
    assert ask(client, LLAMA, counted).choices[0].finish_reason == "stop"
    assert account.bodies[0]["max_tokens"] == 4096
    for ask_for in (ask, stream):
        answer = ask_for(client, LLAMA, counted, max_tokens=9)
        assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("model", [LLAMA, QWQ, QWEN3, GPT_OSS, GLM])
def test_7_a_required_call_is_made(client: openai.OpenAI, account: Account, model: str) -> None:
    """There `required` is but advice to some models and `any` is refused; the named form is obeyed."""
    [call] = calls(ask(client, model, HELLO, tools=[TOOL], tool_choice="required"))
    assert call.function.name == "get_weather"
    [body] = account.bodies
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert body.get("tool_choice") == (named if model != QWQ else None)  # QwQ is told of tools in words


def test_7_one_of_several_tools_is_required_in_openais_word(client: openai.OpenAI, account: Account) -> None:
    """There `any`, which other services say, is refused."""
    other = {"type": "function", "function": {"name": "clock", "description": "Tells the time"}}
    assert calls(ask(client, GLM, PARIS, tools=[other, TOOL], tool_choice="required"))
    assert account.bodies[0]["tool_choice"] == "required"


@pytest.mark.parametrize("ask_for", [ask, stream])
def test_7_a_call_that_was_not_made_is_asked_for_once_more(
    client: openai.OpenAI, account: Account, ask_for: Callable[..., Any]
) -> None:
    """There a model that does not call although it has to is taken at its word."""
    answer = ask_for(client, f"ignored-force/{LLAMA}", PARIS, tools=[TOOL], tool_choice="required")
    assert [call.function.name for call in calls(answer)] == ["get_weather"]
    assert len(account.bodies) == 2


@pytest.mark.parametrize("ask_for", [ask, stream])
def test_8_a_call_that_leaks_into_the_text_is_a_call(
    client: openai.OpenAI, ask_for: Callable[..., Any]
) -> None:
    """There gpt-oss may write a forced call as JSON into its text and end with `stop`."""
    answer = ask_for(client, f"leaked-call/{GPT_OSS}", PARIS, tools=[TOOL], tool_choice="required")
    [call] = calls(answer)
    assert arguments(call) == {"city": "Paris"}
    assert not answer.choices[0].message.content


@pytest.mark.parametrize("ask_for", [ask, stream])
def test_9_ids_that_repeat_are_made_unique_and_restored(
    client: openai.OpenAI, account: Account, ask_for: Callable[..., Any]
) -> None:
    """There Kimi gives its calls the same ids in every turn."""
    model, turns, ids = f"duplicate-ids/{KIMI}", list(PARIS), []
    for city in ("Rome", "Oslo"):
        answer = ask_for(client, model, turns, tools=[TOOL])
        [call] = calls(answer)
        ids.append(call.id)
        turns += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [sent_back(call)],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
            {"role": "user", "content": f"What is the weather in {city}?"},
        ]
    ask(client, model, turns, tools=[TOOL])
    assert len(set(ids)) == 2
    sent = account.bodies[-1]["messages"]
    assert [turn["tool_calls"][0]["id"] for turn in sent if turn["role"] == "assistant"] == [
        "functions.get_weather:0"
    ] * 2
    assert [turn["tool_call_id"] for turn in sent if turn["role"] == "tool"] == [
        "functions.get_weather:0"
    ] * 2


@pytest.mark.parametrize("model", [LLAMA, f"string-arguments/{LLAMA}", QWEN3, GLM, KIMI])
def test_10_arguments_are_json_text_in_fragments_of_one_form(client: openai.OpenAI, model: str) -> None:
    """There arguments are an object or text, and fragments have nulls for id, type and name."""
    for ask_for in (ask, stream):
        [call] = calls(ask_for(client, model, PARIS, tools=[TOOL]))
        assert arguments(call) == {"city": "Paris"}
    text = raw(client, model, PARIS, tools=[TOOL])
    assert '"id":null' not in text
    assert '"name":null' not in text
    assert text.count('"name":"get_weather"') == 1


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM, KIMI])
def test_11_usage_comes_once_at_the_end_and_only_where_it_was_asked_for(
    client: openai.OpenAI, model: str
) -> None:
    """There chunks carry usage of zeros or so far, the true one comes in an event of another form."""
    whole = ask(client, model)
    chunks = list(
        client.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]
    assert chunks[-1].choices == []
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    assert '"usage":{' not in raw(client, model)


@pytest.mark.parametrize("model", [LLAMA, QWEN3, GLM, KIMI])
def test_12_what_engines_add_is_left_out(client: openai.OpenAI, model: str) -> None:
    """There padding and marks of the engines come through, as does a cost that is no whole number."""
    texts = [raw(client, model), ask(client, model).to_json(indent=None)]
    for name in ("p", "matched_stop", "stop_reason", "prompt_logprobs", "neurons"):
        assert not [text for text in texts if f'"{name}":' in text]


@pytest.mark.parametrize("model", [LLAMA, f"object-response/{LLAMA}", QWEN3, GLM, GPT_OSS, MISTRAL])
@pytest.mark.parametrize("ask_for", [ask, stream])
def test_13_structured_output_comes_whole_and_streamed(
    client: openai.OpenAI, model: str, ask_for: Callable[..., Any]
) -> None:
    """There a schema and a stream exclude each other, and an object may come where text belongs."""
    answer = ask_for(client, model, response_format=FORMAT)
    assert json.loads(answer.choices[0].message.content).keys() == {"a"}


@pytest.mark.parametrize("model", [LLAMA, GLM])
def test_13_the_schema_is_sent_bare(client: openai.OpenAI, account: Account, model: str) -> None:
    """There the native endpoint reads the schema itself where OpenAI has an envelope around it."""
    ask(client, model, response_format=FORMAT)
    assert SCHEMA.items() <= account.bodies[0]["response_format"]["json_schema"].items()


@pytest.mark.parametrize("fault", ["unmet-json", "wrong-json"])
@pytest.mark.parametrize("ask_for", [ask, stream])
def test_13_json_that_was_not_met_is_asked_for_once_more(
    client: openai.OpenAI, account: Account, fault: str, ask_for: Callable[..., Any]
) -> None:
    """There JSON mode may give up, or give what the schema does not allow."""
    answer = ask_for(client, f"{fault}/{LLAMA}", response_format=FORMAT)
    assert isinstance(json.loads(answer.choices[0].message.content)["a"], str)
    assert len(account.bodies) == 2


def test_15_models_are_listed(client: openai.OpenAI) -> None:
    """There is no list of models."""
    listed = {model.id for model in client.models.list()}
    assert {LLAMA, GLM, KIMI, GPT_OSS} <= listed
    assert client.models.retrieve(KIMI).id == KIMI


def test_17_text_about_data_urls_is_text(client: openai.OpenAI) -> None:
    """There Kimi's server looks for pictures in text and fails at what only looks like one."""
    turns: list[Any] = [{"role": "user", "content": "Say data:image/png;base64,no"}]
    assert "png" in ask(client, KIMI, turns).choices[0].message.content


@pytest.mark.parametrize("messages", [HELLO, PARIS])
def test_18_a_stream_that_comes_as_nothing_is_streamed_all_the_same(
    client: openai.OpenAI, account: Account, messages: list[Any]
) -> None:
    """There gpt-oss may answer a request for a stream with an empty JSON result."""
    model = f"json-for-stream/{GPT_OSS}"
    answer = stream(client, model, messages, tools=[TOOL], stream_options={"include_usage": True})
    assert [body.get("stream") for body in account.bodies] == [True, None]
    whole = ask(client, model, messages, tools=[TOOL])
    assert answer.choices[0].message.content == whole.choices[0].message.content
    assert [arguments(call) for call in calls(answer)] == [arguments(call) for call in calls(whole)]
    assert answer.usage == whole.usage


@pytest.mark.parametrize("model", [QWEN3, GLM, KIMI, NEMOTRON, QWQ, GPT_OSS])
def test_19_thinking_is_in_one_field_and_leaves_room_for_the_answer(
    client: openai.OpenAI, model: str
) -> None:
    """There thinking has three forms, one of them inside the text, and eats what the answer may cost."""
    for answer in (ask(client, model), stream(client, model)):
        message = answer.choices[0].message
        assert message.reasoning_content
        assert "Ada" in message.content
        assert "<think>" not in message.content
        assert not hasattr(message, "reasoning")


def test_19_what_the_answer_may_cost_is_for_the_answer(client: openai.OpenAI, account: Account) -> None:
    """There thoughts and answer share a budget that clients set for the answer, if they set any."""
    for fields in ({}, {"max_tokens": 9}, {"max_tokens": 9, "reasoning_effort": "none"}):
        ask(client, GLM, **fields)
    assert [body["max_completion_tokens"] for body in account.bodies] == [16_384, 4096 + 9, 9]


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (KIMI, "low", {"reasoning_effort": "high"}),
        (GLM_2, "minimal", {"reasoning_effort": "none"}),
        ("@cf/zai-org/glm-5.3", "none", {"reasoning_effort": "low"}),
        ("@cf/deepseek-ai/deepseek-v4-pro-0813", "xhigh", {"reasoning_effort": "high"}),
        (GLM, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
    ],
)
def test_19_an_effort_is_one_that_the_model_knows(
    client: openai.OpenAI, account: Account, model: str, effort: Any, sent: Json
) -> None:
    """There each model has efforts of its own, and some have but a switch."""
    ask(client, model, reasoning_effort=effort)
    names = {"reasoning_effort", "chat_template_kwargs"} & account.bodies[0].keys()
    assert {name: account.bodies[0][name] for name in names} == sent


@pytest.mark.parametrize("ask_for", [ask, stream])
def test_19_an_answer_that_thinking_has_used_up_says_so(
    client: openai.OpenAI, ask_for: Callable[..., Any]
) -> None:
    """There the content is null and nothing else tells why; no text is invented for it."""
    [choice] = ask_for(client, f"null-content/{GLM}").choices
    assert choice.finish_reason == "length"
    assert not choice.message.content
    assert choice.message.reasoning_content


@pytest.mark.parametrize(
    ("number", "code", "longest"),
    [
        (2003, "rate_limit_exceeded", 60),
        (3021, "rate_limit_exceeded", 60),
        (3036, "insufficient_quota", 86_400),
        (4006, "insufficient_quota", 86_400),
    ],
)
def test_20_limits_are_told_apart_and_say_how_long_to_wait(
    client: openai.OpenAI, number: int, code: str, longest: int
) -> None:
    """There status 429 means four things, and none says when to come again."""
    before = datetime.now(UTC)
    with pytest.raises(openai.RateLimitError) as raised:
        ask(client, f"code-{number}/{LLAMA}")
    assert raised.value.code == code
    assert ("AI Gateway" in raised.value.message) is (number == 2003)
    wait = int(raised.value.response.headers["retry-after"])
    assert 0 < wait <= longest
    until = before.timestamp() + wait
    assert min(until % longest, longest - until % longest) <= 5  # the next minute, the next midnight


def test_20_too_little_capacity_is_no_limit(client: openai.OpenAI) -> None:
    """There a model without capacity answers with the status of a limit."""
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, f"code-3040/{LLAMA}")
    assert (raised.value.status_code, raised.value.code) == (503, "overloaded")
    assert raised.value.response.headers["retry-after"] == "2"


def test_21_an_answer_too_long_for_the_window_is_made_shorter(
    client: openai.OpenAI, account: Account
) -> None:
    """There windows are advertised too high, and what does not fit beside the prompt is refused.

    A letter and a space are one token and two bytes: more tokens than the gateway reckons with.
    """
    long: list[Any] = [{"role": "user", "content": "a b " * 2000}]
    answer = ask(client, "@cf/google/gemma-2b-it-lora", long, max_tokens=6000)
    assert answer.choices[0].message.content
    first, second = (body["max_tokens"] for body in account.bodies)
    assert second < first < 6000
    assert (
        "max_tokens=clamped"
        in client.chat.completions.with_raw_response.create(
            model="@cf/google/gemma-2b-it-lora", messages=HELLO, max_tokens=9000
        ).headers["x-penstock-translation"]
    )


@pytest.mark.parametrize(
    ("model", "window"),
    [(GLM_2, 256_000), ("@cf/zai-org/glm-5.3-flash", 1_048_576), ("@cf/google/gemma-4-26b-a4b-it", 131_072)],
)
def test_21_a_window_is_the_one_that_the_service_keeps_to(
    client: openai.OpenAI, account: Account, model: str, window: int
) -> None:
    """There the list states more than is taken."""
    assert client.models.retrieve(model).model_dump()["context_length"] == window
    ask(client, model, max_completion_tokens=2_000_000)
    assert window - 100 < account.bodies[0]["max_completion_tokens"] < window


def test_21_a_prompt_that_is_too_long_is_told_in_words_that_agents_know(client: openai.OpenAI) -> None:
    """There the error is an engine's JSON inside a message."""
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, "@cf/google/gemma-2b-it-lora", [{"role": "user", "content": "a b " * 9000}])
    assert raised.value.code == "context_length_exceeded"
    assert "maximum context length is 8192 tokens" in raised.value.message


def test_22_a_retired_model_says_who_answers_in_its_place(client: openai.OpenAI) -> None:
    """There retired ids are answered by a dearer model without a word."""
    response = client.chat.completions.with_raw_response.create(
        model="@cf/moonshotai/kimi-k2.5", messages=HELLO
    )
    assert "model=transformed" in response.headers["x-penstock-translation"]
    assert response.parse().choices[0].message.content


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "data:image/png;base64,!",
        "data:image/png;base64,",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:text/plain;base64,aGk=",
        "data:image/png;base64,aGk=",
    ],
)
def test_23_a_picture_that_cannot_be_sent_is_refused_by_name(client: openai.OpenAI, url: str) -> None:
    """There pictures on the web are not loaded, and what is none fails somewhere inside."""
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, VISION, [{"role": "user", "content": parts}])
    assert raised.value.param == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize("model", [VISION, KIMI])
def test_25_tools_and_pictures_work_beside_each_other(
    client: openai.OpenAI, account: Account, model: str
) -> None:
    """There a client of another language found that neither did."""
    picture = {"type": "image_url", "image_url": {"url": PIXEL}}
    question = {"type": "text", "text": "What is the weather in Paris?"}
    turns: list[Any] = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": [question, picture]},
    ]
    [call] = calls(stream(client, model, turns, tools=[TOOL]))
    assert account.bodies[0]["messages"][1]["content"] == [question, picture]
    turns += [
        {"role": "assistant", "content": None, "tool_calls": [sent_back(call)]},
        {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "sunny"}]},
    ]
    assert "sunny" in stream(client, model, turns, tools=[TOOL]).choices[0].message.content


@pytest.mark.parametrize("ask_for", [ask, stream])
def test_a_number_and_a_missing_newline_are_text_like_any(
    client: openai.OpenAI, ask_for: Callable[..., Any]
) -> None:
    """There a token that is a number comes as one, and the last event may lack its end."""
    turns: list[Any] = [{"role": "user", "content": "say 42"}]
    for fault in ("numeric-response", "no-final-newline"):
        choice = ask_for(client, f"{fault}/{LLAMA}", turns).choices[0]
        assert (choice.message.content, choice.finish_reason) == ("42", "stop")


def test_an_object_that_nobody_asked_for_is_json_text(client: openai.OpenAI) -> None:
    """There the text may be an object, with or without JSON mode."""
    turns: list[Any] = [{"role": "user", "content": "say 42"}]
    text = ask(client, f"object-response/{LLAMA}", turns).choices[0].message.content
    assert json.loads(text) == {"answer": "42"}
