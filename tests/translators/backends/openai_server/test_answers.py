"""Answers and errors of servers become deltas and common errors, however they are put."""

import json
from typing import Any

import pytest

from tests.translators.backends.openai_server.asking import read, written
from translators.deltas import Arguments, Call, Failed, Finish, Reasoning, Text, Usage
from translators.errors import ApiError

WHOLE: Any = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1},
}


def failure(*pieces: bytes, status: int = 200) -> ApiError:
    last = read(written(), *pieces, status=status)[-1]
    assert isinstance(last, Failed)
    return last.error


def event(**payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def test_a_whole_answer() -> None:
    assert read(written(), json.dumps(WHOLE).encode()) == [Text(0, "Hi"), Finish(0, "stop"), Usage(5, 1)]


def test_a_stream_with_heartbeats_nulls_and_a_usage_chunk() -> None:
    pieces = [
        b": keep-alive\n\n",
        chunk(role="assistant", content="", reasoning_content=None),
        chunk(reasoning="Hm"),
        chunk(content="Hi", reasoning_content=None),
        b":\n\n",
        chunk("stop"),
        event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2}),
        b"data: [DONE]\n\n",
    ]
    assert read(written(), *pieces) == [Reasoning(0, "Hm"), Text(0, "Hi"), Finish(0, "stop"), Usage(5, 2)]


def test_calls_with_objects_for_arguments_and_an_index_that_is_always_0() -> None:
    calls = [
        {"index": 0, "id": str(n), "type": "function", "function": {"name": name, "arguments": {"a": n}}}
        for n, name in enumerate("fg")
    ]
    deltas = read(
        written(), *(chunk(tool_calls=[call]) for call in calls), chunk("tool_calls"), b"data: [DONE]\n\n"
    )
    assert [(each.index, each.name) for each in deltas if isinstance(each, Call)] == [(0, "f"), (1, "g")]
    assert [each.text for each in deltas if isinstance(each, Arguments)] == ['{"a":0}', '{"a":1}']


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_was_given_up_is_a_failure(reason: str) -> None:
    assert failure(chunk(content="Hi"), chunk(reason), b"data: [DONE]\n\n").code == "bad_backend_answer"


def test_a_stream_that_just_ends_is_a_failure() -> None:
    assert failure(chunk(content="Hi")).status == 502


def test_an_error_in_a_stream_is_one_whatever_the_form() -> None:
    nested = {"error": {"object": "error", "message": "boom", "code": 500}}
    assert failure(chunk(content="Hi"), event(**nested)).code == "upstream_error"


def test_what_is_no_answer_says_so() -> None:
    error = failure(b"<html>")
    assert error.code == "bad_backend_answer"
    assert error.message.startswith("The server sent an answer in a form")
