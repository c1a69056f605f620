"""Whether a call may begin behind a text."""

import pytest

from translators.model_text.prose import Prose


@pytest.mark.parametrize(
    ("text", "has_room"),
    [
        ("", True),
        ("Hi\n", True),
        ("Hi\n  ", True),
        ("Sure! ", True),
        ("Hi.", True),
        ("\u597d\u3002", True),
        ("Write ", False),
        ("Like this: ", False),
        ("`", False),
        ("5", False),
        ("```\n", False),
        ("```xml\na.\n", False),
        ("a\n  ```\n", False),
        ("```\na\n```\n", True),
        ("> ", False),
        ("> Hi. ", False),
        ("| ", False),
        ("``\n", True),
        ("a ```\n", True),
    ],
)
def test_a_call_begins_a_line_or_a_sentence_outside_of_code(text: str, *, has_room: bool) -> None:
    whole, pieces = Prose(), Prose()
    whole.take(text)
    for character in text:
        pieces.take(character)
    assert whole.has_room == pieces.has_room == has_room
