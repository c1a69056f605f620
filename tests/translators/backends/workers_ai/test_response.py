"""Workers AI's answer, whole or streamed."""

import pytest

import translators.answers.reader as reader_module
from translators.backends.workers_ai.places import Sent
from translators.backends.workers_ai.response import Reader
from translators.call import Stamp
from translators.clients import OPENAI_CHAT
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reasoning, Text, Usage
from translators.errors import ApiError
from translators.sse import EVENT_LIMIT

STAMP = Stamp(1, "0123456789abcdefghijklmn")
ENDING = [Finish(0, "stop"), Usage(7, 1, estimated=True)]


def _read(body: bytes, content_type: str, status: int = 200) -> list[Delta]:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(status, {"content-type": content_type})
    return reader.feed(body) + reader.close() + reader.feed(b"data: late")


def _stream(body: bytes) -> list[Delta]:
    return _read(body, "text/event-stream; charset=utf-8")


def _whole(body: bytes, status: int = 200) -> list[Delta]:
    return _read(body, "application/json", status)


def _failure(deltas: list[Delta]) -> ApiError:
    last = deltas[-1]
    assert isinstance(last, Failed)
    return last.error


def test_a_whole_answer_is_in_an_envelope() -> None:
    assert _whole(b'{"result":{"response":"a"},"success":true}') == [Text(0, "a"), *ENDING]


@pytest.mark.parametrize("content_type", ["", "application/json", "text/event-stream", "text/html"])
@pytest.mark.parametrize(
    "body",
    [
        b'\n {"result":{"response":"a"},"success":true}',
        b'data: {"response":"a"}\n\ndata: [DONE]\n\n',
        b'\n: hello\n\ndata: {"response":"a"}\n\ndata: [DONE]\n\n',
    ],
)
def test_the_first_byte_tells_events_from_a_body(body: bytes, content_type: str) -> None:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(200, {"content-type": content_type})
    deltas = [delta for at in range(len(body)) for delta in reader.feed(body[at : at + 1])]
    assert [*deltas, *reader.close()] == [Text(0, "a"), *ENDING]


def test_what_begins_as_neither_is_what_its_type_says() -> None:
    body = b'x: y\n\ndata: {"response":"a"}\n\ndata: [DONE]\n\n'
    assert _stream(body) == [Text(0, "a"), *ENDING]
    assert _failure(_whole(body)).code == "bad_backend_answer"


def test_broken_characters_are_replaced() -> None:
    body = b'{"result":{"response":"a\xffb\xc3"}}'
    assert _whole(body) == [Text(0, "a\ufffdb\ufffd"), *ENDING]
    assert _stream(b'data: {"response":"a\xffb"}\n\ndata: [DONE]\n\n') == [Text(0, "a\ufffdb"), *ENDING]


def test_a_stream_that_says_nothing_but_that_it_is_done_is_no_answer() -> None:
    assert _failure(_stream(b"data: [DONE]\n\n")).code == "bad_backend_answer"


@pytest.mark.parametrize(("status", "wait"), [(429, 7.0), (503, 7.0), (500, None)])
def test_what_a_backend_says_about_waiting_is_passed_on(status: int, wait: float | None) -> None:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(status, {"retry-after": "7"})
    assert _failure(reader.close()).retry_after == wait


def test_where_a_backend_says_nothing_about_waiting_it_is_computed() -> None:
    assert _failure(_whole(b'{"errors":[{"code":3021}]}', 429)).retry_after == 59


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html>",
        b"[]",
        b'{"result":null}',
        b'{"result":{}}',
        b'{"result":' + b"[" * 5000,
    ],
)
def test_a_success_without_an_answer_is_a_bad_gateway(body: bytes) -> None:
    error = _failure(_whole(body))
    assert (error.status, error.code) == (502, "bad_backend_answer")


def test_a_success_that_says_that_it_is_none_is_an_error() -> None:
    error = _failure(_whole(b'{"success":false,"errors":[{"code":5007,"message":"x"}]}'))
    assert (error.status, error.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors":[{"message":"AiError: Max retries exhausted","code":3050}]}',
        b'{"result":null,"errors":{"message":"AiError: Max retries exhausted","code":3050}}',
        b'{"result":{},"error":[{"message":"AiError: Max retries exhausted","code":3050}]}',
    ],
)
def test_an_error_counts_although_neither_status_nor_success_tell_of_it(body: bytes) -> None:
    assert _failure(_whole(body)).code == "overloaded"


