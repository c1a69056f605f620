"""The older completions endpoint."""

from typing import Any

import msgspec
import pytest
from openai.types import completion_create_params

from translators.call import Stamp
from translators.clients.openai_completions import PLAIN, STRUCTURAL, CompletionWriter, read
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Text, Usage, fold
from translators.errors import ApiError, bad_answer
from translators.report import Entry, Fate

STAMP = Stamp(1, "0123456789abcdefghijklmn")


def _body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": "m", "prompt": "p", **fields})


def _error(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(_body(**fields))
    assert caught.value.status == 400
    return caught.value


def test_every_parameter_of_openais_endpoint_has_a_place() -> None:
    params = completion_create_params.CompletionCreateParamsStreaming.__annotations__
    assert set(params) == {*PLAIN, *STRUCTURAL}


def test_a_plain_prompt_knows_openais_default_of_16_tokens() -> None:
    request = read(_body())
    assert (request.prompts, request.max_tokens, request.choices, request.stream) == (("p",), None, 1, False)
    assert request.usual_max_tokens == 16
    assert request.sent == {"prompt": "prompt"}


def test_a_null_says_nothing() -> None:
    request = read(_body(max_tokens=None, echo=None, stop=None, suffix=None, n=None))
    assert (request.max_tokens, request.echo, request.stop, request.choices) == (None, False, (), 1)
    assert request.settled["echo"] == Entry("echo", Fate.KEPT)


def test_several_prompts_are_several_questions() -> None:
    assert read(_body(prompt=["a", "b"])).prompts == ("a", "b")


@pytest.mark.parametrize("prompt", [[1, 2], [[1]], ["a", 1], []])
def test_token_ids_are_refused(prompt: list[Any]) -> None:
    assert _error(prompt=prompt).param == "prompt"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a"] * 65, "n": 2}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"logprobs": 6}, "logprobs"),
        ({"echo": "yes"}, "echo"),
        ({"stream_options": {}}, "stream_options"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_met_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert _error(**fields).param == param


def test_echo_is_the_gateways_work() -> None:
    assert read(_body(echo=True)).settled["echo"].fate is Fate.EMULATED
    assert read(_body(echo=False)).settled["echo"].fate is Fate.KEPT


def test_what_openai_has_no_name_for_goes_on_as_it_is() -> None:
    assert read(_body(raw=True, top_k=3)).extra == {"raw": True, "top_k": 3}


def _writer(**fields: Any) -> CompletionWriter:
    return CompletionWriter(read(_body(**fields)), STAMP)


DELTAS: list[Delta] = [Text(0, "a"), Text(0, "b"), Finish(0, "length"), Usage(3, 2)]


def test_a_whole_answer_has_text_and_usage() -> None:
    answer = msgspec.json.decode(_writer().whole(fold(DELTAS)))
    assert answer["id"] == "cmpl-0123456789abcdefghijklmn"
    assert answer["choices"] == [{"text": "ab", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert answer["usage"]["total_tokens"] == 5
    assert "usage" not in msgspec.json.decode(_writer().whole(fold(DELTAS[:-1])))


def test_an_echo_puts_each_prompt_first_once() -> None:
    fields = {"prompt": ["p", "q"], "echo": True}
    deltas: list[Delta] = [Text(0, "a"), Text(0, "b"), Finish(0, "stop"), Finish(1, "stop")]
    answer = msgspec.json.decode(_writer(**fields).whole(fold(deltas)))
    assert [choice["text"] for choice in answer["choices"]] == ["pab", "q"]
    raw = _writer(**fields).stream(deltas)
    chunks = [msgspec.json.decode(line[6:]) for line in raw.split(b"\n\n") if line]
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["pa", "b", "", "q"]


def test_a_call_has_no_room_in_a_completion() -> None:
    writer = _writer(stream=True)
    assert writer.stream([Call(0, 0, "c", "f"), Arguments(0, 0, "{}")]) == b""
    assert b'"finish_reason":"stop"' in writer.stream([Finish(0, "tool_calls")])


def test_usage_comes_at_the_end_where_it_was_asked_for() -> None:
    asked = _writer(stream=True, stream_options={"include_usage": True})
    assert asked.stream(DELTAS).count(b'"usage":null') == 3
    assert b"usage" not in _writer(stream=True).stream(DELTAS)
    assert asked.end() == b"data: [DONE]\n\n"


def test_a_broken_stream_ends_with_its_error() -> None:
    writer = _writer(stream=True)
    assert writer.stream([Failed(bad_answer("broken"))]).startswith(b'data: {"error":')
    assert writer.end() == b""
