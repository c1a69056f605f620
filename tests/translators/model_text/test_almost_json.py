"""JSON that a model almost wrote."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.model_text.almost_json import Attempt, attempt, decoded, mend
from translators.model_text.json_scan import MAX_DEPTH, Scanner


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("{'a': 'b'}", '{"a": "b"}'),
        ("{'a': 'it\\'s'}", '{"a": "it\'s"}'),
        ('{"a": "it\\\'s"}', '{"a": "it\'s"}'),
        ("{'a': 'say \"b\"'}", '{"a": "say \\"b\\""}'),
        ('{"a": "it\'s"}', '{"a": "it\'s"}'),
        ("{a: 1, $b_c-2 : 2}", '{"a": 1, "$b_c-2" : 2}'),
        ('{"a": [1, 2, ], }', '{"a": [1, 2 ] }'),
        ("{'a': True, 'b': [False, None]}", '{"a": true, "b": [false, null]}'),
        ('{"a": "b\nc\t"}', '{"a": "b\\u000ac\\u0009"}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        (" ```\n[1]``` \n", "[1]"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"a": 1}{"a":1} {"a": 1.0}', '{"a": 1}'),
        ('{"a": {"b": [1, {', '{"a": {"b": [1, {}]}}'),
        ('{"a": 1, ', '{"a": 1 }'),
        ('{"a": 1, // one\n "b": 2 # two\n}', '{"a": 1, \n "b": 2 \n}'),
        ("/* so */[1/* one */, /**/2] // no more", "[1, 2]"),
        ('{/**/"a"/**/:/**/1/**/}', '{"a":1}'),
        ('{"a": "//b", "c": "#", "d": "/*"}', '{"a": "//b", "c": "#", "d": "/*"}'),
        (" {}", " {}"),
        ("[]", "[]"),
    ],
)
def test_a_slip_is_mended(text: str, mended: str) -> None:
    assert mend(text) == mended


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "1",
        '"a"',
        '"a',
        '{"a": "b',  # a value that was cut
        "{'a': 'b\\",
        '{"a": tru',
        '{"a": 01}',
        '{"a": }',
        '{"a"',
        '{"a" 1}',
        "{1: 2}",
        "{,}",
        "[1,,2]",
        '{"a": 1 "b": 2}',
        '{"a": [1}',
        '{"a": "\\x"}',
        '{"a": b}',
        '{"a": 1}{"a": 2}',
        '{"a": 1} and so on',
        '{"a": 1 / 2}',
        "```json\n{}",
        "[" * (MAX_DEPTH + 1),
    ],
)
def test_nothing_is_guessed(text: str) -> None:
    assert mend(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{'a': 1} and so on", Attempt('{"a": 1}', 8)),
        ('{"a": [1', Attempt(None, 8, is_cut=True, is_meant=True)),
        ('{"a": tru', Attempt(None, 9, is_cut=True, is_meant=True)),
        ("['a", Attempt(None, 3, is_cut=True)),
        ("[1 /* one", Attempt(None, 9, is_cut=True, is_meant=True)),
        ("[see]", Attempt(None, 4)),
        ("[1 here]", Attempt(None, 3)),
        ("{{}", Attempt(None, 1)),
        ('{"a"}', Attempt(None, 4, is_meant=True)),
        ("{a: b}", Attempt(None, 5, is_meant=True)),
        ("[[] []]", Attempt(None, 4, is_meant=True)),
        ("[" * (MAX_DEPTH + 9), Attempt(None, MAX_DEPTH, is_meant=True)),
    ],
)
def test_an_attempt_says_how_far_it_came_and_what_it_found_there(text: str, found: Attempt) -> None:
    assert attempt(text) == found


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_CONTAINERS = st.lists(_JSON, max_size=4) | st.dictionaries(st.text(max_size=4), _JSON, max_size=4)


@given(value=_CONTAINERS, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_valid_json_stays_as_it_is(value: object, indent: int | None, *, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert mend(text) == text


@given(value=_CONTAINERS)
def test_what_python_writes_is_read(value: object) -> None:
    text = str(value)
    mended = mend(text)
    assert mended is None or decoded(mended) == value or "\\" in text


_PIECES = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            '"',
            "'",
            ":",
            ",",
            "a",
            "1",
            " ",
            "\\",
            "true",
            "None",
            "\n",
            "```",
            "//",
            "/*",
            "*/",
            "#",
        ]
    )
)


@given(pieces=_PIECES)
def test_what_was_valid_before_the_first_slip_is_the_beginning_of_what_is_mended(pieces: list[str]) -> None:
    text = "".join(pieces)
    scanner = Scanner()
    scanner.feed(text)
    mended = mend(text)
    assert mended is None or mended.startswith(text[: scanner.settled])
    assert mended is None or isinstance(decoded(mended), dict | list)


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        '{"a": 1}',
        "```\n",
        "```" + "\n" * 99,
        "{'a': '" + '"' * 99,
        '"' + '\\"' * 50,
        "['a', ",
        "[/**/",
        "[#\n",
        "[/*",
    ],
)
def test_long_text_takes_time_in_proportion(piece: str) -> None:
    # What grew with the square would take sixty-four times as long for eight times as much.
    short, long = (piece * (size // len(piece)) for size in (20_000, 160_000))
    mend(short)
    assert _seconds(long) < 24 * _seconds(short) + 0.2


def _seconds(text: str) -> float:
    begun = time.process_time()
    mend(text)
    return time.process_time() - begun
