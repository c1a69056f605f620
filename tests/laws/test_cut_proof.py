"""Law 3: however the backend's bytes are cut, the deltas are the same."""

import random
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws import answers, families
from tests.laws.answers import SHAPES, Shape, each_shape, parametrized
from tests.laws.exchange import EVENTS, Answer, deltas_of, new_reader, read, translated, whole
from tests.laws.families import Family, each_family
from tests.wire.cases import Case, all_cases
from translators.deltas import Delta, Failed
from translators.sse import Event, EventDecoder, EventTooLongError

ANSWERS = [
    pytest.param(answer, id=f"{case.name}.{number}")
    for case in all_cases()
    for number, answer in enumerate(Case(case.folder).answers)
]
_SHORT = 300  # bytes; below, every pair of cuts is tried
_PARTITIONS = 200

each_recording = pytest.mark.parametrize("answer", ANSWERS)


Cuts = Iterator[tuple[int, ...]]


def _pieces(body: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise((0, *cuts, len(body)))]


def _is_short(answer: Answer) -> bool:
    return answer.headers == EVENTS and len(answer.body) < _SHORT


def _same(answer: Answer, cuts: Cuts) -> None:
    uncut = _comparable(read(answer))
    for each in cuts:
        assert _comparable(read(answer, _pieces(answer.body, each))) == uncut, each


def _comparable(deltas: list[Delta]) -> list[Delta | str]:
    return [repr(delta) if isinstance(delta, Failed) else delta for delta in deltas]


def _single_cuts(answer: Answer) -> Cuts:
    return ((at,) for at in range(len(answer.body) + 1))


def _sizes(answer: Answer) -> Cuts:
    size = len(answer.body)
    return (tuple(range(step, size, step)) for step in range(1, 65))


def _partitions(answer: Answer) -> Cuts:
    chance = random.Random(answer.body)
    places = range(1, len(answer.body))
    return (
        tuple(sorted(chance.sample(places, chance.randrange(min(40, len(places))))))
        for _ in range(_PARTITIONS)
    )


def _pairs(answer: Answer) -> Cuts:
    return combinations(range(len(answer.body) + 1), 2)


@each_recording
@pytest.mark.parametrize("cuts", [_single_cuts, _sizes, _partitions], ids=["single", "sizes", "random"])
def test_a_recording_reads_the_same_however_it_is_cut(answer: Answer, cuts: Callable[[Answer], Cuts]) -> None:
    _same(answer, cuts(answer))


@pytest.mark.parametrize("answer", [each for each in ANSWERS if _is_short(each.values[0])])
def test_a_short_recording_reads_the_same_at_every_pair_of_cuts(answer: Answer) -> None:
    _same(answer, _pairs(answer))


@parametrized("shape", SHAPES.values(), one_in=10)  # each is read some thousand times
@given(data=st.data())
def test_a_generated_answer_reads_the_same_at_every_cut_and_in_pieces_of_every_size(
    shape: Shape, data: st.DataObject
) -> None:
    answer = data.draw(answers.answered(shape))
    _same(answer, _single_cuts(answer))
    _same(answer, _sizes(answer))
    _same(answer, _partitions(answer))


@settings(max_examples=max(4, settings().max_examples // 20))
@given(answer=st.sampled_from(list(SHAPES.values())).flatmap(answers.answered).filter(_is_short))
def test_a_short_generated_answer_reads_the_same_at_every_pair_of_cuts(answer: Answer) -> None:
    _same(answer, _pairs(answer))


@each_shape
@given(data=st.data())
def test_a_generated_answer_reads_the_same_however_it_is_cut(shape: Shape, data: st.DataObject) -> None:
    answer = data.draw(answers.answered(shape))
    cuts = data.draw(st.lists(st.integers(0, len(answer.body)), unique=True, max_size=30))
    _same(answer, iter([tuple(sorted(cuts))]))


@each_family
@given(
    data=st.data(),
    stops=st.none() | st.lists(st.text("abk<", min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_a_client_gets_the_same_answer_however_the_bytes_are_cut(
    family: Family, data: st.DataObject, stops: list[str] | None
) -> None:
    asked = data.draw(families.asked(family))
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stop": stops}
    got = []
    for size in (1, 3, 17, 10**6):
        exchange = translated(body, asked.model)
        answer = whole(exchange, deltas_of(exchange, [asked.answer.streamed()], size))
        # Behind a stop string the backend is left, and what it has cost by then depends on what was read.
        got.append(answer["choices"] if stops else answer)
    assert got == [got[0]] * len(got)


_LINES = st.lists(
    st.sampled_from(
        [b"data: a", b"data:", b"data", b"event: e", b": c", b"", b"id: 1", "data: ä\u2028\x85".encode()]
    )
)
_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


def _events(pieces: list[bytes], limit: int) -> list[Event | str]:
    decoder = EventDecoder(limit)
    events: list[Event | str] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        return [*events, *decoder.close()]
    except EventTooLongError as error:
        return [*events, *error.before, str(error)]


@given(lines=_LINES, ends=st.lists(_ENDS, min_size=1), limit=st.integers(4, 40), bom=st.booleans())
def test_events_are_the_same_for_any_bytes_and_any_limit(
    lines: list[bytes],
    ends: list[bytes],
    limit: int,
    bom: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    body = (b"\xef\xbb\xbf" if bom else b"") + b"".join(
        line + ends[number % len(ends)] for number, line in enumerate(lines)
    )
    uncut = _events([body], limit)
    for size in (1, 2, 3, 5, 7):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert _events(pieces, limit) == uncut


def test_an_empty_read_changes_nothing() -> None:
    answer = Answer(b'data: {"response":"a"}\r\n\r\ndata: [DONE]', {"content-type": "text/event-stream"})
    assert read(answer, [answer.body[:23], b"", answer.body[23:], b""], new_reader()) == read(answer)
