"""Choices begin one after the other."""

from translators.deltas import Delta, Failed, Finish, Text, Usage
from translators.errors import bad_answer
from translators.filters.in_order import InOrder


def _fed(in_order: InOrder, *deltas: Delta) -> list[Delta]:
    return [out for delta in deltas for out in in_order.feed(delta)]


def test_a_choice_is_held_until_the_one_before_it_has_begun() -> None:
    in_order = InOrder(3)
    assert _fed(in_order, Text(2, "c"), Text(1, "b"), Text(1, "b")) == []
    begun = [Text(0, "a"), Text(1, "b"), Text(1, "b"), Text(2, "c")]
    assert _fed(in_order, Text(0, "a")) == begun
    assert _fed(in_order, Text(2, "c"), Text(0, "a")) == [Text(2, "c"), Text(0, "a")]


def test_a_choice_without_content_begins_with_its_end() -> None:
    in_order = InOrder(2)
    assert _fed(in_order, Finish(1, "stop")) == []
    assert _fed(in_order, Finish(0, "stop"), Usage(1, 1)) == [
        Finish(0, "stop"),
        Finish(1, "stop"),
        Usage(1, 1),
    ]


def test_a_failure_waits_for_nobody() -> None:
    failed = Failed(bad_answer("no"))
    assert _fed(InOrder(2), Text(1, "b"), failed) == [failed]
