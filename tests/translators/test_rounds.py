"""Answers that are asked for again: what the client sees of them, and what stands when a call breaks."""

from collections.abc import Iterable

from translators.call import BackendCall
from translators.deltas import Delta, Failed, Finish, Reasoning, Text, Usage
from translators.errors import ApiError, bad_answer
from translators.filters.stop import Stop
from translators.filters.think import Think
from translators.rounds import Held, Question, Rounds


def _no_reader() -> None:
    raise AssertionError


def _call(body: bytes) -> BackendCall:
    return BackendCall(("ai",), body, _no_reader)  # type: ignore[arg-type]  # nobody reads here


FIRST, SECOND = _call(b"1"), _call(b"2")
BROKEN = Failed(bad_answer("broken"))


class _WantsYes:
    """Asks once more where the text is not 'yes'; passes 'yes' and thinking on at once."""

    def __init__(self) -> None:
        self._held = Held()
        self._asked = False

    def feed(self, delta: Delta) -> Iterable[Delta]:
        if isinstance(delta, Reasoning) or (isinstance(delta, Text) and delta.text == "yes"):
            return [delta]
        self._held.add(delta)
        return []

    def again(self) -> BackendCall | None:
        if self._asked or not any(isinstance(delta, Text) for delta in self._held.coming):
            return None
        self._asked = True
        self._held.turn()
        return SECOND

    def instead(self, error: ApiError) -> BackendCall | None:
        return SECOND if error.code == "try_otherwise" else None

    def rest(self) -> Iterable[Delta]:
        return self._held.standing


def _rounds(choices: int = 1, stops: tuple[str, ...] = ()) -> Rounds:
    questions = [Question(FIRST, _WantsYes(), lambda: (Think(),)) for _ in range(choices)]
    return Rounds(questions, [Stop(stops, choices)] if stops else [])


def _answer(text: str, tokens: int = 1) -> list[Delta]:
    return [Text(0, text), Finish(0, "stop"), Usage(5, tokens, cached=2, neurons=0.5)]


def test_an_answer_that_will_do_is_the_only_one() -> None:
    rounds = _rounds()
    assert rounds.first() == (FIRST,)
    assert rounds.take(0, _answer("yes")) == _answer("yes")
    assert rounds.next() == ()


def test_an_answer_that_is_replaced_is_never_seen_but_counted() -> None:
    rounds = _rounds()
    assert rounds.take(0, [Reasoning(0, "hm"), *_answer("no")]) == [Reasoning(0, "hm")]
    assert rounds.next() == (SECOND,)
    assert rounds.take(0, _answer("yes", 3)) == [
        Text(0, "yes"),
        Finish(0, "stop"),
        Usage(5, 4, cached=2, neurons=1.0),
    ]
    assert rounds.next() == ()


def test_the_last_answer_stands_though_it_will_not_do() -> None:
    rounds = _rounds()
    rounds.take(0, _answer("no"))
    rounds.next()
    assert rounds.take(0, _answer("never"))[:2] == [Text(0, "never"), Finish(0, "stop")]


def test_the_answer_before_stands_where_the_second_call_breaks() -> None:
    rounds = _rounds()
    rounds.take(0, _answer("no"))
    rounds.next()
    assert rounds.take(0, [Text(0, "nev"), BROKEN]) == _answer("no")
    assert rounds.take(0, [Usage(5, 9)]) == []
    assert rounds.next() == ()


def test_a_second_answer_that_breaks_in_the_client_s_hands_fails() -> None:
    rounds = _rounds()
    rounds.take(0, _answer("no"))
    rounds.next()
    assert rounds.take(0, [Text(0, "yes"), BROKEN]) == [Text(0, "yes"), BROKEN]


def test_a_first_answer_that_breaks_fails_with_nothing_of_what_was_held() -> None:
    assert _rounds().take(0, [Text(0, "no"), BROKEN]) == [BROKEN]


def test_an_answer_that_was_cut_off_is_given_as_far_as_it_came_and_not_asked_again() -> None:
    rounds = _rounds()
    assert rounds.take(0, [Text(0, "no"), Usage(5, 1)]) == [Text(0, "no"), Usage(5, 1)]
    assert rounds.next() == ()


