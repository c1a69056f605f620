"""Tokens: they join to the text, depend on the seed alone, and are no fixed share of the characters."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.vocabulary import Vocabulary

WORDS = "The quick brown fox jumps over 13 lazy dogs, extraordinarily"


@given(text=st.text(), seed=st.integers(0, 9))
def test_tokens_join_to_the_text(text: str, seed: int) -> None:
    assert "".join(Vocabulary(seed).tokens(text)) == text


def test_tokens_depend_on_the_seed() -> None:
    assert list(Vocabulary(1).tokens(WORDS)) == list(Vocabulary(1).tokens(WORDS))
    assert list(Vocabulary(1).tokens(WORDS)) != list(Vocabulary(2).tokens(WORDS))


def test_the_count_is_not_characters_over_four() -> None:
    ratios = {
        round(len(text) / Vocabulary().count([text]), 1) for text in (WORDS, WORDS[:20], "1234567", "日本語")
    }
    assert len(ratios) > 2
    assert 4.0 not in ratios


def test_numbers_are_tokens_of_their_own() -> None:
    assert list(Vocabulary().tokens("in 2025")) == ["in", " ", "202", "5"]
