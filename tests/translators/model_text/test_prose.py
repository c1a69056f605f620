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


@pytest.mark.parametrize(
    ("before", "has_room"),
    [
        ("For example:\n", False),
        ("Two examples, of many:\n\n", False),
        ("One writes (e.g. here):\n", False),
        ("For instance, in Qwen's words:\n \n", False),
        ("I look it up:\n", True),
        ("An example is no call.\n", True),
        ("For example:\nnothing.\n", True),
    ],
)
def test_behind_a_line_that_announces_an_example_a_call_is_shown(before: str, *, has_room: bool) -> None:
    prose = Prose()
    prose.take(before)
    assert prose.has_room == prose.begins_line == has_room


def test_what_is_inside_of_a_call_that_is_shown_is_shown() -> None:
    prose = Prose()
    prose.take("So ")
    prose.show("<tool_call>")
    prose.take("\n")
    assert not prose.has_room  # for the next mark of the same call
    prose.take("so.\n")
    assert prose.has_room
