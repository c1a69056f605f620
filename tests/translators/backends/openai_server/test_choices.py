"""Several answers to one question: all from one call where the product gives them, else a call for each."""

import json
from typing import Any

import pytest

from tests.translators.backends.openai_server.asking import read, written
from translators.backends.openai_server.servers import SERVERS
from translators.deltas import Failed, Finish, Reasoning, Text, Usage

TOGETHER = sorted(name for name, row in SERVERS.items() if row.chooses)
USAGE = {"prompt_tokens": 9, "completion_tokens": 6}


def _event(**payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _says(number: int, text: str, reason: str | None = None) -> bytes:
    return _event(choices=[{"index": number, "delta": {"content": text}, "finish_reason": reason}])


def test_products_that_give_several_are_known() -> None:
    assert TOGETHER == ["openai", "sglang", "vllm"]


@pytest.mark.parametrize("product", TOGETHER)
def test_the_prompt_is_sent_once_and_the_fate_is_kept(product: str) -> None:
    exchange = written(product, n=3, max_tokens=10)
    assert exchange.body["n"] == 3
    assert exchange.fates["n"] == ("kept", "")
    (call,) = exchange.dialogue.first()
    assert call.most_tokens == 30


@pytest.mark.parametrize("product", sorted(SERVERS.keys() - {*TOGETHER}))
def test_others_are_asked_once_for_each(product: str) -> None:
    exchange = written(product, n=3)
    assert len(exchange.bodies) == 3
    assert not any("n" in body for body in exchange.bodies)
    assert exchange.fates["n"][0] == "emulated"


@pytest.mark.parametrize(
    ("fields", "served"),
    [
        ({"seed": 4}, {}),
        ({"temperature": 0}, {}),
        ({"response_format": {"type": "json_object"}}, {"can": frozenset()}),
    ],
    ids=["a seed", "no chance", "judged"],
)
def test_what_each_has_of_its_own_is_asked_for_one_by_one(fields: Any, served: Any) -> None:
    exchange = written("vllm", n=2, served=served, **fields)
    assert len(exchange.bodies) == 2
    assert not any("n" in body for body in exchange.bodies)
    assert exchange.fates["n"][0] == "emulated"


def test_a_stream_of_several_is_filtered_each_by_itself_and_begins_in_order() -> None:
    exchange = written("vllm", n=2, stream=True, stop=["END"])
    pieces = [
        _says(1, "<think>hm"),
        _says(0, "one EN"),
        _says(1, "</think>two"),
        _says(0, "D more", "stop"),
        _says(1, "", "length"),
        _event(choices=[], usage=USAGE),
        b"data: [DONE]\n\n",
    ]
    deltas = exchange.dialogue.take(0, read(exchange, *pieces))
    assert [each for each in deltas if getattr(each, "choice", None) == 0] == [
        Text(0, "one "), Finish(0, "stop"),
    ]  # fmt: skip
    assert [each for each in deltas if getattr(each, "choice", None) == 1] == [
        Reasoning(1, "hm"), Text(1, "two"), Finish(1, "length"),
    ]  # fmt: skip
    assert deltas[-1] == Usage(9, 6)
    assert getattr(deltas[0], "choice", None) == 0


def test_several_prompts_with_several_answers_each_are_a_call_for_each_prompt() -> None:
    exchange = written("vllm", n=2, prompt=["a", "b"], max_tokens=5)
    assert [body["n"] for body in exchange.bodies] == [2, 2]
    answer = [Text(0, "x"), Text(1, "y"), Finish(0, "stop"), Finish(1, "stop"), Usage(3, 2)]
    deltas = [*exchange.dialogue.take(0, answer), *exchange.dialogue.take(1, answer)]
    said = {each.choice: each.text for each in deltas if isinstance(each, Text)}
    assert said == {0: "x", 1: "y", 2: "x", 3: "y"}
    assert deltas[-1] == Usage(6, 4)


def test_a_choice_that_says_no_number_has_its_place_and_one_too_many_is_none() -> None:
    exchange = written("vllm", n=2)
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in "abc"]
    deltas = read(exchange, json.dumps({"choices": choices, "usage": USAGE}).encode())
    assert [each for each in deltas if isinstance(each, Text)] == [Text(0, "a"), Text(1, "b")]
    alone = read(written("vllm"), json.dumps({"choices": [choices[0]], "usage": USAGE}).encode())
    assert alone[0] == Text(0, "a")


@pytest.mark.parametrize("whole", [True, False])
def test_fewer_answers_than_were_asked_for_are_a_failure(*, whole: bool) -> None:
    exchange = written("vllm", n=2, stream=not whole)
    only = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    pieces = (
        [json.dumps({"choices": [only], "usage": USAGE}).encode()]
        if whole
        else [_says(0, "a", "stop"), _event(choices=[], usage=USAGE), b"data: [DONE]\n\n"]
    )
    failed = read(exchange, *pieces)[-1]
    assert isinstance(failed, Failed)
    assert failed.error.status == 502


def test_a_stream_that_ends_before_all_have_ended_broke() -> None:
    exchange = written("vllm", n=2, stream=True)
    assert isinstance(read(exchange, _says(0, "a", "stop"), _says(1, "b"))[-1], Failed)
