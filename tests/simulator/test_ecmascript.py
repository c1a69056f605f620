"""Values printed, counted and compared as JavaScript does."""

import pytest

from gateway.simulator import ecmascript


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (100, "100"),
        (0.001, "0.001"),
        (123.456, "123.456"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (-2.5e-9, "-2.5e-9"),
        (9007199254740993, "9007199254740992"),
        (float("inf"), "Infinity"),
    ],
)
def test_a_number_is_written_as_javascript_does(number: float, text: str) -> None:
    assert ecmascript.number_text(number) == text


def test_a_whole_number_that_no_double_holds_is_infinite() -> None:
    huge = "1" + "0" * 309
    read = ecmascript.decode(f'{{"a":[{huge},-{huge},"{huge}",true,{huge[:-1]}],"b":{{"c":1}}}}'.encode())
    assert read == {"a": [float("inf"), float("-inf"), huge, True, 10**308], "b": {"c": 1}}
    assert ecmascript.decode(b'{"a":1}') == {"a": 1}


def test_keys_that_are_indices_come_first_in_ascending_order() -> None:
    assert ecmascript.keys({"b": 1, "10": 2, "9": 3, "01": 4}) == ["9", "10", "b", "01"]


def test_length_counts_utf_16_code_units() -> None:
    assert ecmascript.length("a\U0001f600") == 3


@pytest.mark.parametrize(("left", "right"), [(1, True), (None, False), ("1", 1), ({}, {}), ([], [])])
def test_unlike_values_are_not_strictly_equal(left: object, right: object) -> None:
    assert not ecmascript.strictly_equal(left, right)
