"""Call ids that hold, and custom tools as functions."""

import pytest

from translators.call import Stamp
from translators.tools import mint_call_id, restore_call_id, unwrap_custom, wrap_custom

STAMP = Stamp(1, "0123456789abcdefghijklmn")


def test_an_id_is_made_of_the_stamp_the_place_and_the_backends_id() -> None:
    assert mint_call_id(STAMP, 1, 2, None) == "call_ps0123456789abx1x2"
    assert mint_call_id(STAMP, 1, 2, "functions.f:0") == "call_ps0123456789abx1x2-ZnVuY3Rpb25zLmY6MA"


@pytest.mark.parametrize("call_id", ["call_ps0123456789abx0x0-A", "call_ps0123456789abx0x0-_w", "call_1", ""])
def test_an_id_that_carries_nothing_readable_stays_as_it_is(call_id: str) -> None:
    assert restore_call_id(call_id) == call_id


def test_a_custom_tools_input_travels_as_arguments() -> None:
    assert wrap_custom('a"b') == '{"input":"a\\"b"}'
    assert unwrap_custom(wrap_custom('a"b')) == 'a"b'


@pytest.mark.parametrize("arguments", ["", "no json", '{"other":1}', '{"input":5}', "[1]", "[" * 5000])
def test_arguments_of_another_form_are_the_input_themselves(arguments: str) -> None:
    assert unwrap_custom(arguments) == arguments
