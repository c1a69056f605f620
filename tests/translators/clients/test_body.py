"""A client's JSON, read with errors that name the parameter."""

from collections.abc import Callable
from typing import Any

import pytest

from translators.clients import body
from translators.errors import ApiError


def _error(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.status == 400
    return caught.value


def test_of_a_doubled_key_the_last_value_counts() -> None:
    assert body.decode(b'{"a":1,"a":2}') == {"a": 2}


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":"\xff"}', b"1" * 5000, b'{"a":"\\ud800"}', b"[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(raw: bytes) -> None:
    assert _error(lambda: body.decode(raw)).code == "invalid_json"


def test_what_is_no_object_is_a_wrong_type() -> None:
    assert _error(lambda: body.decode(b"[1]")).message == "'body' must be a JSON object, but it is an array."


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (body.text, 1, "a string"),
        (body.filled, None, "a string"),
        (body.boolean, 1, "a boolean"),
        (body.number, True, "a number"),
        (body.number, "1", "a number"),
        (body.integer, 1.5, "a whole number"),
        (body.integer, False, "a number"),
        (body.obj, [], "an object"),
        (body.array, {}, "an array"),
        (body.stops, {}, "a string or an array of strings"),
        (body.one_of("a"), 1, "a string"),
    ],
)
def test_a_wrong_type_is_named(read: Callable[[Any, str], object], value: Any, wanted: str) -> None:
    error = _error(lambda: read(value, "x"))
    assert (error.param, error.code) == ("x", "invalid_type")
    assert f"'x' must be {wanted}" in error.message


def test_numbers_keep_their_kind_and_whole_floats_count_as_integers() -> None:
    assert repr([body.number(1, "x"), body.number(1.5, "x"), body.integer(3.0, "x")]) == "[1, 1.5, 3]"


def test_a_range_is_inclusive() -> None:
    read = body.IntegerIn(1, 3)
    assert (read(1, "n"), read(3.0, "n")) == (1, 3)
    assert _error(lambda: read(4, "n")).message == "'n' must be from 1 to 3, but it is 4."


def test_a_word_out_of_the_list_is_answered_with_the_list() -> None:
    assert body.one_of("a", "b")("b", "x") == "b"
    assert _error(lambda: body.one_of("a", "b")("c", "x")).message == "'x' must be one of 'a', 'b'."


def test_a_required_field_is_neither_missing_nor_null() -> None:
    assert body.required({"a": 0}, "a") == 0
    assert _error(lambda: body.required({}, "a")).param == "a"
    assert _error(lambda: body.required({"b": None}, "b", "a")).param == "a.b"


def test_an_empty_string_is_not_filled() -> None:
    assert _error(lambda: body.filled("", "x")).code == "empty_string"


def test_stops_are_one_string_or_several() -> None:
    assert body.stops("a", "stop") == ("a",)
    assert body.stops(["a", "b"], "stop") == ("a", "b")
    assert _error(lambda: body.stops(["a", ""], "stop")).param == "stop[1]"


def test_stops_are_at_most_four_and_none_is_a_page_long() -> None:
    longest = "x" * body.LONGEST_STOP
    assert body.stops([longest] * 4, "stop") == (longest,) * 4
    error = _error(lambda: body.stops(["a"] * 5, "stop"))
    assert (error.param, error.code) == ("stop", "array_above_max_length")
    assert error.message == "'stop' takes at most 4 elements, but it has 5."
    for value, place in ((f"{longest}x", "stop"), (["a", f"{longest}x"], "stop[1]")):
        error = _error(lambda value=value: body.stops(value, "stop"))  # type: ignore[misc]  # bound at once
        assert (error.param, error.code) == (place, "string_above_max_length")
