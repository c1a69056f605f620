"""Chat, completions and models through the official client."""

import asyncio
import base64
import re
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionUserMessageParam

from tests.gateway.served import MODEL

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def user(text: str) -> ChatCompletionUserMessageParam:
    return {"role": "user", "content": text}


def test_a_whole_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=[user("Count to 5")])
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{24}", answer.id)
    [choice] = answer.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content, choice.message.refusal) == (
        "assistant",
        "1, 2, 3, 4, 5.",
        None,
    )
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_a_whole_answer_asynchronously(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model="small", messages=[user("Count to 5")])
    assert answer.choices[0].message.content == "1, 2, 3, 4, 5."
    assert answer.model == "small"


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    question: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Tell me about "}, {"type": "text", "text": "dams"}],
        },
    ]
    whole = client.chat.completions.create(model=MODEL, messages=question)
    chunks = list(client.chat.completions.create(model=MODEL, messages=question, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].delta.role for chunk in chunks].count("assistant") == 1
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {
        (chunks[0].id, chunks[0].created, MODEL)
    }
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_closes_a_stream_that_asks_for_it(client: openai.OpenAI) -> None:
    question = [user("Count to 5")]
    *chunks, last = client.chat.completions.create(
        model=MODEL, messages=question, stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == []
    assert all(chunk.usage is None for chunk in chunks)
    assert last.usage == client.chat.completions.create(model=MODEL, messages=question).usage


def test_the_stream_helper_folds_the_answer(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=[user("Count to 5")], n=2) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert [choice.message.content for choice in answer.choices] == ["1, 2, 3, 4, 5."] * 2


async def test_the_stream_helper_asynchronously(async_client: openai.AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(model=MODEL, messages=[user("Count to 5")]) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "1, 2, 3, 4, 5."


def test_headers_come_with_the_raw_response(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[user("Hello!")], max_tokens=20, user="me"
    )
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.headers["openai-processing-ms"].isdigit()
    assert raw.headers["x-penstock-translation"] == "user=dropped"
    content = raw.parse().choices[0].message.content
    assert content is not None
    assert content.startswith("Hello")


def test_two_answers_are_counted_with_one_prompt(client: openai.OpenAI) -> None:
    one = client.chat.completions.create(model=MODEL, messages=[user("Count to 5")]).usage
    two = client.chat.completions.create(model=MODEL, messages=[user("Count to 5")], n=2)
    assert [choice.index for choice in two.choices] == [0, 1]
    assert one is not None
    assert two.usage is not None
    assert two.usage.prompt_tokens == one.prompt_tokens
    assert two.usage.completion_tokens == 2 * one.completion_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer(client: openai.OpenAI, *, stream: bool) -> None:
    arguments = {"model": MODEL, "messages": [user("Count to 9")], "stop": [", 4", "nothing"]}
    if stream:
        chunks = client.chat.completions.create(**arguments, stream=True)  # type: ignore[call-overload]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        text = client.chat.completions.create(**arguments).choices[0].message.content  # type: ignore[call-overload]
    assert text == "1, 2, 3"


def test_max_tokens_cut_the_answer(client: openai.OpenAI) -> None:
    question = [user("Tell me about dams")]
    new = client.chat.completions.create(model=MODEL, messages=question, max_completion_tokens=5)
    old = client.chat.completions.create(model=MODEL, messages=question, max_tokens=5)
    streamed = list(client.chat.completions.create(model=MODEL, messages=question, max_tokens=5, stream=True))
    assert new.choices[0].finish_reason == old.choices[0].finish_reason == "length"
    assert streamed[-1].choices[0].finish_reason == "length"
    assert new.choices[0].message == old.choices[0].message
    assert new.usage is not None
    assert new.usage.completion_tokens == 5


def test_extra_body_fields_reach_the_model(client: openai.OpenAI) -> None:
    fields = {"top_k": 5, "repetition_penalty": 1.5, "lora": "my-adapter", "image": list(PIXEL)}
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[user("Count to 5")], max_tokens=50, extra_body=fields
    )
    assert "x-penstock-translation" not in raw.headers  # all of them kept
    body = {"model": MODEL, "messages": [user("Count to 5")], "max_tokens": 50, **fields}
    explained: Any = client.post("/translate", cast_to=object, body=body)
    assert fields.items() <= explained["calls"][0]["body"].items()


def test_an_image_part_is_refused_where_the_model_has_no_eyes(client: openai.OpenAI) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}],
        )
    assert raised.value.param == "messages[0].content[0]"


def test_completions(client: openai.OpenAI) -> None:
    whole = client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=30, extra_body={"raw": True}
    )
    chunks = client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=30, extra_body={"raw": True}, stream=True
    )
    assert whole.object == "text_completion"
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    several = client.completions.create(model=MODEL, prompt=["Count to 3", "Count to 4"], echo=True, n=2)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    assert several.choices[3].text.startswith("Count to 4")


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"small", "exact", MODEL} <= set(names)
    for name in ("small", MODEL):
        assert client.models.retrieve(name).id == name
    assert client.models.retrieve(MODEL).owned_by == "meta"


async def test_twenty_streams_at_once_do_not_mix(async_client: openai.AsyncOpenAI) -> None:
    async def count(number: int) -> str:
        stream = await async_client.chat.completions.create(
            model=MODEL, messages=[user(f"Count to {number}")], stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    said = await asyncio.gather(*(count(number) for number in range(5, 25)))
    assert said == [", ".join(map(str, range(1, number + 1))) + "." for number in range(5, 25)]


def test_the_client_may_leave_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model=MODEL, messages=[user("Count to 500")], stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.role == "assistant"
    assert client.chat.completions.create(model=MODEL, messages=[user("Count to 3")]).choices
