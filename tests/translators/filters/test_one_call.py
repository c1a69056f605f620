"""One call where the client asked for one at a time."""

from translators.deltas import Arguments, Call, Delta, Finish, Text
from translators.filters import run
from translators.filters.one_call import OneCall


def test_the_first_call_of_each_choice_stays_and_the_others_go() -> None:
    kept: list[Delta] = [Text(0, "a"), Call(0, 0, "x", "f"), Arguments(0, 0, "{}"), Finish(0, "tool_calls")]
    others: list[Delta] = [Call(0, 1, "y", "g"), Arguments(0, 1, "{}")]
    one_call = OneCall()
    assert run([one_call], [*kept[:2], *others, *kept[2:]]) == kept
    assert run([one_call], [Call(1, 0, "z", "f")]) == [Call(1, 0, "z", "f")]
    assert not one_call.satisfied
