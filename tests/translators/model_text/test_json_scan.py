"""JSON text followed while it comes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.model_text.json_scan import MAX_DEPTH, Event, Scanner

NUMBER = "1" * 401


def followed(*pieces: str) -> tuple[list[Event], int, bool, bool]:
    scanner = Scanner()
    events = [event for piece in pieces for event in scanner.feed(piece)]
    return events, scanner.settled, scanner.broken, scanner.closed


def test_what_is_found() -> None:
    events, settled, broken, closed = followed('{"a": [1], "b": "c"} d')
    assert events == [
        Event("value", 0, 0, 0),
        Event("key", 1, 1, 4),
        Event("value", 1, 1, 6),
        Event("value", 2, 7, 7),
        Event("end", 2, 7, 8),
        Event("end", 1, 6, 9),
        Event("key", 1, 11, 14),
        Event("value", 1, 9, 16),
        Event("end", 1, 16, 19),
        Event("end", 0, 0, 20),
    ]
    assert (settled, broken, closed) == (20, False, True)


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ('{"a": 1, ', 7),  # the comma may be one too many
        ('{"a": 1, "b', 7),
        ('{"a": 1, "b": ', 7),
        ('{"a": 1, "b": "', 15),
        ('{"a": 1, "b": "c\\', 16),
        ('{"a": 1, "b": "c\\u00', 16),
        ('{"a": 1, "b": tr', 14),
        ("[1, ", 2),
        ("[12", 1),
        ("[ ", 2),
        ("  ", 0),
    ],
)
def test_what_nothing_that_follows_can_change(text: str, settled: int) -> None:
    assert followed(text)[1:] == (settled, False, False)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        '"a"',
        "x",
        "]",
        "{'a': 1}",
        "{a: 1}",
        '{"a" 1}',
        '{"a": }',
        '{"a": 1,}',
        '{"a": 1]',
        '{"a": 1 2}',
        "[1,]",
        "[,]",
        "[tru]",
        "[01]",
        "[True]",
        "[1.]",
        f"[{NUMBER}]",
        '["\n"]',
        '["\\x"]',
        '["\\u00g0"]',
        "[:]",
        "[" * (MAX_DEPTH + 1),
    ],
)
def test_what_cannot_become_json(text: str) -> None:
    assert followed(text)[2]
    assert followed(*text)[:3] == followed(text)[:3]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    value=st.lists(_JSON, max_size=4) | st.dictionaries(st.text(max_size=4), _JSON, max_size=4),
    indent=st.sampled_from([None, 1]),
    cut=st.integers(0, 60),
)
def test_json_is_followed_to_its_end_however_it_is_cut(value: Any, indent: int | None, cut: int) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    whole = followed(text)
    assert whole[1:] == (len(text), False, True)
    assert followed(*text) == followed(text[:cut], text[cut:]) == whole
    ends = [event for event in whole[0] if event.kind == "end"]
    assert json.loads(text[ends[-1].start : ends[-1].end]) == value
    assert all(json.loads(text[event.start : event.end]) is not Ellipsis for event in ends)


@given(text=st.text(alphabet='{}[]":,\\ u0a1-.etrufalsn\n', max_size=30), cut=st.integers(0, 30))
def test_any_text_is_followed_alike_however_it_is_cut(text: str, cut: int) -> None:
    assert followed(*text)[:2] == followed(text[:cut], text[cut:])[:2] == followed(text)[:2]
