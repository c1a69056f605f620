"""Log probabilities as the completions endpoint has them."""

from typing import Any

import msgspec
import pytest

from tests.laws.exchange import STAMP, translated
from tests.translators.backends.openai_server.asking import read, written
from translators.clients.completion_logprobs import completion_logprobs
from translators.clients.openai_completions import CompletionWriter
from translators.clients.openai_completions import read as read_request
from translators.deltas import Delta, Finish, Text, fold

GLM = "@cf/zai-org/glm-4.7-flash"
CHAT = {
    "content": [
        {"token": "Hi", "logprob": -0.1, "bytes": [72], "top_logprobs": [{"token": "Ho", "logprob": -2}]},
        {"token": " you", "logprob": -0.2},
    ],
    "refusal": None,
}
COMPLETION = {
    "tokens": ["Hi", " you"],
    "token_logprobs": [-0.1, -0.2],
    "top_logprobs": [{"Ho": -2.0}, {}],
    "text_offset": [0, 2],
}


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


@pytest.mark.parametrize("form", [CHAT, COMPLETION])
def test_both_forms_become_the_completions(form: Any) -> None:
    assert completion_logprobs([_raw(form)], 0) == (COMPLETION, 6)
    twice, end = completion_logprobs([_raw(form), _raw(form)], 3)
    assert twice is not None
    assert (twice["text_offset"], end) == ([3, 5, 9, 11], 15)
    assert len(twice["tokens"]) == len(twice["token_logprobs"]) == len(twice["top_logprobs"]) == 4


def test_alternatives_may_be_missing() -> None:
    scores, _ = completion_logprobs([_raw({"tokens": ["a"], "token_logprobs": [None]})], 0)
    assert scores == {"tokens": ["a"], "token_logprobs": [None], "top_logprobs": [{}], "text_offset": [0]}


@pytest.mark.parametrize(
    "value", ["x", {}, {"content": None}, {"content": [{"token": 1}]}, {"tokens": [1]}, []]
)
def test_what_is_in_no_known_form_says_nothing(value: Any) -> None:
    assert completion_logprobs([_raw(value)], 7) == (None, 7)


def _writer(**fields: Any) -> CompletionWriter:
    body = {"model": "m", "prompt": "p", "logprobs": 1, **fields}
    return CompletionWriter(read_request(msgspec.json.encode(body)), STAMP)


DELTAS: list[Delta] = [
    Text(0, "Hi you", _raw(CHAT)),
    Text(0, "!"),
    Text(0, "Hi you", _raw(CHAT)),
    Finish(0, "stop"),
]


def test_a_stream_counts_on_from_piece_to_piece_and_from_the_echo() -> None:
    chunks = [
        msgspec.json.decode(line[6:]) for line in _writer(echo=True).stream(DELTAS).split(b"\n\n") if line
    ]
    scores = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert [each and each["text_offset"] for each in scores] == [[1, 3], None, [7, 9], None]


def test_a_whole_answer_has_all_of_them() -> None:
    (choice,) = msgspec.json.decode(_writer().whole(fold(DELTAS)))["choices"]
    assert choice["logprobs"]["tokens"] == ["Hi", " you"] * 2


def test_those_of_a_server_and_of_a_model_that_only_chats_reach_the_client() -> None:
    choice = {"index": 0, "text": "Hi you", "logprobs": COMPLETION, "finish_reason": "stop"}
    exchange = written("vllm", prompt="p", logprobs=1)
    assert exchange.body["logprobs"] == 1
    deltas = read(exchange, msgspec.json.encode({"object": "text_completion", "choices": [choice]}))
    assert msgspec.json.decode(_writer().whole(fold(deltas)))["choices"][0]["logprobs"] == COMPLETION
    (call,) = translated({"model": "m", "prompt": "p", "logprobs": 1}, GLM).dialogue.first()
    reader = call.reader()
    reader.start(200, {})
    message = {"index": 0, "message": {"content": "Hi you"}, "logprobs": CHAT, "finish_reason": "stop"}
    deltas = [*reader.feed(msgspec.json.encode({"result": {"choices": [message]}})), *reader.close()]
    assert msgspec.json.decode(_writer().whole(fold(deltas)))["choices"][0]["logprobs"] == COMPLETION
