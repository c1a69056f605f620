"""Streams that come as nothing, asked for whole."""

from functools import partial
from typing import Any

import msgspec
import pytest

from translators.backends.workers_ai.errors import EmptyResultError
from translators.backends.workers_ai.response import Reader
from translators.backends.workers_ai.unstreamed import Unstreamed
from translators.call import BackendCall, Stamp
from translators.deltas import Delta, Failed, Finish, Text, Usage
from translators.dialogue import OneRound
from translators.errors import bad_answer
from translators.filters.stop import Stop

STAMP = Stamp(0, "0123456789abcdefghijklmn")
NOTHING = [Failed(EmptyResultError())]
HI: list[Delta] = [Text(0, "Hi"), Finish(0, "stop"), Usage(7, 3)]


def call(number: int = 0, **more: Any) -> BackendCall:
    body = {"messages": [number], "stream": True, "stream_options": {"include_usage": True}, **more}
    return BackendCall(("ai",), msgspec.json.encode(body), partial(Reader, STAMP, number, 10, 1))


def dialogue(*calls: BackendCall, **more: Any) -> Unstreamed:
    return Unstreamed(OneRound(calls, **more))


def bodies(calls: tuple[BackendCall, ...]) -> list[Any]:
    return [msgspec.json.decode(each.body) for each in calls]


def test_a_stream_that_was_nothing_is_asked_for_whole_and_that_is_the_answer() -> None:
    one = dialogue(call())
    first = one.first()
    assert bodies(first) == bodies((call(),))
    assert one.take(0, NOTHING) == []
    again = one.next()
    assert bodies(again) == [{"messages": [0]}]
    assert again[0].segments == first[0].segments
    assert one.take(0, HI) == HI
    assert one.next() == ()


def test_it_is_asked_for_once_more_only() -> None:
    one = dialogue(call())
    one.first()
    one.take(0, NOTHING)
    one.next()
    assert one.take(0, NOTHING) == NOTHING
    assert one.next() == ()


@pytest.mark.parametrize(
    ("stream", "batch"),
    [(False, NOTHING), (True, [Failed(bad_answer("no"))]), (True, [Text(0, "Hi"), *NOTHING])],
)
def test_other_failures_are_passed_on(batch: list[Delta], *, stream: bool) -> None:
    one = dialogue(call(stream=stream))
    one.first()
    assert one.take(0, batch) == batch
    assert one.next() == ()


def test_of_several_choices_only_those_that_were_nothing_are_asked_for() -> None:
    three = dialogue(call(0), call(1), call(2))
    three.first()
    said = three.take(0, HI) + three.take(1, NOTHING) + three.take(2, NOTHING)
    again = three.next()
    assert bodies(again) == [{"messages": [1]}, {"messages": [2]}]
    said += three.take(1, [Text(0, "Ho"), Finish(0, "stop"), Usage(7, 1)]) + three.take(0, HI)
    assert [(d.choice, d.text) for d in said if isinstance(d, Text)] == [(0, "Hi"), (1, "Hi"), (2, "Ho")]
    assert said[-1] == Usage(21, 7)
    assert three.next() == ()


def test_where_the_answer_is_whole_already_nothing_is_asked() -> None:
    two = dialogue(call(0), call(1), filters=[Stop(("X",), 1)])
    two.first()
    two.take(1, NOTHING)
    two.take(0, [Text(0, "HiX")])
    assert two.satisfied
    assert two.next() == ()


@pytest.mark.parametrize(
    ("body", "empty"),
    [
        (b'{"result":{},"success":true,"errors":[],"messages":[]}', True),
        (b'{"result":{ }}', True),
        (b'{"result":{"a":1}}', False),
        (b'{"result":null}', False),
        (b"{}", False),
        (b"<html>", False),
        (b'{"result":{},"errors":[{"code":3040}]}', False),
    ],
)
def test_only_an_empty_result_is_one(body: bytes, *, empty: bool) -> None:
    reader = Reader(STAMP, 0, 10, 1)
    reader.start(200, {"content-type": "application/json"})
    reader.feed(body)
    [failed] = reader.close()
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, EmptyResultError) == empty
    assert isinstance(failed.error.unquoted(), EmptyResultError) == empty