def test_every_call_has_filters_of_its_own() -> None:
    rounds = _rounds()
    rounds.take(0, _answer("<think>a</think>no"))
    rounds.next()
    assert rounds.take(0, _answer("<think>b</think>yes"))[:2] == [Reasoning(0, "b"), Text(0, "yes")]


def test_only_the_choices_that_will_not_do_are_asked_again() -> None:
    rounds = _rounds(choices=3)
    assert rounds.take(0, _answer("yes")) == [Text(0, "yes"), Finish(0, "stop")]
    assert rounds.take(2, _answer("no")) == []
    assert rounds.take(1, _answer("no")) == []
    assert rounds.next() == (SECOND, SECOND)
    assert rounds.take(1, _answer("yes")) == []  # choice 2 waits for choice 1
    assert rounds.take(0, _answer("yes")) == [
        Text(1, "yes"),
        Text(2, "yes"),
        Finish(2, "stop"),
        Finish(1, "stop"),
        Usage(15, 5, cached=6, neurons=2.5),
    ]


def test_what_met_its_stop_is_not_asked_again() -> None:
    rounds = _rounds(stops=("s",))
    assert rounds.take(0, [Text(0, "no"), Text(0, "yes")]) == [Text(0, "ye"), Finish(0, "stop")]
    assert rounds.satisfied
    assert rounds.take(0, [Finish(0, "stop"), Usage(5, 1)]) == [Usage(5, 1)]
    assert rounds.next() == ()


GAVE_UP = Failed(ApiError(502, "no", code="try_otherwise"))


class _WantsNo:
    """Finds every answer wanting."""

    def feed(self, delta: Delta) -> Iterable[Delta]:
        return [delta] if isinstance(delta, Reasoning) else []

    def again(self) -> BackendCall | None:
        return None

    def instead(self, error: ApiError) -> BackendCall | None:
        del error
        return None

    def rest(self) -> Iterable[Delta]:
        return [BROKEN]


def test_an_answer_that_will_not_do_fails_behind_its_usage() -> None:
    rounds = Rounds([Question(FIRST, _WantsNo())])
    assert rounds.take(0, [Reasoning(0, "hm"), *_answer("no")]) == [
        Reasoning(0, "hm"),
        Usage(5, 1, cached=2, neurons=0.5),
        BROKEN,
    ]
    assert rounds.next() == ()


def test_another_call_can_be_made_in_place_of_one_that_failed() -> None:
    rounds = _rounds()
    assert rounds.take(0, [GAVE_UP]) == []
    assert rounds.next() == (SECOND,)
    assert rounds.take(0, _answer("yes")) == _answer("yes")
    assert _rounds().take(0, [BROKEN]) == [BROKEN]


def test_what_choices_have_used_that_wait_when_another_fails_is_counted() -> None:
    rounds = Rounds([Question(FIRST, _WantsYes()), Question(FIRST, _WantsYes()), Question(FIRST, _WantsNo())])
    assert rounds.take(0, _answer("no", 3)) == []
    assert rounds.take(1, [GAVE_UP]) == []
    assert rounds.take(2, _answer("x", 4)) == [Usage(10, 7, cached=4, neurons=1.0), BROKEN]
    assert rounds.take(1, [Usage(5, 9)]) == []
    assert rounds.next() == ()


class _WantsOnlyYes(_WantsYes):
    """Has no answer where the text never was 'yes'."""

    def rest(self) -> Iterable[Delta]:
        return [NEVER] if self._held.standing else []


NEVER = Failed(bad_answer("it never said yes"))


def test_where_nothing_stands_because_the_second_call_broke_that_is_the_reason() -> None:
    rounds = Rounds([Question(FIRST, _WantsOnlyYes())])
    rounds.take(0, _answer("no"))
    rounds.next()
    assert rounds.take(0, [BROKEN]) == [Usage(5, 1, cached=2, neurons=0.5), BROKEN]


def test_where_the_second_answer_will_not_do_either_the_judge_says_why() -> None:
    rounds = Rounds([Question(FIRST, _WantsOnlyYes())])
    rounds.take(0, _answer("no"))
    rounds.next()
    assert rounds.take(0, _answer("never"))[-1] == NEVER
