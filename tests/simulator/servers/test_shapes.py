"""The products' answers, whole and streamed: each in the form that its sources state."""

import json
from itertools import count
from typing import Any

import openai
import pytest

from gateway.simulator import PRODUCTS, create_server
from tests.simulator.servers.asking import (
    WEATHER,
    Json,
    chat,
    client,
    deltas,
    finishes,
    fragments,
    serving,
    streamed,
    text_of,
)

USAGE = {"stream_options": {"include_usage": True}}
EVERY_ROLE = {"tgi", "lmdeploy"}


@pytest.fixture(params=PRODUCTS)
def product(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def called(product: str, **fields: Any) -> list[Json]:
    return await streamed(product, "Weather in Paris?", tools=[WEATHER], **fields)


async def test_streamed_and_whole_answers_say_the_same(product: str) -> None:
    whole = (await chat(product, "count to 12")).json()
    chunks = await streamed(product, "count to 12", **USAGE)
    assert (
        whole["choices"][0]["message"]["content"]
        == text_of(chunks)
        == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12."
    )
    assert whole["choices"][0]["finish_reason"] == finishes(chunks)[0] == "stop"
    assert chunks[-1]["choices"] == []
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert [chunks[-1]["usage"][name] for name in counts] == [whole["usage"][name] for name in counts]


async def test_calls_have_the_same_arguments_whole_and_streamed(product: str) -> None:
    whole = (await chat(product, "Weather in Paris?", tools=[WEATHER])).json()
    [call] = whole["choices"][0]["message"]["tool_calls"]
    stated = call["function"]["arguments"]
    assert (json.loads(stated) if isinstance(stated, str) else stated) == {"city": "Paris"}
    pieces = fragments(await called(product))
    assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)) == {"city": "Paris"}


async def test_an_answer_that_is_too_long_ends_with_length(product: str) -> None:
    chunks = await streamed(product, "count to 100", max_tokens=5)
    assert finishes(chunks) == ["length"]


async def test_the_role_stands_in_the_first_delta_or_in_every_one(product: str) -> None:
    roles = [delta.get("role") for delta in deltas(await streamed(product, "count to 5"))]
    later = "assistant" if product in EVERY_ROLE else None
    assert roles == ["assistant", *[later] * (len(roles) - 1)]


@pytest.mark.parametrize(
    ("product", "first"),
    [
        ("vllm", {"role": "assistant", "content": ""}),
        ("sglang", {"reasoning_content": None, "role": "assistant", "content": ""}),
        ("llama_cpp", {"role": "assistant", "content": None}),
        ("ollama", {"role": "assistant", "content": "1"}),
        ("tgi", {"role": "assistant", "content": "1"}),
        ("openai", {"role": "assistant", "content": "", "refusal": None}),
    ],
)
async def test_the_first_delta(product: str, first: Json) -> None:
    assert deltas(await streamed(product, "count to 5"))[0] == first


async def test_sglang_says_reasoning_content_null_in_every_delta() -> None:
    assert all("reasoning_content" in delta for delta in deltas(await streamed("sglang", "count to 5")))


async def test_only_some_make_the_time_anew_for_each_chunk(product: str) -> None:
    ticks = count(1_800_000_000)
    chunks = await streamed(create_server(product, clock=lambda: next(ticks)), "count to 5")
    times = [chunk["created"] for chunk in chunks]
    assert len(set(times)) == (len(times) if product in {"llama_cpp", "tgi"} else 1)


async def test_ids_are_constant_and_those_of_tgi_empty(product: str) -> None:
    [found] = {chunk["id"] for chunk in await streamed(product, "count to 5", **USAGE)}
    assert (found == "") == (product == "tgi")
    assert product != "ollama" or found.removeprefix("chatcmpl-").isdigit()