@pytest.mark.parametrize("key", ["errors", "error"])
def test_where_success_is_said_an_answer_counts_although_an_error_stands_beside_it(key: str) -> None:
    beside = b'"%s":[{"code":3050}]}' % key.encode()
    assert Text(0, "Hi") in _whole(b'{"result":{"response":"Hi"},"success":true,' + beside)
    for said in (b"", b'"success":null,', b'"success":"true",'):
        assert _failure(_whole(b'{"result":{"response":"Hi"},' + said + beside)).code == "overloaded"


def test_a_refusal_names_what_was_asked() -> None:
    body = (
        b'{"errors":[{"message":"AiError: required properties at \'/messages/0\' are \'role\'","code":5006}]}'
    )
    chat = OPENAI_CHAT.read(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    reader = Reader(Stamp(0, "0" * 24), 0, 10, 1, Sent(b'{"messages":[{"content":"hi"}]}', chat))
    reader.start(400, {"content-type": "application/json"})
    reader.feed(body)
    assert _failure(reader.close()).param == "messages[0].role"


def test_an_error_is_read_by_its_status_also_where_it_comes_as_a_stream() -> None:
    assert _failure(_whole(b'{"errors":[{"code":3040}]}', 429)).status == 503
    assert _failure(_read(b"data: x", "text/event-stream", 503)).status == 503


def test_a_stream_ends_at_its_own_end_with_spaces_around_it() -> None:
    body = b'data: {"response":"a"}\n\ndata:   [DONE] \n\ndata: {"response":"b"}\n\n'
    assert _stream(body) == [Text(0, "a"), *ENDING]


def test_a_stream_ends_at_its_own_end() -> None:
    assert _stream(b'data: {"response":"a"}\n\n[DONE]\n\n') == [Text(0, "a"), *ENDING]
    assert _stream(b'data: {"response":"a"}\n\ndata: [DONE]\n\ndata: {"response":"b"}\n\n') == [
        Text(0, "a"),
        *ENDING,
    ]


@pytest.mark.parametrize(
    "last", [b'{"finish_reason":"stop"}', b'{"usage":{"prompt_tokens":7,"completion_tokens":1}}']
)
def test_a_stream_that_lacks_done_is_whole_where_something_else_said_so(last: bytes) -> None:
    deltas = _stream(b'data: {"response":"a"}\n\ndata: ' + last)
    assert isinstance(deltas[-1], Usage)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"data: [DONE]", b"[DONE]"])
def test_events_may_come_without_the_empty_line_between_them(end: bytes, last: bytes) -> None:
    usage = b'data: {"response":"","usage":{"prompt_tokens":3,"completion_tokens":4}}'
    lines = (b'data: {"response":"a"}', b'data:{"response":"b"}', usage, last)
    expected = [Text(0, "a"), Text(0, "b"), Finish(0, "stop"), Usage(3, 4)]
    assert _stream(end.join(lines)) == expected
    behind = _stream(end.join((*lines, b"", b'data: {"response":"c"}')))
    assert behind[:-1] == (expected[:-1] if last else [*expected[:2], Text(0, "c")])


def test_of_events_without_a_line_between_the_first_that_is_none_ends_the_stream() -> None:
    deltas = _stream(b'data: {"response":"a"}\ndata: {"respon\ndata: {"response":"b"}\n\n')
    assert deltas[0] == Text(0, "a")
    assert (len(deltas), _failure(deltas).code) == (2, "bad_backend_answer")


def test_an_event_of_several_lines_is_one() -> None:
    assert _stream(b'data: {"response":\ndata: "a"}\n\ndata: [DONE]\n\n') == [Text(0, "a"), *ENDING]


def test_an_event_without_data_is_passed_over() -> None:
    body = b'data: {"response":""}\n\ndata:\n\ndata: [DONE]\n\n'
    assert _stream(body) == [Finish(0, "stop"), Usage(7, 0, estimated=True)]


