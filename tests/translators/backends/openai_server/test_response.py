"""Servers' answers, whole and streamed, with what is odd about each product."""

from typing import Any

import msgspec
import pytest

from tests.laws.exchange import STAMP
from translators.backends.openai_server.response import Reader
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Text, Usage
from translators.errors import ApiError, CredentialError

END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
FIRST_COUNTED: dict[str, Any] = {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}
COUNTED_SO_FAR: dict[str, Any] = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}
COUNTED: dict[str, Any] = {"choices": []} | COUNTED_SO_FAR


def _read(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> list[Delta]:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(status, headers or {})
    return [*reader.feed(body), *reader.close()]


def _chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _call(
    call_id: str | None, name: str | None, arguments: str, index: int = 0, **more: Any
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, **more, "function": function}]}


def _stream(*events: dict[str, Any] | bytes, done: bool = True) -> list[Delta]:
    lines = [
        each if isinstance(each, bytes) else b"data: " + msgspec.json.encode(each) + b"\n\n"
        for each in events
    ]
    return _read(b"".join(lines) + (b"data: [DONE]\n\n" if done else b""))


def _whole(message: dict[str, Any], reason: str | None = "stop") -> list[Delta]:
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return _read(msgspec.json.encode({"choices": [choice], "usage": COUNTED["usage"]}))


def _failure(deltas: list[Delta]) -> ApiError:
    last = deltas[-1]
    assert isinstance(last, Failed)
    assert not any(isinstance(delta, Finish) for delta in deltas)
    return last.error


HELLO = [Text(0, "a"), Text(0, "b"), Finish(0, "stop"), Usage(3, 2)]


A, B = _chunk(content="a"), _chunk(content="b")
_SHAPES: dict[str, list[Any]] = {
    "plain": [_chunk(role="assistant", content=""), A, B, END, COUNTED],
    "role every chunk": [
        _chunk(role="assistant", content="a"),
        _chunk(role="assistant", content="b"),
        END,
        COUNTED,
    ],
    "nulls": [
        _chunk(content="a", reasoning_content=None),
        _chunk(content="b", tool_calls=None),
        END,
        COUNTED,
    ],
    "usage every chunk": [
        A | {"usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        B | COUNTED_SO_FAR,
        END,
        COUNTED,
    ],
    "usage on the last": [A, B, END | COUNTED_SO_FAR],
    "usage null": [A | {"usage": None}, B, END, COUNTED],
    "heartbeats": [b": keep-alive\n\n", A, b":\n\n", B, END, COUNTED],
    "azure first": [{"choices": [], "prompt_filter_results": []}, A, B, END, COUNTED],
    "usage with null choices": [A, B, END, {"choices": None, "usage": COUNTED["usage"]}],
    "odd finish": [A, _chunk("load", content="b"), COUNTED],
    "ids and times": [{"id": "", "created": 1} | A, {"created": 2} | B, END, COUNTED],
    "null delta": [{"choices": [{"delta": None}]}, A, B, END, COUNTED],
}


@pytest.mark.parametrize("events", _SHAPES.values(), ids=_SHAPES.keys())
def test_a_stream_of_any_product_is_the_same_answer(events: list[Any]) -> None:
    assert _stream(*events) == HELLO


def test_a_stream_may_end_without_its_last_word() -> None:
    events = [_chunk(content="a"), _chunk(content="b"), END, COUNTED]
    assert _stream(*events, done=False) == HELLO


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thoughts_are_read_under_either_name(field: str) -> None:
    assert _stream(_chunk(**{field: "hm"}), END, COUNTED)[0] == Reasoning(0, "hm")
    assert _whole({"content": "a", field: "hm"})[0] == Reasoning(0, "hm")


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(_call(None, None, '{"a":', type="function"), id="nulls"),
        pytest.param(_call("c", None, '{"a":', type="function"), id="id-every-chunk"),
        pytest.param(_call("c", "f", '{"a":', type="function"), id="name-every-chunk"),
        pytest.param({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}, id="absent"),
    ],
)
def test_a_call_in_fragments_is_one_call(later: dict[str, Any]) -> None:
    deltas = _stream(_chunk(**_call("c", "f", "")), _chunk(**later), _chunk(**_call(None, None, "1}")), END)
    assert [type(delta) for delta in deltas if isinstance(delta, Call)] == [Call]
    assert "".join(delta.text for delta in deltas if isinstance(delta, Arguments)) == '{"a":1}'
    assert Finish(0, "tool_calls") in deltas


