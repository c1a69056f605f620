"""Stop strings enforced on a stream."""

from time import process_time

import msgspec

from translators.deltas import Call, Delta, Failed, Finish, Text, Usage
from translators.errors import bad_answer
from translators.filters import run
from translators.filters.stop import Stop


def _run(stops: tuple[str, ...], *deltas: Delta, choices: int = 1) -> list[Delta]:
    return run([Stop(stops, choices)], deltas)


def test_the_text_ends_before_the_stop_string_and_nothing_follows_it_but_usage() -> None:
    deltas = _run(("#",), Text(0, "a#b"), Text(0, "c"), Finish(0, "length"), Usage(1, 1))
    assert deltas == [Text(0, "a"), Finish(0, "stop"), Usage(1, 1)]


def test_a_stop_string_may_come_in_pieces() -> None:
    assert _run(("END",), Text(0, "aE"), Text(0, "N"), Text(0, "Db")) == [Text(0, "a"), Finish(0, "stop")]


def test_what_turns_out_to_be_no_stop_string_is_given_out() -> None:
    assert _run(("END",), Text(0, "aEN"), Text(0, "d")) == [Text(0, "a"), Text(0, "ENd")]


def test_text_that_can_begin_no_stop_string_is_passed_on_as_it_is() -> None:
    delta = Text(0, "abc")
    assert _run(("#",), delta)[0] is delta


def test_a_beginning_that_comes_to_nothing_may_hold_the_beginning_of_the_next() -> None:
    pieces = [Text(0, each) for each in ("xaab", "aa", "ba", "aac")]
    assert _run(("aabaaac",), *pieces) == [Text(0, "x"), Text(0, "aab"), Finish(0, "stop")]


def test_a_stop_string_may_stand_within_the_rest_of_another() -> None:
    assert _run(("abcx", "cd"), Text(0, "zabc"), Text(0, "de")) == [
        Text(0, "z"),
        Text(0, "ab"),
        Finish(0, "stop"),
    ]


def test_empty_text_changes_nothing_of_what_is_held() -> None:
    assert _run(("END",), Text(0, "aE"), Text(0, ""), Text(0, "ND")) == [Text(0, "a"), Finish(0, "stop")]


def test_what_a_call_stands_between_is_no_stop_string() -> None:
    call = Call(0, 0, "c", "f")
    assert _run(("ab",), Text(0, "a"), call, Text(0, "b")) == [Text(0, "a"), call, Text(0, "b")]


def test_long_stop_strings_take_time_by_the_text_alone() -> None:
    """Four of 64,000 characters that come to nothing in the middle: searched anew for each piece, hours."""
    stops = tuple("a" * (32_000 - k) + "b" + "a" * (31_999 + k) for k in range(4))
    pieces = [Text(0, "a" * 64) for _ in range(1000)]
    began = process_time()
    assert "".join(each.text for each in _run(stops, *pieces) if isinstance(each, Text)) == "a" * 32_000
    assert process_time() - began < 20


def test_an_answer_that_begins_with_the_stop_string_is_empty() -> None:
    assert _run(("#",), Text(0, "#a")) == [Finish(0, "stop")]


def test_the_string_that_is_complete_first_counts_and_of_two_the_longer() -> None:
    assert _run(("cd", "abcde"), Text(0, "abcde")) == [Text(0, "ab"), Finish(0, "stop")]
    assert _run(("c", "bc"), Text(0, "abc")) == [Text(0, "a"), Finish(0, "stop")]


def test_held_text_comes_before_whatever_ends_the_text() -> None:
    call = Call(0, 0, "c", "f")
    assert _run(("##",), Text(0, "a#"), call) == [Text(0, "a"), Text(0, "#"), call]
    assert _run(("##",), Text(0, "#"), Finish(0, "stop")) == [Text(0, "#"), Finish(0, "stop")]
    failed = Failed(bad_answer("broken"))
    assert _run(("##",), Text(0, "#"), failed) == [Text(0, "#"), failed]


def test_each_choice_ends_by_itself() -> None:
    stop = Stop(("#",), 2)
    assert run([stop], [Text(0, "a#"), Text(1, "b")]) == [Text(0, "a"), Finish(0, "stop"), Text(1, "b")]
    assert not stop.satisfied
    assert run([stop], [Finish(1, "length")]) == [Finish(1, "length")]
    assert stop.satisfied


def test_a_stream_that_met_no_stop_string_is_never_cut_short() -> None:
    stop = Stop(("#",), 1)
    run([stop], [Text(0, "a"), Finish(0, "stop")])
    assert not stop.satisfied


def test_a_backend_that_breaks_behind_the_stop_string_harms_nobody() -> None:
    failed = Failed(bad_answer("broken"))
    assert _run(("#",), Text(0, "a#"), failed) == [Text(0, "a"), Finish(0, "stop")]


def test_a_choice_that_has_called_a_tool_ends_with_its_calls() -> None:
    call = Call(0, 0, "c", "f")
    assert _run(("#",), call, Text(0, "a#b")) == [call, Text(0, "a"), Finish(0, "tool_calls")]
    assert _run(("#",), call, Text(1, "#")) == [call]  # another choice, which is none
    stop = Stop(("#",), 2)
    assert run([stop], [call, Text(1, "#")]) == [call, Finish(1, "stop")]


def test_log_probabilities_stay_with_text_that_was_held() -> None:
    one, two, three = (msgspec.Raw(text) for text in (b"1", b"2", b"3"))
    pieces = (Text(0, "xE"), Text(0, "a", one), Text(0, "E", two), Text(0, "", three), Text(0, "N"))
    assert _run(("END",), *pieces, Finish(0, "stop")) == [
        Text(0, "x"),
        Text(0, "Ea", one),
        Text(0, "E", two),
        Text(0, "", three),
        Text(0, "N"),
        Finish(0, "stop"),
    ]


def test_log_probabilities_of_a_piece_that_the_stop_string_cuts_are_left_out() -> None:
    one, two, three = (msgspec.Raw(text) for text in (b"1", b"2", b"3"))
    pieces = (Text(0, "x", one), Text(0, "yE", two), Text(0, "ND", three))
    assert _run(("END",), *pieces) == [Text(0, "x", one), Text(0, "y"), Finish(0, "stop")]