@pytest.mark.parametrize(
    "tail",
    [b"", b"data: {", b"data: [DON", b"data: []\n\n", b"data: null\n\n"],
)
def test_a_stream_that_breaks_is_an_error_behind_what_came(tail: bytes) -> None:
    deltas = _stream(b'data: {"response":"a"}\n\n' + tail)
    assert deltas[0] == Text(0, "a")
    assert len(deltas) == 2
    assert _failure(deltas).code == "bad_backend_answer"


def test_an_error_inside_a_stream_ends_it() -> None:
    body = b'data: {"response":"a"}\n\ndata: {"errors":[{"code":3021}]}\n\ndata: [DONE]\n\n'
    deltas = _stream(body)
    assert deltas[0] == Text(0, "a")
    assert (_failure(deltas).status, _failure(deltas).code) == (429, "rate_limit_exceeded")
    assert _failure(_stream(b'data: {"error":"overloaded"}\n\n')).status == 502


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'data: {"object":"error","message":"x","type":"InternalServerError","code":500}', 502),
        (b'data: {"object":"error","message":"x","code":503}', 503),
        (b'event: error\ndata: {"message":"x"}', 502),
        (b'event: error\ndata: {"code":3021,"message":"x"}', 502),
        (b'event: error\ndata: {"error":{"code":3021}}', 429),
        (b"event: error\ndata: x", 502),
    ],
)
def test_an_error_inside_a_stream_is_one_in_any_form(event: bytes, status: int) -> None:
    deltas = _stream(b'data: {"response":"a"}\n\n' + event + b"\n\ndata: [DONE]\n\n")
    assert deltas[0] == Text(0, "a")
    assert (_failure(deltas).status, len(deltas)) == (status, 2)
    assert _failure(_stream(event + b"\n\ndata: [DONE]\n\n")).status == status


def test_what_is_neither_an_answer_nor_an_error_is_passed_over() -> None:
    body = b'data: {"response":"a"}\n\ndata: {"type":"ping"}\n\ndata: [DONE]\n\n'
    assert _stream(body) == [Text(0, "a"), *ENDING]


@pytest.mark.parametrize(
    "data",
    [
        b'{"streamed_data":[{"response":"a"}]}',
        b'{"streamed_data":[{"response":""},{"response":"a"}],"p":"abd"}',
        b'{"streamed_data":[{"choices":[{"index":0,"delta":{"content":"a"}}]}]}',
        b'{"streamed_data":null,"response":"a"}',
        b'{"streamed_data":[],"response":"a"}',
    ],
)
def test_an_event_may_be_a_list_of_events(data: bytes) -> None:
    assert _stream(b"data: " + data + b"\n\ndata: [DONE]\n\n") == [Text(0, "a"), *ENDING]
    assert _whole(b'{"result":' + data + b',"success":true}') == [Text(0, "a"), *ENDING]


def test_events_in_a_list_keep_their_order_their_usage_and_their_ending() -> None:
    listed = (
        b'[{"response":1.50},{"response":"b"},{"finish_reason":"length"},'
        b'{"response":"","usage":{"prompt_tokens":3,"completion_tokens":4}}]'
    )
    expected = [Text(0, "1.50"), Text(0, "b"), Finish(0, "length"), Usage(3, 4)]
    assert _stream(b'data: {"streamed_data":' + listed + b"}") == expected


def test_an_error_in_a_list_of_events_ends_the_stream_behind_what_came() -> None:
    deltas = _stream(
        b'data: {"streamed_data":[{"response":"a"},{"errors":[{"code":1}]},{"response":"b"}]}\n\n'
    )
    assert deltas[:-1] == [Text(0, "a")]
    assert _failure(deltas).status == 502


@pytest.mark.parametrize("listed", [b"5", b"{}", b'["a"]', b"[null]"])
def test_a_list_of_events_that_is_none_breaks_the_stream(listed: bytes) -> None:
    assert _failure(_stream(b'data: {"streamed_data":' + listed + b"}\n\n")).code == "bad_backend_answer"