def test_two_calls_under_one_index_are_two() -> None:
    deltas = _stream(_chunk(**_call("c", "f", "{}")), _chunk(**_call("d", "g", "{}")), END)
    assert [(delta.index, delta.name) for delta in deltas if isinstance(delta, Call)] == [(0, "f"), (1, "g")]


def test_arguments_that_are_an_object_are_text() -> None:
    call = {"id": "0", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    deltas = _whole({"role": "assistant", "tool_calls": [call]}, "tool_calls")
    assert [delta.text for delta in deltas if isinstance(delta, Arguments)] == ['{"a":1}']
    assert Finish(0, "tool_calls") in deltas


@pytest.mark.parametrize("reason", ["abort", "error", "parse_error"])
def test_an_answer_that_broke_off_never_looks_finished(reason: str) -> None:
    assert _failure(_stream(_chunk(content="a"), _chunk(reason), COUNTED)).status == 502
    assert _failure(_whole({"content": "a"}, reason)).status == 502


@pytest.mark.parametrize(("reason", "ours"), [("eos_token", "stop"), ("load", "stop"), ("length", "length")])
def test_a_reason_that_nobody_knows_is_a_stop(reason: str, ours: str) -> None:
    assert Finish(0, ours) in _whole({"content": "a"}, reason)  # type: ignore[arg-type]


def test_a_stream_that_merely_ends_has_failed() -> None:
    empty = {"model": "", **_chunk(role="assistant", content="")}
    error = _failure(_stream(_chunk(content="a"), empty, done=False))
    assert (error.status, error.code) == (502, "bad_backend_answer")
    assert error.message.startswith("The server")


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"error": {"message": "no", "type": "BadRequestError", "code": 400}}, 400),
        ({"error": {"message": "no", "type": "InternalServerError", "code": 500}}, 502),
        ({"error": {"object": "error", "message": "no", "code": 503}}, 503),
        ({"object": "error", "message": "no", "type": "x", "code": 500}, 502),
        ({"error": {"message": "Request failed during generation: no", "http_status_code": 422}}, 502),
        ({"error": "it broke"}, 502),
    ],
)
def test_an_error_in_a_stream_ends_it_in_whatever_envelope(event: dict[str, Any], status: int) -> None:
    for done in (False, True):
        assert _failure(_stream(_chunk(content="a"), event, done=done)).status == status
    assert _failure(_stream(b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n")).status == status


@pytest.mark.parametrize(("status", "wait"), [(429, 7.0), (503, 7.0), (500, None)])
def test_how_long_to_wait_is_what_the_header_says(status: int, wait: float | None) -> None:
    assert _failure(_read(b'{"error":"no"}', status, {"retry-after": "7"})).retry_after == wait


def test_a_refused_key_is_the_operators() -> None:
    assert isinstance(_failure(_read(b'{"error":"Unauthorized"}', 401)), CredentialError)


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"{}", b"[]", b'{"object":"error","message":"no"}']
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    assert _failure(_read(body)).status == 502


def test_events_and_bodies_are_told_by_their_first_byte() -> None:
    text = msgspec.json.encode(_chunk(content="a"))
    for kind in ("text/plain", "application/json", "text/event-stream"):
        headers = {"content-type": kind}
        assert _read(b"data: " + text + b"\n\ndata: [DONE]\n\n", headers=headers)[0] == Text(0, "a")
        assert _read(text, headers=headers)[0] == Text(0, "a")


def test_a_completion_is_text() -> None:
    body = {"object": "text_completion", "choices": [{"index": 0, "text": "a", "finish_reason": "length"}]}
    assert _read(msgspec.json.encode(body))[:2] == [Text(0, "a"), Finish(0, "length")]
