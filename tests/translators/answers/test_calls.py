"""Tool calls in every spelling that the legacy wire has."""

from typing import Any

import pytest

from translators.answers.calls import Calls
from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta
from translators.tools import restore_call_id

STAMP = Stamp(1, "0123456789abcdefghijklmn")


def _calls(*events: Any) -> list[tuple[str, str]]:
    """Name and arguments of each call after some events."""
    calls = Calls(STAMP, 0)
    deltas = [delta for event in events for delta in calls.take(event)] + calls.end()
    _assert_well_formed(deltas)
    return [
        (call.name, "".join(d.text for d in deltas if isinstance(d, Arguments) and d.index == call.index))
        for call in deltas
        if isinstance(call, Call)
    ]


def _assert_well_formed(deltas: list[Delta]) -> None:
    begun: list[int] = []
    ids: set[str] = set()
    for delta in deltas:
        if isinstance(delta, Call):
            assert delta.index == len(begun)
            begun.append(delta.index)
            ids.add(delta.id)
        else:
            assert isinstance(delta, Arguments)
            assert delta.index in begun
    assert len(ids) == len(begun)


def _fragment(index: int | None = None, call_id: str | None = None, **function: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"function": function}
    if index is not None:
        fields["index"] = index
    return fields | ({} if call_id is None else {"id": call_id})


@pytest.mark.parametrize(
    ("event", "calls"),
    [
        ([{"name": "f", "arguments": {"a": 1}}], [("f", '{"a":1}')]),
        ([{"name": "f", "arguments": '{"a": 1}'}], [("f", '{"a": 1}')]),
        ([{"name": "f", "arguments": {}}, {"name": "f", "arguments": {}}], [("f", "{}"), ("f", "{}")]),
        ([{"name": "f"}, {"name": "g", "arguments": None}], [("f", "{}"), ("g", "{}")]),
        (
            [_fragment(name="f", arguments={"a": 1}), _fragment(name="g", arguments="{}")],
            [("f", '{"a":1}'), ("g", "{}")],
        ),
        ([{"name": "", "arguments": ""}, {"name": None}, {}], []),
        ([7, None, "f", []], []),
        ("f", []),
        ({"name": "f"}, []),
    ],
)
def test_calls_that_come_whole(event: Any, calls: list[tuple[str, str]]) -> None:
    assert _calls(event) == calls


def test_fragments_go_on_with_the_call_of_their_index() -> None:
    assert _calls(
        [_fragment(0, "a", name="f", arguments="")],
        [_fragment(1, "b", name="g", arguments="{")],
        [_fragment(0, arguments="{}")],
        [_fragment(1, arguments="}")],
    ) == [("f", "{}"), ("g", "{}")]


def test_fragments_without_an_index_go_on_with_the_last_call() -> None:
    assert _calls(
        [_fragment(None, "a", name="f", arguments="{")],
        [_fragment(arguments="}")],
        [_fragment(None, "b", name="g", arguments="{}")],
    ) == [("f", "{}"), ("g", "{}")]


def test_fragments_may_stand_on_one_level() -> None:
    assert _calls(
        [{"index": 0, "id": "a", "name": "f", "arguments": ""}, {"index": 1, "name": "g"}],
        [{"index": 0, "arguments": '{"a":'}],
        [{"index": 1, "arguments": "{}"}, {"index": 0, "arguments": "1}"}],
        [{"id": None, "name": None, "arguments": ""}],
    ) == [("f", '{"a":1}'), ("g", "{}")]
    assert _calls([{"arguments": "{"}], [{"name": "f", "arguments": "}"}]) == [("f", "{}")]


def test_arguments_before_the_name_wait_for_it() -> None:
    calls = Calls(STAMP, 0)
    assert calls.take([_fragment(0, arguments='{"a":')]) == []
    assert not calls
    call = Call(0, 0, "call_ps0123456789abx0x0-eA", "f")
    assert calls.take([_fragment(0, "x", name="f", arguments="1}")]) == [
        call,
        Arguments(0, 0, '{"a":'),
        Arguments(0, 0, "1}"),
    ]
    assert calls