def test_an_event_that_is_too_long_ends_the_stream_behind_what_came() -> None:
    long = b"data: " + b" " * EVENT_LIMIT
    deltas = _stream(b'data: {"response":"a"}\n\n' + long)
    assert deltas[0] == Text(0, "a")
    assert "too long" in _failure(deltas).message
    assert isinstance(_stream(b'data: {"response":""}\n\ndata: [DONE]\n\n' + long)[-1], Usage)


def test_a_whole_answer_that_is_too_long_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "WHOLE_LIMIT", 10)
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(200, {})
    assert reader.feed(b"0123456789") == []
    assert "too long" in _failure(reader.feed(b"0")).message
    assert reader.feed(b"0") == []
    assert reader.close() == []


@pytest.mark.parametrize(("header", "neurons"), [("1.98", 1.98), ("0", 0), ("-1", None), ("much", None)])
def test_what_a_whole_answer_cost_may_stand_in_a_header(header: str, neurons: float | None) -> None:
    def read(body: bytes) -> Usage:
        reader = Reader(STAMP, 0, 100, 7)
        reader.start(200, {"cf-ai-neurons": header})
        *_, usage = [*reader.feed(body), *reader.close()]
        assert usage == reader.usage()
        return reader.usage()

    counts = b'"usage":{"prompt_tokens":3,"completion_tokens":4'
    assert read(b'{"result":{"response":"a",' + counts + b"}}}") == Usage(3, 4, neurons=neurons)
    assert read(b'{"result":{"response":"a",' + counts + b',"neurons":5}}}') == Usage(3, 4, neurons=5)
    assert read(b'data: {"response":"a"}\n\ndata: [DONE]\n\n').neurons is None


def test_a_reader_knows_the_usage_at_any_time() -> None:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(200, {"content-type": "text/event-stream"})
    reader.feed(b'data: {"response":"12345"}\n\n')
    assert reader.usage() == Usage(7, 2, estimated=True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"result":{"response":"a","errors":[{"code":3040,"message":"m"}]},"success":true}',
        b'{"result":{"output":[],"status":"failed","error":{"code":3040}},"success":true}',
        b'{"result":{"response":""},"success":true,"errors":[{"code":3040,"message":"m"}]}',
        b'{"response":"","errors":[{"code":3040,"message":"m"}]}',
    ],
)
def test_a_whole_answer_that_holds_an_error_is_none(body: bytes) -> None:
    deltas = _whole(body)
    assert (len(deltas), _failure(deltas).status, _failure(deltas).code) == (1, 503, "overloaded")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_an_answer_whose_status_says_that_it_failed_is_none(status: str) -> None:
    deltas = _whole(b'{"result":{"output":[],"status":"%s"},"success":true}' % status.encode())
    assert (len(deltas), _failure(deltas).status) == (1, 502)


@pytest.mark.parametrize("body", [b'{"response":"a"}', b'{"choices":[{"message":{"content":"a"}}]}'])
def test_a_whole_answer_may_come_without_the_envelope(body: bytes) -> None:
    assert _whole(body) == [Text(0, "a"), *ENDING]