async def test_usage_is_null_on_other_chunks_only_where_the_product_says_so(product: str) -> None:
    *chunks, last = await streamed(product, **USAGE)
    says_null = product in {"openai", "generic", "lmdeploy"}
    assert all(("usage" in chunk) == says_null for chunk in chunks)
    assert ("timings" in last) == (product == "llama_cpp")
    assert all("usage" not in chunk for chunk in await streamed(product))


@pytest.mark.parametrize("product", ["vllm", "sglang", "tensorrt_llm"])
async def test_usage_so_far_on_every_chunk_where_asked_for(product: str) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    counts = [
        chunk["usage"]["completion_tokens"]
        for chunk in await streamed(product, "count to 5", stream_options=options)
    ]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert len(set(counts)) > 5


async def test_tensorrt_llm_tells_usage_unless_told_not_to() -> None:
    assert (await streamed("tensorrt_llm", stream_options={"continuous_usage_stats": False}))[-1][
        "choices"
    ] == []
    assert (await streamed("tensorrt_llm", stream_options={"include_usage": False}))[-1]["choices"]


async def test_later_pieces_of_a_call_leave_out_its_name() -> None:
    for product in ("vllm", "llama_cpp", "openai"):
        first, *later = fragments(await called(product))
        assert (first["function"], first["type"]) == ({"name": "get_weather", "arguments": ""}, "function")
        assert later
        assert all(set(each) == {"index", "function"} for each in later)
        assert all(set(each["function"]) == {"arguments"} for each in later)


async def test_later_pieces_of_sglang_have_nulls() -> None:
    _, *later = fragments(await called("sglang"))
    assert {(each["id"], each["function"]["name"], each["type"]) for each in later} == {
        (None, None, "function")
    }


@pytest.mark.parametrize("product", ["lmdeploy", "tensorrt_llm"])
async def test_later_pieces_have_their_default_type(product: str) -> None:
    _, *later = fragments(await called(product))
    assert all(each["type"] == "function" and "id" not in each for each in later)


async def test_ollama_sends_a_call_whole() -> None:
    [call] = fragments(await called("ollama"))
    assert (call["index"], call["function"]["arguments"]) == (0, '{"city": "Paris"}')


async def test_tgi_repeats_id_and_type_and_gives_the_arguments_as_an_object() -> None:
    pieces = fragments(await called("tgi"))
    assert {(each["index"], each["id"], each["type"]) for each in pieces} == {(0, "0", "function")}
    message = (await chat("tgi", "Weather in Paris?", tools=[WEATHER])).json()["choices"][0]["message"]
    assert "content" not in message
    assert message["tool_calls"][0]["function"]["arguments"] == {"city": "Paris"}


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("auto", "tool_calls"),
        ("required", "tool_calls"),
        ({"type": "function", "function": {"name": "get_weather"}}, "stop"),
    ],
)
async def test_vllm_ends_a_named_call_with_stop(choice: Any, reason: str) -> None:
    assert finishes(await called("vllm", tool_choice=choice)) == [reason]


async def test_one_call_alone_is_made_where_the_product_obeys(product: str) -> None:
    fields = {"tools": [WEATHER], "parallel_tool_calls": False}
    if product == "tensorrt_llm":
        del fields["parallel_tool_calls"]
    chunks = await streamed(product, "Weather in Paris and in Rome?", **fields)
    calls = {piece["index"] for piece in fragments(chunks)}
    obeys = product in {"vllm", "sglang", "llama_cpp", "openai", "generic", "tgi"}
    assert len(calls) == (1 if obeys else 2)


async def test_llama_cpp_takes_an_object_for_auto_and_ollama_takes_no_choice_at_all() -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    for product, choice in (("llama_cpp", named), ("ollama", named), ("ollama", "required")):
        chunks = await streamed(product, "Good morning", tools=[WEATHER], tool_choice=choice)
        assert not fragments(chunks)
    assert fragments(await streamed("llama_cpp", "Good morning", tools=[WEATHER], tool_choice="required"))


