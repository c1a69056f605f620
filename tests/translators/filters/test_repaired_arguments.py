"""Arguments that are repaired while they stream."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translators.model_text.test_arguments import PROPERTIES, SCHEMA, schema
from translators.chat import Tool
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Reason, Text, Usage
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.repaired_arguments import RepairedArguments
from translators.model_text.arguments import repaired

TOOLS = {"f": Tool("f", parameters=SCHEMA, place="tools[0].function")}
CALL = Call(0, 0, "c", "f")


def _sent(*pieces: str, reason: Reason = "tool_calls") -> list[str]:
    """What goes out for each piece, and last what the end brings."""
    repair = RepairedArguments(TOOLS)
    assert run([repair], [CALL]) == [CALL]
    batches = [run([repair], [Arguments(0, 0, piece)]) for piece in pieces]
    batches.append(run([repair], [Finish(0, reason), Usage(1, 1)])[:-2])
    return ["".join(delta.text for delta in batch if isinstance(delta, Arguments)) for batch in batches]


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        (['{"s": "a"}'], ['{"s": "a"}', ""]),
        (['{"s": "a', 'b"', "}"], ['{"s": "a', 'b"', "}", ""]),
        (['{"s": "a", ', '"n": ', "5}"], ['{"s": "a"', "", ', "n": 5}', ""]),
        (['{"s": "a", ', '"n": "5', '"}'], ['{"s": "a"', "", "", ', "n": 5}']),
        (['{"s": "a", "n": nul', "l}"], ['{"s": "a"', "", "}"]),
        (['{"s": "a"', ",}"], ['{"s": "a"', "", "}"]),
        (["{'s", "': 'a'}"], ["{", "", '"s": "a"}']),
        (['{"s": "a"}', ' {"s": "a"}'], ['{"s": "a"}', "", ""]),
        (['{"s": "a"}', ' {"s": "b"}'], ['{"s": "a"}', "", ' {"s": "b"}']),
        (['{"s": "a"}', "  "], ['{"s": "a"}', "", "  "]),
        (['{"s": "a", "l": [1', ', "2"]}'], ['{"s": "a", "l": [', "1", ", 2]}"]),
        (['{"s": 5, "n": "x"}'], ['{"s": 5', ', "n": "x"}']),
        (['"{', '\\"s\\": 1}"'], ["", "", '{"s": 1}']),
        (['{"s": "a"'], ['{"s": "a"', "}"]),  # all of it has passed, and a bracket is missing
        ([], [""]),
    ],
)
def test_arguments_are_held_from_the_first_slip_on(pieces: list[str], sent: list[str]) -> None:
    assert _sent(*pieces) == sent


def test_an_answer_that_was_cut_is_not_repaired() -> None:
    assert _sent('{"s": "a", "n": "5', reason="length") == ['{"s": "a"', ', "n": "5']


@pytest.mark.parametrize("after", [Text(0, "and"), Call(0, 1, "d", "f"), Call(0, 1, "d", "unknown")])
def test_a_call_is_over_where_its_choice_goes_on_otherwise(after: Delta) -> None:
    repair = RepairedArguments(TOOLS)
    out = run([repair], [CALL, Arguments(0, 0, '{"s": "a",}'), after])
    assert out == [CALL, Arguments(0, 0, '{"s": "a"'), Arguments(0, 0, "}"), after]


def test_what_was_held_when_the_answer_breaks_is_given_out_as_it_was() -> None:
    failed = Failed(bad_answer("x"))
    out = run([RepairedArguments(TOOLS)], [CALL, Arguments(0, 0, '{"s": "a",}'), failed])
    assert out == [CALL, Arguments(0, 0, '{"s": "a"'), Arguments(0, 0, ",}"), failed]


def test_calls_to_other_tools_and_choices_are_left_alone() -> None:
    deltas: list[Delta] = [
        CALL,
        Call(1, 0, "d", "other"),
        Arguments(1, 0, "{,"),
        Arguments(0, 0, "{'s': 'a'"),
        Text(1, "x"),
        Arguments(0, 0, "}"),
        Finish(1, "stop"),
        Finish(0, "stop"),
    ]
    out = run([RepairedArguments(TOOLS)], deltas)
    said = [delta.text for delta in out if isinstance(delta, Arguments) and delta.choice == 0]
    assert "".join(said) == '{"s": "a"}'
    assert Arguments(1, 0, "{,") in out


_VALUES = st.none() | st.booleans() | st.integers() | st.sampled_from(["5", "true", "[1]", "a", '{"n": "1"}'])
_ARGUMENTS = st.dictionaries(
    st.sampled_from([*PROPERTIES]), _VALUES | st.lists(_VALUES, max_size=2), max_size=4
)


@given(value=_ARGUMENTS, cut=st.integers(0, 80), python=st.booleans())
def test_the_repair_is_the_same_however_the_arguments_are_cut(
    value: dict[str, Any], cut: int, *, python: bool
) -> None:
    text = str(value) if python else json.dumps(value)
    right = repaired(text, schema())
    assert "".join(_sent(text)) == "".join(_sent(*text)) == "".join(_sent(text[:cut], text[cut:])) == right
