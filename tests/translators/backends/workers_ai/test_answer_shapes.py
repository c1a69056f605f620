"""The other shapes of an answer: OpenAI's, mixed with the legacy one, and gpt-oss's Responses."""

from typing import Any

import msgspec
import pytest

from translators.backends.workers_ai.response import Reader
from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Refusal, Text, Usage, fold

STAMP = Stamp(1, "0123456789abcdefghijklmn")


def _stream(*events: dict[str, Any], done: bool = True) -> list[Delta]:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(200, {"content-type": "text/event-stream"})
    data = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    return reader.feed(data + (b"data: [DONE]\n\n" if done else b"")) + reader.close()


def _whole(result: dict[str, Any]) -> list[Delta]:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(200, {"content-type": "application/json"})
    return reader.feed(msgspec.json.encode({"result": result, "success": True})) + reader.close()


def _chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


ZERO = {"prompt_tokens": 0, "completion_tokens": 0}
TRUE = {"prompt_tokens": 175, "completion_tokens": 17, "neurons": 3.15}


def test_a_stream_in_openais_shape_ends_with_the_usage_of_its_legacy_event() -> None:
    """As captured of glm-5.3-flash: zero usage beside the finish, the true one in the mixed last event."""
    deltas = _stream(
        _chunk({"content": "", "reasoning_content": None, "role": "assistant"}),
        _chunk({"content": None, "reasoning_content": "The user wants "}),
        _chunk(
            {
                "content": None,
                "tool_calls": [
                    {
                        "function": {"arguments": "", "name": "add"},
                        "id": "call_538",
                        "index": 0,
                        "type": "function",
                    }
                ],
            }
        ),
        _chunk(
            {
                "tool_calls": [
                    {
                        "function": {"arguments": '{"a": 2', "name": None},
                        "id": None,
                        "index": 0,
                        "type": "function",
                    }
                ]
            }
        ),
        _chunk(
            {
                "tool_calls": [
                    {
                        "function": {"arguments": ', "b": 3}', "name": None},
                        "id": None,
                        "index": 0,
                        "type": "function",
                    }
                ]
            }
        ),
        _chunk({"reasoning_content": None}, "tool_calls", usage=ZERO),
        {"response": "", "usage": TRUE},
    )
    assert isinstance(deltas[1], Call)
    assert deltas[0] == Reasoning(0, "The user wants ")
    assert deltas[2:] == [
        Arguments(0, 0, '{"a": 2'),
        Arguments(0, 0, ', "b": 3}'),
        Finish(0, "tool_calls"),
        Usage(175, 17, neurons=3.15),
    ]


def test_usage_on_every_chunk_is_not_summed_and_the_last_one_counts() -> None:
    deltas = _stream(
        _chunk({"content": "a"}, usage={"prompt_tokens": 13, "completion_tokens": 1}),
        _chunk({"content": "b"}, usage={"prompt_tokens": 13, "completion_tokens": 2}),
        _chunk({}, "stop", usage={"prompt_tokens": 13, "completion_tokens": 3}),
        {"choices": [], "usage": {"prompt_tokens": 13, "completion_tokens": 4}},
    )
    assert deltas == [Text(0, "a"), Text(0, "b"), Finish(0, "stop"), Usage(13, 4)]


def test_usage_on_a_chunk_is_no_end_of_the_stream() -> None:
    deltas = _stream(_chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1}), done=False)
    assert isinstance(deltas[-1], Failed)


def test_what_is_said_in_both_shapes_at_once_is_said_once() -> None:
    called = {"name": "f", "arguments": {}}
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deltas = _stream(
        _chunk({"reasoning_content": "hm"}, response=""),
        _chunk({"content": "a"}, response="a"),
        _chunk({"reasoning_content": None}, response="b"),
        _chunk({"tool_calls": [call]}, "tool_calls", tool_calls=[called]),
        {"response": "", "usage": TRUE},
    )
    assert [type(delta) for delta in deltas] == [Reasoning, Text, Text, Call, Arguments, Finish, Usage]
    assert deltas[1:3] == [Text(0, "a"), Text(0, "b")]
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    assert _whole({"choices": [choice], "response": "a"})[:2] == [Text(0, "a"), Finish(0, "stop")]


