"""Law 3: however the backend's bytes are cut, the deltas are the same."""

import random
from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import answers
from tests.laws.exchange import EVENTS, Answer, new_reader, read
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


def _pieces(body: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise((0, *cuts, len(body)))]


def _is_short_stream(answer: Answer) -> bool:
    return answer.headers == EVENTS and len(answer.body) < _SHORT


def _same(answer: Answer, cuts: Iterator[tuple[int, ...]]) -> None:
    uncut = _comparable(read(answer))
    for each in cuts:
        assert _comparable(read(answer, _pieces(answer.body, each))) == uncut, each


def _comparable(deltas: list[Delta]) -> list[Delta | str]:
    return [repr(delta) if isinstance(delta, Failed) else delta for delta in deltas]


@each_recording
def test_every_single_cut_leaves_the_deltas_the_same(answer: Answer) -> None:
    _same(answer, ((at,) for at in range(len(answer.body) + 1)))


@each_recording
def test_every_size_of_pieces_leaves_the_deltas_the_same(answer: Answer) -> None:
    size = len(answer.body)
    _same(answer, (tuple(range(step, size, step)) for step in range(1, 65)))


@each_recording
def test_random_partitions_leave_the_deltas_the_same(answer: Answer) -> None:
    chance = random.Random(answer.body)
    places = range(1, len(answer.body))
    _same(
        answer,
        (
            tuple(sorted(chance.sample(places, chance.randrange(min(40, len(places))))))
            for _ in range(_PARTITIONS)
        ),
    )


@pytest.mark.parametrize("answer", [each for each in ANSWERS if _is_short_stream(each.values[0])])
def test_every_pair_of_cuts_leaves_the_deltas_of_a_short_stream_the_same(answer: Answer) -> None:
    _same(answer, combinations(range(len(answer.body) + 1), 2))


@st.composite
def _cut_streams(draw: st.DrawFn) -> tuple[Answer, tuple[int, ...]]:
    _, answer = draw(answers.ended_streams())
    cuts = draw(st.lists(st.integers(0, len(answer.body)), unique=True, max_size=30))
    return answer, tuple(sorted(cuts))


@given(cut=_cut_streams(), bytewise=st.booleans())
def test_a_generated_stream_reads_the_same_however_it_is_cut(
    cut: tuple[Answer, tuple[int, ...]],
    bytewise: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    answer, cuts = cut
    _same(answer, iter([tuple(range(1, len(answer.body))) if bytewise else cuts]))


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
