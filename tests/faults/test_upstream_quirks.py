"""Backends that deviate from OpenAI's form in ways that break clients: what comes out is canonical.

Each case is one deviation in an otherwise correct answer that was seen to break, or to mislead, at least one
client library, or that none of them minds. A stream is read by the rules of `tests/laws/stream_rules.py` and
then by OpenAI's own SDK; a broken one must be broken for every client.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.faults.chaos_server import (
    DONE,
    EVENTS,
    Act,
    Script,
    Step,
    chunk,
    stream,
    whole,
)
from tests.faults.conftest import Between
from tests.faults.outcomes import check_nothing_left
from tests.laws.stream_rules import accumulated, check_broken, check_chat

Json = dict[str, Any]
Change = Callable[[list[Json]], list[Json | bytes]]

USAGE: Final = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
TOOLS: Final = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        },
    }
]
BASE: Final = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def choice(delta: Json | None, reason: str | None = None) -> Json:
    return {**BASE, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def call(**fields: Any) -> Json:
    return choice({"tool_calls": [fields]})


def text_chunks() -> list[Json]:
    return [
        choice({"role": "assistant", "content": ""}),
        choice({"content": "Hel"}),
        choice({"content": "lo"}),
        choice({}, "stop"),
        {**BASE, "choices": [], "usage": USAGE},
    ]


def call_chunks() -> list[Json]:
    return [
        choice({"role": "assistant", "content": None}),
        call(index=0, id="call_1", type="function", function={"name": "add", "arguments": ""}),
        call(index=0, function={"arguments": '{"a"'}),
        call(index=0, function={"arguments": ": 1}"}),
        choice({}, "tool_calls"),
        {**BASE, "choices": [], "usage": USAGE},
    ]


def wire(chunks: list[Json | bytes]) -> list[bytes]:
    return [
        each if isinstance(each, bytes) else b"data: " + json.dumps(each).encode() + b"\n\n"
        for each in chunks
    ]


def each_delta(**fields: Any) -> Change:
    """Every delta says this as well."""

    def change(chunks: list[Json]) -> list[Json | bytes]:
        for one in chunks:
            for each in one["choices"]:
                each["delta"].update(fields)
        return list(chunks)

    return change


def each_chunk(*names: str, **fields: Any) -> Change:
    """Every chunk says this as well, and not that."""

    def change(chunks: list[Json]) -> list[Json | bytes]:
        for one in chunks:
            one.update(fields)
            for name in names:
                del one[name]
        return list(chunks)

    return change


def nth(number: int, **fields: Any) -> Change:
    """One chunk says this instead; `None` of a name in `choices` is a missing one."""

    def change(chunks: list[Json]) -> list[Json | bytes]:
        chunks[number].update(fields)
        return list(chunks)

    return change


def instead(number: int, *others: Json | bytes) -> Change:
    """Others in the place of one chunk."""
    return lambda chunks: [*chunks[:number], *others, *chunks[number + 1 :]]


def before(number: int, *others: Json | bytes) -> Change:
    return lambda chunks: [*chunks[:number], *others, *chunks[number:]]


def each_call(later: Json, *, function: Json | None = None, without: tuple[str, ...] = ()) -> Change:
    """Every piece of a call says this as well, or lacks that."""

    def change(chunks: list[Json]) -> list[Json | bytes]:
        for one in chunks[1:4]:
            [piece] = one["choices"][0]["delta"]["tool_calls"]
            piece.update(later)
            piece["function"].update(function or {})
            for name in without:
                piece.pop(name, None)
        return list(chunks)

    return change


def later_calls(**function: Any) -> Change:
    """The pieces after the first say this of their function."""

    def change(chunks: list[Json]) -> list[Json | bytes]:
        for one in chunks[2:4]:
            one["choices"][0]["delta"]["tool_calls"][0]["function"].update(function)
        return list(chunks)

    return change


def varied(name: str) -> Change:
    def change(chunks: list[Json]) -> list[Json | bytes]:
        return [{**one, name: f"{number}" if name == "id" else number} for number, one in enumerate(chunks)]

    return change


def no_index(chunks: list[Json]) -> list[Json | bytes]:
    for one in chunks:
        for each in one["choices"]:
            del each["index"]
    return list(chunks)


def no_finish_key(chunks: list[Json]) -> list[Json | bytes]:
    for one in chunks[:3]:
        del one["choices"][0]["finish_reason"]
    return list(chunks)


def empty_finish(chunks: list[Json]) -> list[Json | bytes]:
    for one in chunks[:3]:
        one["choices"][0]["finish_reason"] = ""
    return list(chunks)


def cumulative(chunks: list[Json]) -> list[Json | bytes]:
    for number, one in enumerate(chunks[:4]):
        one["usage"] = {"prompt_tokens": 7, "completion_tokens": number, "total_tokens": 7 + number}
    return list(chunks)


PING = b'event: ping\ndata: {"type":"ping"}\n\n'

TEXTS: Final[dict[str, Change]] = {
    "nothing": list,
    "a role in every chunk": each_delta(role="assistant"),
    "no role": instead(0, choice({"content": ""})),
    "no chunk for the role": instead(0),
    "a role with content": lambda chunks: [choice({"role": "assistant", "content": "Hel"}), *chunks[2:]],
    "a role with content of null": instead(0, choice({"role": "assistant", "content": None})),
    "an odd finish": instead(3, choice({}, "eos_token")),
    "no usage": instead(4),
    "usage on every chunk": cumulative,
    "usage of zeros on every chunk": each_chunk(
        usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    ),
    "usage with choices of null": nth(4, choices=None),
    "usage without choices": instead(4, {**BASE, "usage": USAGE}),
    "usage on the finish": instead(3, {**choice({}, "stop"), "usage": USAGE}),
    "usage with details of null": nth(4, usage={**USAGE, "prompt_tokens_details": None}),
    "usage with nothing else": instead(4, {"usage": USAGE}),
    "another object": each_chunk(object="canary"),
    "an empty object": each_chunk(object=""),
    "no index of the choice": no_index,
    "a delta of null": instead(3, choice(None, "stop")),
    "an error of null": each_chunk(error=None),
    "an id and a comment": before(1, b"id: 1\n\n: canary\n\n"),
    "an id before each event": lambda chunks: [b"id: 1\n" + each for each in wire(list(chunks))],
    "retry": before(0, b"retry: 3000\n\n"),
    "a ping": before(1, PING),
    "a ping without data": before(1, b"event: ping\n\n"),
    "empty data": before(1, b"data:\n\n"),
    "a comment": before(1, b": canary\n\n"),
    "no key of the finish": no_finish_key,
    "an empty finish": empty_finish,
    "calls that are an empty list": instead(3, choice({"tool_calls": []}, "stop")),
    "[DONE] twice": before(5, DONE),
    "a chunk after the finish": before(4, choice({"content": ""})),
    "times that differ": varied("created"),
    "ids that differ": varied("id"),
    "an empty id": each_chunk(id=""),
    "no id": each_chunk("id"),
    "a first chunk without choices": before(0, {**BASE, "choices": [], "prompt_filter_results": []}),
    "carriage returns": lambda chunks: [each.replace(b"\n", b"\r\n") for each in wire(list(chunks))],
    "no space": lambda chunks: [each.replace(b"data: ", b"data:") for each in wire(list(chunks))],
    "reasoning_content": before(1, choice({"reasoning_content": "Well"})),
    "reasoning": before(1, choice({"reasoning": "Well"})),
}

CALLS: Final[dict[str, Change]] = {
    "nothing": list,
    "an id in every piece": each_call({"id": "call_1", "type": "function"}),
    "a name in every piece": each_call({}, function={"name": "add"}),
    "a name of null later": later_calls(name=None),
    "an empty name later": later_calls(name=""),
    "no index": each_call({}, without=("index",)),
    "an index of null": each_call({"index": None}),
    "an index from 1": each_call({"index": 1}),
    "no id": each_call({}, without=("id",)),
    "no type": each_call({}, without=("type",)),
    "stop as the finish": instead(4, choice({}, "stop")),
    "a whole call in one piece": lambda chunks: [
        chunks[0],
        call(index=0, id="call_1", type="function", function={"name": "add", "arguments": '{"a": 1}'}),
        *chunks[4:],
    ],
    "arguments of null first": instead(
        1, call(index=0, id="call_1", type="function", function={"name": "add", "arguments": None})
    ),
    "no arguments first": instead(1, call(index=0, id="call_1", type="function", function={"name": "add"})),
    "an empty list of calls with the finish": instead(4, choice({"tool_calls": []}, "tool_calls")),
}


def raw_of(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.text
    raw: bytes = answer.content
    assert b"canary" not in raw
    return raw


@pytest.mark.parametrize("include_usage", [False, True], ids=["without usage", "with usage"])
@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
async def test_text(between: Between, change: Change, *, include_usage: bool) -> None:
    served, chaos = await between(stream(*wire(change(text_chunks())), DONE))
    more = {"stream_options": {"include_usage": True}} if include_usage else {}
    raw = raw_of(await served.chat(stream=True, **more))
    answer = accumulated(check_chat(raw, choices=1, include_usage=include_usage))
    [made] = answer["choices"]
    assert (made["message"]["content"], made["finish_reason"]) == ("Hello", "stop")
    await check_nothing_left(served, chaos)


@pytest.mark.parametrize("change", CALLS.values(), ids=CALLS)
async def test_a_call(between: Between, change: Change) -> None:
    served, chaos = await between(stream(*wire(change(call_chunks())), DONE))
    raw = raw_of(await served.chat(stream=True, tools=TOOLS))
    answer = accumulated(check_chat(raw, choices=1, include_usage=False))
    [made] = answer["choices"]
    [one] = made["message"]["tool_calls"]
    assert (one["function"]["name"], json.loads(one["function"]["arguments"])) == ("add", {"a": 1})
    assert made["finish_reason"] == "tool_calls"
    await check_nothing_left(served, chaos)


async def test_two_calls_that_both_have_the_first_index(between: Between) -> None:
    def one(name: str, number: int) -> Json:
        return call(
            index=0,
            id=name,
            type="function",
            function={"name": "add", "arguments": json.dumps({"a": number})},
        )

    chunks = [
        choice({"role": "assistant", "content": None}),
        one("x", 1),
        one("y", 2),
        choice({}, "tool_calls"),
    ]
    served, _chaos = await between(stream(*wire(list(chunks)), DONE))
    raw = raw_of(await served.chat(stream=True, tools=TOOLS))
    [made] = accumulated(check_chat(raw, choices=1, include_usage=False))["choices"]
    assert [json.loads(each["function"]["arguments"]) for each in made["message"]["tool_calls"]] == [
        {"a": 1},
        {"a": 2},
    ]


USAGES: Final[dict[str, Any]] = {
    "none": None,
    "empty": {},
    "of zeros": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "negative": {"prompt_tokens": -7, "completion_tokens": -3, "total_tokens": -10},
    "of half tokens": {"prompt_tokens": 7.5, "completion_tokens": 3.5, "total_tokens": 11},
    "endless": {"prompt_tokens": 10**400, "completion_tokens": 10**400},
    "beyond 64 bits": {"prompt_tokens": 2**64, "completion_tokens": 2**64},
    "as text": {"prompt_tokens": "7", "completion_tokens": "3"},
    "as a list": [7, 3],
    "with a wrong sum": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 99},
    "half there": {"completion_tokens": 3},
}
MOST_TOKENS: Final = 2**53  # what a number of JavaScript's holds exactly


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
async def test_usage_that_is_odd(
    between: Between, access_lines: Callable[[], list[Json]], usage: Any, *, streamed: bool
) -> None:
    last = {**BASE, "choices": [], "usage": usage}
    script = (
        stream(*wire([*text_chunks()[:4], last]), DONE)
        if streamed
        else (whole(json.dumps(completion(message(), usage=usage)).encode()),)
    )
    served, _chaos = await between(script)
    if streamed:
        raw = raw_of(await served.chat(stream=True, stream_options={"include_usage": True}))
        told = check_chat(raw, choices=1, include_usage=True)[-1]["usage"]
    else:
        told = json.loads(raw_of(await served.chat()))["usage"]
    await served.settled()
    [line] = access_lines()
    for name in ("prompt", "completion"):
        assert isinstance(told[f"{name}_tokens"], int)
        assert 0 <= told[f"{name}_tokens"] <= MOST_TOKENS
        assert line[f"{name}_tokens"] == told[f"{name}_tokens"], "what is booked is what was told"
    assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]


# What is broken must be broken for every client

ERROR = {"error": {"message": "canary", "type": "server_error", "code": 500}}
FLAT = {"object": "error", "message": "canary", "type": "InternalServerError", "code": 500}


def after_text(*more: Step) -> Script:
    first, second = wire(list(text_chunks()[:2]))
    return (EVENTS, chunk(first + second), Act.TURN, *more)


BROKEN: Final[dict[str, Script]] = {
    "an error in the middle": after_text(*stream(*wire([ERROR]), DONE)[1:]),
    "an error with a name": after_text(*stream(b"event: error\n" + wire([ERROR])[0])[1:]),
    "an error that has a name alone": after_text(
        *stream(b'event: error\ndata: {"message":"canary"}\n\n', DONE)[1:]
    ),
    "an error that lies flat": after_text(*stream(*wire([FLAT]), DONE)[1:]),
    "a clean early end": after_text(b"0\r\n\r\n"),
    "a cut": after_text(Act.RESET),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_what_is_broken_is_so_for_every_client(between: Between, script: Script) -> None:
    served, chaos = await between(script)
    raw = raw_of(await served.chat(stream=True))
    assert b"Hel" in raw
    check_broken(raw)
    await check_nothing_left(served, chaos)


@pytest.mark.parametrize("first", [ERROR, FLAT], ids=["nested", "flat"])
async def test_an_error_that_comes_first_is_a_status(between: Between, first: Json) -> None:
    served, _chaos = await between(stream(*wire([first]), DONE))
    answer = await served.chat(stream=True)
    assert answer.status_code == 502
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert "canary" not in answer.text


# Whole answers


def message(**fields: Any) -> Json:
    return {"role": "assistant", "content": "Hello", **fields}


def completion(said: Json, reason: str | None = "stop", **fields: Any) -> Json:
    made = {**BASE, "object": "chat.completion", "usage": USAGE}
    return {**made, "choices": [{"index": 0, "message": said, "finish_reason": reason}], **fields}


def calling(arguments: Any = '{"a": 1}', **fields: Any) -> Json:
    one = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": arguments}, **fields}
    return message(content=None, tool_calls=[{name: value for name, value in one.items() if value}])


WHOLE_TEXTS: Final = {
    "nothing": completion(message()),
    "no role": completion({"content": "Hello"}),
    "content in parts": completion(message(content=[{"type": "text", "text": "Hello"}])),
    "a finish of null": completion(message(), None),
    "an odd finish": completion(message(), "eos_token"),
    "another object": completion(message(), object="canary"),
    "usage of null": completion(message(), usage=None),
    "no usage": {name: value for name, value in completion(message()).items() if name != "usage"},
    "calls of null": completion(message(tool_calls=None)),
    "calls that are an empty list": completion(message(tool_calls=[])),
    "reasoning_content": completion(message(reasoning_content="Well")),
    "reasoning": completion(message(reasoning="Well")),
}
WHOLE_CALLS: Final = {
    "nothing": completion(calling(), "tool_calls"),
    "stop as the finish": completion(calling(), "stop"),
    "arguments that are an object": completion(calling({"a": 1}), "tool_calls"),
    "no id": completion(calling(id=None), "tool_calls"),
    "no type": completion(calling(type=None), "tool_calls"),
    "no key of the content": completion(
        {name: value for name, value in calling().items() if name != "content"}, "tool_calls"
    ),
    "empty content": completion({**calling(), "content": ""}, "tool_calls"),
}


def _check_whole(answer: Any) -> Json:
    raw = json.loads(raw_of(answer))
    assert answer.headers["content-type"] == "application/json"
    assert raw["object"] == "chat.completion"
    usage = raw["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    [made] = raw["choices"]
    assert made["message"]["role"] == "assistant"
    assert {"content", "refusal"} <= set(made["message"])
    given: Json = made
    return given


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
@pytest.mark.parametrize("body", WHOLE_TEXTS.values(), ids=WHOLE_TEXTS)
async def test_whole_text(between: Between, body: Json, content_type: str) -> None:
    served, _chaos = await between((whole(json.dumps(body).encode(), 200, content_type),))
    made = _check_whole(await served.chat())
    assert (made["message"]["content"], made["finish_reason"]) == ("Hello", "stop")


@pytest.mark.parametrize("body", WHOLE_CALLS.values(), ids=WHOLE_CALLS)
async def test_a_whole_call(between: Between, body: Json) -> None:
    served, _chaos = await between((whole(json.dumps(body).encode()),))
    made = _check_whole(await served.chat(tools=TOOLS))
    [one] = made["message"]["tool_calls"]
    assert one["id"]
    assert one["type"] == "function"
    assert (one["function"]["name"], json.loads(one["function"]["arguments"])) == ("add", {"a": 1})
    assert (made["message"]["content"], made["finish_reason"]) == (None, "tool_calls")