@pytest.mark.parametrize(
    ("spelt", "text"),
    [
        (rb"a\ud800b", "a\ufffdb"),
        (rb"\uDE00", "\ufffd"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud800", "\\ud800"),
    ],
)
def test_a_half_of_a_surrogate_pair_is_replaced_and_a_pair_is_not(spelt: bytes, text: str) -> None:
    assert _whole(b'{"result":{"response":"%s"}}' % spelt)[0] == Text(0, text)
    assert _stream(b'data: {"response":"%s"}\n\ndata: [DONE]\n\n' % spelt)[0] == Text(0, text)


def _events(*events: bytes) -> bytes:
    return b"".join(b"data: %s\n\n" % event for event in (*events, b"[DONE]"))


def _fragment(arguments: bytes, index: int = 0) -> bytes:
    call = b'{"index":%d,"function":{"name":"f%d","arguments":"%s"}}' % (index, index, arguments)
    return b'{"tool_calls":[' + call + b"]}"


def test_the_halves_of_a_character_in_two_events_are_one_character() -> None:
    texts = (rb"a\ud83d", rb"\ude00b\uD83D", rb"", rb"\uDE00")
    assert _stream(_events(*(b'{"response":"%s"}' % each for each in texts))) == [
        Text(0, "a"), Text(0, "\U0001f600b"), Text(0, "\U0001f600"), Finish(0, "stop"),
        Usage(7, 2, estimated=True),
    ]  # fmt: skip


def test_words_and_the_arguments_of_each_call_have_halves_of_their_own() -> None:
    first, second = rb"x\ud83d", rb"\ude00y"
    thought = b'{"choices":[{"delta":{"reasoning_content":"%s"}}]}' % first
    said = b'{"choices":[{"delta":{"content":"%s"}}]}'
    assert _stream(_events(thought, said % second))[:2] == [Reasoning(0, "x"), Text(0, "\U0001f600y")]
    assert _stream(_events(thought, said % b"y"))[:3] == [
        Reasoning(0, "x"),
        Reasoning(0, "\ufffd"),
        Text(0, "y"),
    ]
    deltas = _stream(_events(*(_fragment(half, index) for half in (first, second) for index in (0, 1))))
    assert [each for each in deltas if isinstance(each, Arguments)] == [
        Arguments(0, 0, "x"),
        Arguments(0, 1, "x"),
        Arguments(0, 0, "\U0001f600y"),
        Arguments(0, 1, "\U0001f600y"),
    ]


@pytest.mark.parametrize(
    ("halves", "text"),
    [
        ((rb"a\ud83d",), "a\ufffd"),
        ((rb"a\ud83d", b"b"), "a\ufffdb"),
        ((rb"a\ud83d", rb"\ud83d", rb"\ude00"), "a\ufffd\U0001f600"),
        ((b"a", rb"\ude00b"), "a\ufffdb"),
        ((rb"\ud83d\\", rb"\ude00"), "\ufffd\\\ufffd"),
        ((rb"\\ud83d", rb"\ude00"), "\\ud83d\ufffd"),
        ((rb"\"\ude00", rb"\ud83d\""), '"\ufffd\ufffd"'),
    ],
)
def test_a_half_that_stays_alone_becomes_one_replacement_character(
    halves: tuple[bytes, ...], text: str
) -> None:
    deltas = _stream(_events(*(b'{"response":"%s"}' % each for each in halves)))
    assert "".join(each.text for each in deltas if isinstance(each, Text)) == text
    assert isinstance(deltas[-2], Finish)


def test_a_failure_does_not_let_a_half_through() -> None:
    event = rb'{"streamed_data":[{"response":"a\ud83d"},{"errors":[{"code":1}]}]}'
    assert _stream(_events(event))[:-1] == [Text(0, "a")]


def test_a_finish_with_calls_that_have_not_come_is_a_plain_one() -> None:
    choice = b'{"index":0,"message":{"content":"Hi","tool_calls":[]},"finish_reason":"tool_calls"}'
    assert _whole(b'{"result":{"choices":[' + choice + b']},"success":true}')[1] == Finish(0, "stop")
    event = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"tool_calls"}]}\n\n'
    assert _stream(event + b"data: [DONE]\n\n")[1] == Finish(0, "stop")


def test_a_call_in_openais_old_form_is_a_call() -> None:
    message = b'{"content":null,"function_call":{"name":"f","arguments":"{}"}}'
    choice = b'{"index":0,"message":' + message + b',"finish_reason":"function_call"}'
    call, arguments, finish, _ = _whole(b'{"result":{"choices":[' + choice + b']},"success":true}')
    assert isinstance(call, Call)
    assert (call.name, arguments, finish) == ("f", Arguments(0, 0, "{}"), Finish(0, "tool_calls"))
    events = b"".join(
        b'data: {"choices":[{"index":0,"delta":{"function_call":' + part + b"}}]}\n\n"
        for part in (b'{"name":"f","arguments":""}', b'{"arguments":"{\\"a\\""}', b'{"arguments":":1}"}')
    )
    deltas = _stream(events + b"data: [DONE]\n\n")
    assert [type(delta) for delta in deltas] == [Call, Arguments, Arguments, Finish, Usage]
    assert deltas[3] == Finish(0, "tool_calls")