def test_usage_of_zeros_alone_is_counted_by_us_and_marked() -> None:
    deltas = _stream(_chunk({"content": "12345"}), _chunk({}, "stop", usage=ZERO))
    assert deltas[-1] == Usage(7, 2, estimated=True)


def test_a_whole_message_is_read_with_its_reasoning_refusal_and_calls() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": "A cow",
        "reasoning": "Okay",
        "refusal": "no",
        "tool_calls": [call, {**call, "id": "d"}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop", "stop_reason": None}
    deltas = _whole({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    completion = fold(deltas)
    assert [Reasoning(0, "Okay"), Text(0, "A cow"), Refusal(0, "no")] == deltas[:3]
    assert [each.index for each in completion.choices[0].calls] == [0, 1]
    assert completion.choices[0].reason == "tool_calls"
    assert completion.usage == Usage(1, 2)


def test_log_probabilities_stay_beside_their_text() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}]}
    (text, *_rest) = _whole({"choices": [{"message": {"content": "a"}, "logprobs": logprobs}]})
    assert text == Text(0, "a", msgspec.Raw(msgspec.json.encode(logprobs)))


def test_a_text_completion_is_read() -> None:
    deltas = _whole({"object": "text_completion", "choices": [{"text": "more", "finish_reason": "length"}]})
    assert deltas[:2] == [Text(0, "more"), Finish(0, "length")]


@pytest.mark.parametrize("choices", [[{"delta": 5}], [{}], [5, {}]])
def test_choices_without_words_are_an_empty_answer(choices: Any) -> None:
    assert _stream({"choices": choices})[0] == Finish(0, "stop")


@pytest.mark.parametrize(
    "event", [{"choices": None}, {"choices": []}, {"choices": "x"}, {"output": 5}, {"p": "a"}]
)
def test_an_answer_in_no_known_shape_is_no_empty_answer_but_an_error(event: dict[str, Any]) -> None:
    for deltas in (_stream(event, {"usage": TRUE}), _whole({**event, "usage": TRUE})):
        (failed,) = deltas
        assert isinstance(failed, Failed)


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_finish_that_says_error_is_an_error(reason: str) -> None:
    streamed = _stream({"response": "part"}, {"finish_reason": reason})
    assert streamed[0] == Text(0, "part")
    assert isinstance(streamed[-1], Failed)
    assert isinstance(_whole({"response": "part", "finish_reason": reason})[-1], Failed)


def test_an_answer_in_the_responses_shape_is_read() -> None:
    deltas = _whole(
        {
            "object": "response",
            "status": "completed",
            "output": [
                5,
                {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "Hi"}, 5]},
                {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
                {"type": "message", "content": "odd"},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
            ],
            "usage": {
                "input_tokens": 3,
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 1},
            },
        }
    )
    assert deltas[:3] == [Reasoning(0, "Hm"), Text(0, "Hi"), Refusal(0, "no")]
    assert isinstance(deltas[3], Call)
    assert deltas[4:] == [Arguments(0, 0, '{"a":1}'), Finish(0, "tool_calls"), Usage(3, 4, reasoning=1)]


@pytest.mark.parametrize(("status", "reason"), [("incomplete", "length"), ("completed", "stop")])
def test_the_status_of_the_responses_shape_is_the_reason(status: str, reason: str) -> None:
    deltas = _whole({"status": status, "output": []})
    assert deltas[0] == Finish(0, reason)  # type: ignore[arg-type]  # one of the reasons


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ({"a": 1}, '{"a":1}'),
        ([1, {"a": 2}], '[1,{"a":2}]'),
        (7, "7"),
    ],
)
def test_content_that_is_no_string_is_read_as_text(content: Any, text: str) -> None:
    whole = _whole({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})
    assert whole[0] == _stream(_chunk({"content": content}, "stop"))[0] == Text(0, text)


def test_a_list_of_events_ends_a_stream_as_its_last_one_does() -> None:
    ended = [{"response": "a"}, {"response": "", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}]
    *_, finish, usage = _stream({"streamed_data": ended}, done=False)
    assert (finish, usage) == (Finish(0, "stop"), Usage(5, 2))
    assert isinstance(_stream({"streamed_data": ended[::-1]}, done=False)[-1], Failed)


def test_what_comes_in_a_list_is_counted_once_where_nobody_reports() -> None:
    *_, apart = _stream({"response": "a" * 400})
    *_, listed = _stream({"streamed_data": [{"response": "a" * 400}]})
    assert listed == apart
