"""The answer in OpenAI's form. The stream's rules are held in tests/laws; here is what they leave open."""

from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from translators.call import Stamp
from translators.clients.openai_chat.read import read
from translators.clients.openai_chat.write import ChatWriter
from translators.deltas import (
    Arguments,
    Call,
    Delta,
    Failed,
    Finish,
    Reasoning,
    Refusal,
    Text,
    Usage,
    fold,
)
from translators.errors import bad_answer

STAMP = Stamp(1, "0123456789abcdefghijklmn")
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALLED: list[Delta] = [Call(0, 0, "c", "f"), Arguments(0, 0, "{}"), Finish(0, "tool_calls")]


def _writer(**fields: Any) -> ChatWriter:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return ChatWriter(read(msgspec.json.encode(body)), STAMP)


def _chunks(writer: ChatWriter, deltas: list[Delta]) -> list[Any]:
    return [msgspec.json.decode(each[6:]) for each in writer.stream(deltas).split(b"\n\n") if each]


def _whole(writer: ChatWriter, deltas: list[Delta]) -> Any:
    return msgspec.json.decode(writer.whole(fold(deltas)))


def _choice(writer: ChatWriter, deltas: list[Delta]) -> Any:
    return _whole(writer, deltas)["choices"][0]


def test_usage_has_details_only_where_they_are_known() -> None:
    plain = _whole(_writer(), [Finish(0, "stop"), Usage(3, 4)])
    assert plain["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    detailed = _whole(_writer(), [Finish(0, "stop"), Usage(3, 4, cached=2, reasoning=1)])
    assert detailed["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}
    assert detailed["usage"]["completion_tokens_details"] == {"reasoning_tokens": 1}
    assert "usage" not in _whole(_writer(), [Finish(0, "stop")])


def test_a_refusal_stands_in_place_of_content() -> None:
    deltas: list[Delta] = [Refusal(0, "no"), Finish(0, "stop")]
    message = _choice(_writer(), deltas)["message"]
    assert (message["content"], message["refusal"]) == (None, "no")
    first, second, _ = _chunks(_writer(stream=True), deltas)
    assert first["choices"][0]["delta"]["content"] is None
    assert second["choices"][0]["delta"] == {"refusal": "no"}


def test_thinking_is_a_field_of_its_own() -> None:
    message = _choice(_writer(), [Reasoning(0, "hm"), Text(0, "a"), Finish(0, "stop")])["message"]
    assert (message["reasoning_content"], message["content"]) == ("hm", "a")


def test_log_probabilities_of_a_token_stay_with_it() -> None:
    logprobs = msgspec.Raw(b'{"content":[],"refusal":null}')
    _, chunk = _chunks(_writer(stream=True), [Text(0, "a", logprobs)])
    assert chunk["choices"][0]["logprobs"] == {"content": [], "refusal": None}


def test_a_call_of_a_named_tool_ends_with_stop_as_openais_does() -> None:
    named = {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}}
    assert _choice(_writer(tools=TOOLS), CALLED)["finish_reason"] == "tool_calls"
    assert _choice(_writer(**named), CALLED)["finish_reason"] == "stop"


def test_a_client_of_functions_gets_a_function_call() -> None:
    functions = {"functions": [{"name": "f"}]}
    choice = _choice(_writer(**functions), CALLED)
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"
    deltas = [chunk["choices"][0]["delta"] for chunk in _chunks(_writer(**functions), CALLED)]
    assert deltas[1:] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]


def test_a_custom_call_has_input() -> None:
    deltas: list[Delta] = [Call(0, 0, "c", "p", "custom"), Arguments(0, 0, "1+1"), Finish(0, "tool_calls")]
    (call,) = _choice(_writer(), deltas)["message"]["tool_calls"]
    assert call == {"id": "c", "type": "custom", "custom": {"name": "p", "input": "1+1"}}
    fragment = _chunks(_writer(stream=True), deltas)[2]["choices"][0]["delta"]["tool_calls"][0]
    assert fragment == {"index": 0, "custom": {"input": "1+1"}}


def test_text_that_json_must_escape_survives_the_prebuilt_frame() -> None:
    text = '"\\\n\u2028é\x00😀'
    _, chunk = _chunks(_writer(stream=True), [Text(0, text)])
    assert chunk["choices"][0]["delta"]["content"] == text


def test_a_stream_is_the_same_in_however_many_pieces_it_is_written() -> None:
    deltas: list[Delta] = [Text(0, "a"), Text(0, "b"), Finish(0, "stop")]
    in_pieces, at_once = _writer(stream=True), _writer(stream=True)
    assert b"".join(in_pieces.stream([each]) for each in deltas) == at_once.stream(deltas)


def test_a_broken_stream_ends_with_its_error_and_nothing_behind() -> None:
    writer = _writer(stream=True)
    raw = writer.stream([Text(0, "a"), Failed(bad_answer("broken"))])
    assert raw.endswith(b'"code":"bad_backend_answer"}}\n\n')
    assert writer.end() == b""


def test_a_whole_answer_has_the_log_probabilities_of_all_its_pieces() -> None:
    tokens = [{"token": each, "logprob": -0.5, "bytes": [97], "top_logprobs": []} for each in "ab"]
    pieces = [msgspec.Raw(msgspec.json.encode({"content": [token]})) for token in tokens]
    odd = msgspec.Raw(b"5")
    deltas: list[Delta] = [
        Text(0, "a", pieces[0]),
        Text(0, "b", pieces[1]),
        Text(0, "c", odd),
        Finish(0, "stop"),
    ]
    (choice,) = _whole(_writer(), deltas)["choices"]
    assert choice["logprobs"] == {"content": tokens, "refusal": None}
    (choice,) = _whole(_writer(), [Text(0, "a"), Finish(0, "stop")])["choices"]
    assert choice["logprobs"] is None


# As servers send them for `logprobs: true` without `top_logprobs`.
SPARSE = {
    "ollama": {"content": [{"token": "a", "logprob": -0.5}]},
    "tgi": {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]},
    "vllm": {"content": [{"token": "a", "bytes": [97]}]},
}


@pytest.mark.parametrize("logprobs", SPARSE.values(), ids=SPARSE)
def test_log_probabilities_have_all_that_strict_clients_want(logprobs: Any) -> None:
    deltas: list[Delta] = [Text(0, "a", msgspec.Raw(msgspec.json.encode(logprobs))), Finish(0, "stop")]
    answer = ChatCompletion.model_validate(_whole(_writer(), deltas), strict=True)
    chunks = [ChatCompletionChunk.model_validate(each, strict=True) for each in _chunks(_writer(), deltas)]
    for choice in (answer.choices[0], chunks[1].choices[0]):
        assert choice.logprobs is not None
        assert choice.logprobs.to_dict().keys() == {"content", "refusal"}
        assert choice.logprobs.content is not None
        assert [each.top_logprobs for each in choice.logprobs.content] == [[]]


@pytest.mark.parametrize("odd", [b"5", b"[]", b'{"tokens":["a"],"token_logprobs":[-1]}', b'{"content":[{}]}'])
def test_log_probabilities_in_another_form_are_none_streamed_as_well_as_whole(odd: bytes) -> None:
    deltas: list[Delta] = [Text(0, "a", msgspec.Raw(odd)), Finish(0, "stop")]
    assert _choice(_writer(), deltas)["logprobs"] is None
    assert [each["choices"][0]["logprobs"] for each in _chunks(_writer(), deltas)] == [None] * 3