async def test_ollama_knows_neither_n_nor_max_completion_tokens() -> None:
    choices = (await chat("ollama", "count to 30", n=3, max_completion_tokens=2)).json()["choices"]
    assert [choice["finish_reason"] for choice in choices] == ["stop"]
    assert len((await chat("vllm", "count to 30", n=3, max_completion_tokens=2)).json()["choices"]) == 3


@pytest.mark.parametrize(
    ("product", "field"),
    [
        ("vllm", "reasoning"),
        ("ollama", "reasoning"),
        ("sglang", "reasoning_content"),
        ("llama_cpp", "reasoning_content"),
        ("lmdeploy", "reasoning_content"),
        ("tgi", None),
    ],
)
async def test_thoughts_stand_in_the_field_of_the_product(product: str, field: str | None) -> None:
    said = deltas(await streamed(product, reasoning_effort="low"))
    found = {name for delta in said for name in ("reasoning", "reasoning_content") if delta.get(name)}
    assert found == ({field} if field else set())
    message = (await chat(product, reasoning_effort="low")).json()["choices"][0]["message"]
    assert bool(field and message[field]) == bool(field)


async def test_sglang_counts_thoughts_apart_and_a_template_is_told_to_think() -> None:
    fields = {"chat_template_kwargs": {"enable_thinking": True}}
    usage = (await chat("sglang", **fields)).json()["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": usage["reasoning_tokens"]}
    assert usage["reasoning_tokens"] > 0
    assert (await chat("sglang")).json()["usage"]["reasoning_tokens"] == 0


async def test_tgi_takes_a_schema_in_a_form_of_its_own() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    answer = await chat("tgi", "Weather in Paris", response_format={"type": "json", "value": schema})
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"city": "Paris"}


async def test_a_prompt_is_completed_whole_and_streamed(product: str) -> None:
    asked = {"model": "simulated", "prompt": "count to 3"}
    async with client(product) as asking:
        whole = (await asking.post("/v1/completions", json=asked)).json()
        text = (await asking.post("/v1/completions", json=asked | {"stream": True})).text
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", "1, 2, 3.")
    chunks = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "1, 2, 3."
    assert text.endswith("data: [DONE]\n\n")


async def test_several_prompts_have_a_choice_each() -> None:
    asked = {
        "model": "simulated",
        "prompt": ["count to 2", "count to 3", [7, 8]],
        "echo": True,
        "max_tokens": 40,
    }
    async with client("vllm") as asking:
        choices = (await asking.post("/v1/completions", json=asked)).json()["choices"]
    assert [choice["text"] for choice in choices[:2]] == ["count to 21, 2.", "count to 31, 2, 3."]
    assert "token 7 token 8" in choices[2]["text"]


@pytest.mark.parametrize(
    "product", ["vllm", "sglang", "llama_cpp", "ollama", "lmdeploy", "tensorrt_llm", "openai"]
)
async def test_the_openai_client_reads_text_and_calls(product: str) -> None:
    async with serving(create_server(product, api_key="key")) as asking:
        tools: Any = [WEATHER]
        sdk = openai.AsyncOpenAI(base_url=f"{asking.base_url}/v1", api_key="key", max_retries=0)
        async with sdk:
            said = await sdk.chat.completions.create(
                model="simulated", messages=[{"role": "user", "content": "Say hello there"}]
            )
            assert said.choices[0].message.content == "hello there"
            listed = await sdk.models.list()
            assert [model.id for model in listed.data] == ["simulated"]
            stream = await sdk.chat.completions.create(
                model="simulated",
                messages=[{"role": "user", "content": "Weather in Paris?"}],
                tools=tools,
                stream=True,
            )
            pieces = [
                piece.function.arguments or ""
                async for chunk in stream
                for choice in chunk.choices
                for piece in choice.delta.tool_calls or []
                if piece.function
            ]
    assert json.loads("".join(pieces)) == {"city": "Paris"}
