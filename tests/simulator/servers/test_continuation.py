"""A server that is given the beginning of an answer goes on where it ends, where the product does that."""

from typing import Any

import pytest

from gateway.simulator import create_server
from tests.simulator.servers.asking import Json, chat, streamed, text_of

FLAGS: dict[str, Json] = {
    "vllm": {"continue_final_message": True, "add_generation_prompt": False},
    "sglang": {"continue_final_message": True},
    "llama_cpp": {},
}
QUESTIONS = (
    "count to 9",
    "Räksmörgås 日本語 \U0001f600",
    "Why is the sky blue?",
    "say the word mill 7 times",
)


def begun(question: str, text: str) -> Json:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": text}]}


async def answered(product: str, question: str, **fields: Any) -> str:
    return text_of(await streamed(product, question, **fields))


@pytest.mark.parametrize("product", FLAGS)
@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_rest_of_the_answer_follows_from_any_cut(product: str, question: str) -> None:
    server = create_server(product)
    whole = text_of(await streamed(server, question))
    for cut in range(1, len(whole)):
        rest = text_of(await streamed(server, **FLAGS[product], **begun(question, whole[:cut])))
        assert whole[:cut] + rest == whole


async def test_one_product_goes_on_with_what_another_began() -> None:
    whole = await answered("vllm", "Why is the sky blue?", temperature=0.7)
    rest = await answered(
        "llama_cpp", "", temperature=0.2, max_tokens=500, **begun("Why is the sky blue?", whole[:30])
    )
    assert whole[:30] + rest == whole


async def test_both_parts_cost_what_the_whole_would_where_the_cut_is_between_tokens() -> None:
    chunks = await streamed("llama_cpp", "count to 40", max_tokens=10, stream_options={"include_usage": True})
    assert chunks[-1]["usage"]["completion_tokens"] == 10
    whole = (await chat("llama_cpp", "count to 40")).json()["usage"]["completion_tokens"]
    rest = (await chat("llama_cpp", **begun("count to 40", text_of(chunks)))).json()["usage"]
    assert rest["completion_tokens"] == whole - 10


async def test_a_beginning_that_is_the_whole_answer_is_followed_by_nothing() -> None:
    assert await answered("llama_cpp", "", **begun("count to 3", "1, 2, 3.")) == ""


async def test_a_beginning_that_nobody_said_is_followed_by_an_answer() -> None:
    assert await answered("llama_cpp", "", **begun("count to 3", "Well: ")) == "1, 2, 3."


@pytest.mark.parametrize("product", ["vllm", "sglang", "ollama", "tgi", "lmdeploy", "tensorrt_llm", "openai"])
async def test_without_being_told_the_assistants_message_is_a_turn_like_another(product: str) -> None:
    assert await answered(product, "", **begun("count to 3", "1, ")) == "1, 2, 3."


async def test_vllm_refuses_both_flags_at_once() -> None:
    answer = await chat("vllm", continue_final_message=True, **begun("count to 3", "1, "))
    assert answer.status_code == 400
    assert "continue_final_message" in answer.json()["error"]["message"]
