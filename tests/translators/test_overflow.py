"""The one sentence about a context that is too small."""

import pytest

from translators.overflow import WindowError, overflow, tells_of_overflow

TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. "
    "Please reduce the length of the messages. (context_length_exceeded)"
)
LESS = " The 16000 tokens asked for as the answer count too: a smaller max_tokens may do."


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (TOO_LONG, ""),
        ("This model's maximum context length is 4,096 tokens; your request has 5,000 input tokens.", ""),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", ""),
        ("the request (5000 tokens) exceeds the available context size (4096 tokens), try more", ""),
        (
            (
                "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
                "requested a total of 21000 tokens: 5000 tokens from the input messages and 16000 tokens for "
                "the completion."
            ),
            LESS,
        ),
        (
            (
                "This model's maximum context length is 4096 tokens.\nHowever, you requested 16000 output "
                "tokens and your prompt contains\nat least 5000 input tokens, for a total of at "
                "least 21000 tokens."
            ),
            LESS,
        ),
        (
            (
                "This model's maximum context length is 4096 tokens. However, you requested 21000 tokens "
                "(5000 in the messages, 16000 in the completion). Please reduce the length."
            ),
            LESS,
        ),
        (
            (
                "'max_tokens' is too large: 16000. This model's maximum context length is 4096 tokens and "
                "your request has 5000 input tokens."
            ),
            LESS,
        ),
        ("maximum context length is 4096 tokens. However, you requested 5000 tokens", ""),
    ],
)
def test_the_numbers_of_every_engine_are_read(text: str, more: str) -> None:
    assert tells_of_overflow(text)
    assert overflow(text).message == TOO_LONG + more


@pytest.mark.parametrize(
    "text",
    [
        "",
        "context_length_exceeded",
        "maximum context length of 262144 tokens",
        "The input (5000 tokens) is too long",
    ],
)
def test_without_numbers_every_reader_still_finds_its_words(text: str) -> None:
    error = overflow(text)
    assert error.code == "context_length_exceeded"
    for words in ("maximum context length", "reduce the length of the messages", "context_length_exceeded"):
        assert words in error.message
    assert ("262144" in error.message) == ("262144" in text)
    assert ("5000" in error.message) == ("5000" in text)


def test_the_sentence_is_ours_and_stays_where_quotes_are_forbidden() -> None:
    error = overflow(TOO_LONG)
    assert error.unquoted().message == error.message


def test_other_refusals_are_no_overflow() -> None:
    assert not tells_of_overflow("Invalid data for image - reason invalid base64 encoding")


MOST = "max_completion_tokens is too large: 262144. This model supports at most 256000 completion tokens."
CAPTURED = (
    "Requested token count exceeds the model's maximum context length of 262144 tokens. You requested a "
    "total of 263925 tokens: 199925 tokens from the input messages and 64000 tokens for the completion."
)


@pytest.mark.parametrize(
    ("text", "window", "prompt", "room"),
    [
        (CAPTURED, 262144, 199925, 62219),
        (
            (
                "This model's maximum context length is 131072 tokens.\nHowever, you requested 16000 output "
                "tokens and your prompt contains\nat least 115073 input tokens, for a total of at least "
                "131073 tokens."
            ),
            131072,
            None,  # where vLLM stopped counting
            None,
        ),
        (MOST, 256000, None, None),
        (
            "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            4096,
            5000,
            -904,
        ),
        ("the request (5000 tokens) exceeds the available context size (4096 tokens)", 4096, 5000, -904),
        ("context_length_exceeded", None, None, None),
        (f"enum {CAPTURED} not in user,assistant at '/messages/0/role'", None, None, None),
        ("maximum context length is 5 tokens", None, None, None),
    ],
)
def test_window_and_room_are_learnt_from_an_engines_own_words_alone(
    text: str, window: int | None, prompt: int | None, room: int | None
) -> None:
    error = overflow(text)
    assert (error.window, error.prompt, error.room) == (window, prompt, room)


def test_an_answer_that_no_prompt_would_have_room_for_is_told_as_such() -> None:
    assert tells_of_overflow(MOST)
    error = overflow(MOST)
    assert (error.code, error.param) == ("invalid_value", "max_tokens")
    assert error.message == (
        "This model's answers have at most 256000 tokens, and 262144 were asked for. Send a smaller "
        "'max_tokens'."
    )
    assert isinstance(error.unquoted(), WindowError)
    assert "were asked for" not in overflow("This model supports at most 256000 completion tokens.").message
