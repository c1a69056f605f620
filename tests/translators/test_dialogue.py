"""Answers that take several calls: their order, and their usage."""

from translators.call import BackendCall
from translators.deltas import Delta, Failed, Finish, Text, Usage
from translators.dialogue import OneRound
from translators.errors import bad_answer
from translators.filters.stop import Stop


def _no_reader() -> None:
    raise AssertionError


CALL = BackendCall(("ai",), b"{}", _no_reader)  # type: ignore[arg-type]  # nobody reads here


def _round(calls: int, choices_per_prompt: int = 1, stops: tuple[str, ...] = ()) -> OneRound:
    filters = [Stop(stops, calls)] if stops else []
    return OneRound([CALL] * calls, filters, choices_per_prompt)


def test_one_call_passes_through() -> None:
    dialogue = _round(1)
    deltas: list[Delta] = [Text(0, "a"), Finish(0, "stop"), Usage(1, 1)]
    assert dialogue.first() == (CALL,)
    assert dialogue.take(0, deltas) == deltas
    assert dialogue.next() == ()
    assert not dialogue.satisfied


def test_a_choice_waits_until_the_one_before_it_has_begun() -> None:
    dialogue = _round(3)
    assert dialogue.take(2, [Text(0, "c")]) == []
    assert dialogue.take(1, [Text(0, "b")]) == []
    assert dialogue.take(0, [Text(0, "a")]) == [Text(0, "a"), Text(1, "b"), Text(2, "c")]
    assert dialogue.take(2, [Finish(0, "stop")]) == [Finish(2, "stop")]


def test_usage_comes_once_with_the_prompt_counted_once() -> None:
    dialogue = _round(2, choices_per_prompt=2)
    first = Usage(10, 3, cached=4, reasoning=1, neurons=0.5)
    assert dialogue.take(0, [Finish(0, "stop"), first]) == [Finish(0, "stop")]
    assert dialogue.take(1, [Finish(0, "stop"), Usage(10, 2, neurons=0.25)]) == [
        Finish(1, "stop"),
        Usage(10, 5, cached=4, reasoning=1, neurons=0.75),
    ]


def test_several_prompts_are_each_counted_once() -> None:
    dialogue = _round(4, choices_per_prompt=2)
    out: list[Delta] = []
    for call, prompt in enumerate([10, 10, 7, 7]):
        out += dialogue.take(call, [Finish(0, "stop"), Usage(prompt, 1, estimated=call == 3)])
    assert out[-1] == Usage(17, 4, estimated=True)


def test_one_call_that_fails_fails_the_answer_at_once() -> None:
    dialogue = _round(2)
    failed = Failed(bad_answer("broken"))
    assert dialogue.take(1, [Text(0, "b"), failed]) == [failed]


def test_a_round_is_satisfied_when_every_choice_has_met_its_stop() -> None:
    dialogue = _round(2, stops=("#",))
    dialogue.take(0, [Text(0, "a#")])
    assert not dialogue.satisfied
    dialogue.take(1, [Text(0, "b#")])
    assert dialogue.satisfied