def test_the_null_fragment_says_nothing() -> None:
    null = {"id": None, "type": None, "function": {"name": None, "arguments": ""}}
    assert _calls([null], [_fragment(0, "a", name="f", arguments="{}")], [null]) == [("f", "{}")]


def test_id_and_name_that_are_repeated_begin_no_call() -> None:
    assert _calls(
        [_fragment(0, "a", name="f", arguments="{")], [_fragment(0, "a", name="f", arguments="}")]
    ) == [("f", "{}")]
    assert _calls([_fragment(0, name="f", arguments="{")], [_fragment(0, name="f", arguments="}")]) == [
        ("f", "{}")
    ]


@pytest.mark.parametrize("index", [None, 0])
def test_after_whole_arguments_the_same_id_and_name_begin_another_call(index: int | None) -> None:
    one = _fragment(index, "functions.f:0", name="f", arguments='{"a":1}')
    two = _fragment(index, "functions.f:0", name="f", arguments='{"a":2}')
    assert _calls([one], [two]) == _calls([one, two]) == [("f", '{"a":1}'), ("f", '{"a":2}')]
    for text in ("", " \n"):
        end = _fragment(index, "functions.f:0", name="f", arguments=text)
        assert _calls([one], [end]) == [("f", '{"a":1}' + text)]


@pytest.mark.parametrize("begun", ["{", '{"a":}', "[" * 5000 + "}"])
def test_what_only_looks_whole_goes_on(begun: str) -> None:
    fragments = [_fragment(0, "a", name="f", arguments=text) for text in (begun, "}")]
    assert _calls(fragments) == [("f", begun + "}")]


def test_elements_of_a_whole_answer_are_calls_of_their_own_whatever_their_ids() -> None:
    calls = Calls(STAMP, 0)
    same = _fragment(None, "functions.f:0", name="f", arguments="{")
    begun = [delta for delta in calls.take([same, same], whole=True) if isinstance(delta, Call)]
    assert [call.index for call in begun] == [0, 1]
    assert len({call.id for call in begun}) == 2
    assert {restore_call_id(call.id) for call in begun} == {"functions.f:0"}


def test_calls_that_all_have_the_index_0_are_told_apart_by_their_ids() -> None:
    assert _calls(
        [_fragment(0, "a", name="f", arguments="{")],
        [_fragment(0, arguments="}")],
        [_fragment(0, "b", name="f", arguments="[")],
        [_fragment(0, arguments="]")],
    ) == [("f", "{}"), ("f", "[]")]


def test_a_call_that_never_gets_a_name_is_none() -> None:
    assert _calls([_fragment(0, arguments="{}")]) == []


def test_fragments_that_repeat_id_and_name_are_looked_at_once() -> None:
    fragment = {"id": "a", "index": 0, "function": {"name": "f", "arguments": "}"}}
    first = {"id": "a", "index": 0, "function": {"name": "f", "arguments": '{"s":"'}}
    last = {"id": "a", "index": 0, "function": {"name": "f", "arguments": '"}'}}
    assert _calls([first], *[[fragment]] * 30_000, [last]) == [("f", '{"s":"' + "}" * 30_000 + '"}')]


def test_many_calls_of_one_event_are_counted_on() -> None:
    deltas = Calls(STAMP, 0).take([{"name": "f", "arguments": {}}] * 20_000)
    assert [delta.index for delta in deltas if isinstance(delta, Call)] == list(range(20_000))


def test_arguments_that_are_called_parameters_are_arguments() -> None:
    """So Llama's chat template names them; an answer that keeps that name would lose them."""
    assert _calls([{"name": "f", "parameters": {"a": 1}}]) == [("f", '{"a":1}')]
    assert _calls([_fragment(0, "c", name="f", parameters='{"a":1}')]) == [("f", '{"a":1}')]
    assert _calls([{"name": "f", "arguments": {"a": 1}, "parameters": {"b": 2}}]) == [("f", '{"a":1}')]
