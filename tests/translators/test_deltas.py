"""Deltas folded to a whole answer, and unfolded again."""

import msgspec
import pytest

from translators.deltas import (
    Arguments,
    Block,
    Call,
    Choice,
    Completion,
    Failed,
    Finish,
    Reasoning,
    Refusal,
    Text,
    Usage,
    WholeCall,
    fold,
    unfold,
)
from translators.errors import ApiError, bad_answer

LOGPROBS = (msgspec.Raw(b'{"content":[1]}'), msgspec.Raw(b'{"content":[2]}'))


def test_a_block_ends_where_the_kind_changes_and_calls_keep_their_place() -> None:
    deltas = [
        Reasoning(0, "h"), Reasoning(0, "m", "sig"), Text(0, "a"), Text(0, "b"), Call(0, 0, "c0", "f"),
        Arguments(0, 0, "{"), Text(0, "c"), Arguments(0, 0, "}"), Refusal(0, "no"), Finish(0, "stop"),
        Usage(1, 2),
    ]  # fmt: skip
    items = (
        Block("reasoning", "hm", "sig"),
        Block("text", "ab"),
        WholeCall(0, "c0", "f", "{}"),
        Block("text", "c"),
        Block("refusal", "no"),
    )
    completion = Completion((Choice(0, items, "stop"),), Usage(1, 2))
    assert fold(deltas) == completion
    assert fold(unfold(completion)) == completion


def test_a_choice_gives_its_text_by_kind_and_none_where_there_is_none() -> None:
    choice = Choice(0, (Block("text", "a"), Block("refusal", "x"), Block("text", "b")), "stop")
    assert (choice.text_of("text"), choice.text_of("reasoning")) == ("ab", None)


def test_choices_come_in_the_order_of_their_numbers() -> None:
    folded = fold([Finish(1, "stop"), Text(0, "a"), Finish(0, "length")])
    assert [choice.index for choice in folded.choices] == [0, 1]
    assert folded.usage is None


def test_log_probabilities_survive_folding_and_unfolding() -> None:
    deltas = [Text(0, "a", LOGPROBS[0]), Text(0, "b", LOGPROBS[1]), Finish(0, "stop")]
    completion = fold(deltas)
    (item,) = completion.choices[0].items
    assert isinstance(item, Block)
    assert item.logprobs == LOGPROBS
    assert fold(unfold(completion)) == completion


def test_an_answer_that_failed_does_not_fold() -> None:
    with pytest.raises(ApiError, match="broken"):
        fold([Text(0, "a"), Failed(bad_answer("broken"))])


def test_a_choice_without_an_end_does_not_fold() -> None:
    with pytest.raises(ApiError, match="before it was whole"):
        fold([Text(0, "a"), Usage(1, 1)])


def test_an_unfolded_answer_ends_each_choice_before_the_next_begins() -> None:
    completion = Completion((Choice(0, (), "stop"), Choice(1, (Block("text", "a"),), "stop")))
    assert list(unfold(completion)) == [Finish(0, "stop"), Text(1, "a"), Finish(1, "stop")]
