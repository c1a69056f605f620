"""Emulated custom tools turned back."""

from translators.deltas import Arguments, Call, Delta, Failed, Finish, Text, Usage
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.custom_calls import CustomCalls

CUSTOM = Call(0, 0, "x", "python", "custom")


def _run(*deltas: Delta) -> list[Delta]:
    return run([CustomCalls(frozenset({"python"}))], deltas)


def test_the_input_is_given_out_as_soon_as_it_is_whole() -> None:
    deltas = _run(Call(0, 0, "x", "python"), Arguments(0, 0, '{"input":'), Arguments(0, 0, '"1+1"}'))
    assert deltas == [CUSTOM, Arguments(0, 0, "1+1")]


def test_white_space_behind_the_arguments_is_no_input() -> None:
    deltas = _run(Call(0, 0, "x", "python"), Arguments(0, 0, '{"input":"a"}'), Arguments(0, 0, " \n"))
    assert deltas == [CUSTOM, Arguments(0, 0, "a")]


def test_other_calls_and_texts_pass_through() -> None:
    other: list[Delta] = [Text(0, "a"), Call(0, 0, "x", "f"), Arguments(0, 0, "{"), Usage(1, 1)]
    assert _run(*other) == other


def test_calls_whose_arguments_come_in_turns_keep_them_apart() -> None:
    deltas = _run(
        Call(0, 0, "x", "python"),
        Call(0, 1, "y", "f"),
        Call(0, 2, "z", "python"),
        Arguments(0, 0, '{"input":'),
        Arguments(0, 2, '{"input":"b"}'),
        Arguments(0, 1, "{}"),
        Arguments(0, 0, '"a"}'),
        Finish(0, "tool_calls"),
    )
    assert [delta for delta in deltas if isinstance(delta, Arguments)] == [
        Arguments(0, 2, "b"),
        Arguments(0, 1, "{}"),
        Arguments(0, 0, "a"),
    ]


def test_arguments_that_never_become_whole_are_given_out_before_the_end() -> None:
    cut: list[Delta] = [Call(0, 0, "x", "python"), Arguments(0, 0, '{"input":"a')]
    held = Arguments(0, 0, '{"input":"a')
    assert _run(*cut, Finish(0, "length")) == [CUSTOM, held, Finish(0, "length")]
    failed = Failed(bad_answer("broken"))
    assert _run(*cut, failed) == [CUSTOM, held, failed]


def test_another_choice_does_not_end_a_call() -> None:
    deltas = _run(
        Call(0, 0, "x", "python"), Text(1, "b"), Finish(1, "stop"), Arguments(0, 0, '{"input":"a"}')
    )
    assert deltas == [CUSTOM, Text(1, "b"), Finish(1, "stop"), Arguments(0, 0, "a")]


def test_arguments_are_whole_once_their_object_has_closed() -> None:
    for text, given in (('{"input":"}"}', "}"), ('{"input":{}}', '{"input":{}}'), ('{"a":1}', '{"a":1}')):
        pieces = [Arguments(0, 0, character) for character in text]
        assert _run(Call(0, 0, "x", "python"), *pieces[:-1]) == [CUSTOM]
        assert _run(Call(0, 0, "x", "python"), *pieces) == [CUSTOM, Arguments(0, 0, given)]


def test_long_arguments_are_looked_at_once() -> None:
    pieces = [Arguments(0, 0, "}") for _ in range(100_000)]
    deltas = _run(Call(0, 0, "x", "python"), Arguments(0, 0, '{"input":"'), *pieces, Arguments(0, 0, '"}'))
    assert deltas == [CUSTOM, Arguments(0, 0, "}" * 100_000)]
