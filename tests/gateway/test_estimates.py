"""The estimate of a prompt's tokens learns each model's own way with text."""

import random
from statistics import median

import hypothesis.strategies as st
from hypothesis import given

from gateway.estimates import Estimates


def test_an_unknown_model_is_taken_to_speak_english() -> None:
    assert 240 <= Estimates().tokens("m", 1000) <= 280


def test_a_model_teaches_its_template_and_what_a_token_is_worth() -> None:
    estimates, chance = Estimates(), random.Random(1)
    for _ in range(200):
        length = chance.randrange(20, 8000)
        estimates.learn("m", length, round(90 + length / 2.5))
    errors = [
        abs(estimates.tokens("m", length) - (90 + length / 2.5)) / (90 + length / 2.5)
        for length in range(20, 8000, 97)
    ]
    assert median(errors) < 0.02
    assert max(errors) < 0.1
    assert estimates.tokens("other", 1000) == Estimates().tokens("other", 1000)


def test_what_is_long_ago_is_forgotten() -> None:
    estimates, chance = Estimates(), random.Random(2)
    for per_token in (6, 3):
        for _ in range(400):
            length = chance.randrange(20, 8000)
            estimates.learn("m", length, round(10 + length / per_token))
    assert abs(estimates.tokens("m", 3000) - 1010) < 50


def test_a_prompt_of_images_teaches_nothing_about_text() -> None:
    estimates = Estimates()
    before = estimates.tokens("m", 40)
    for _ in range(50):
        estimates.learn("m", 40, 30_000)
    assert estimates.tokens("m", 40) == before


def test_prompts_of_one_length_only_give_a_line_of_the_usual_slope() -> None:
    estimates = Estimates()
    for _ in range(2000):
        estimates.learn("m", 400, 300)
    assert abs(estimates.tokens("m", 400) - 300) <= 2
    assert 250 <= estimates.tokens("m", 4000) <= 4000


@given(
    learnt=st.lists(st.tuples(st.integers(0, 10**7), st.integers(-5, 10**7)), max_size=60),
    length=st.integers(0, 10**8),
)
def test_an_estimate_is_a_token_at_least_and_no_more_than_the_bytes_and_a_template(
    learnt: list[tuple[int, int]], length: int
) -> None:
    estimates = Estimates()
    for prompt_bytes, tokens in learnt:
        estimates.learn("m", prompt_bytes, tokens)
    assert 1 <= estimates.tokens("m", length) <= 10**7 + length + 4096


def test_memory_is_bounded() -> None:
    estimates = Estimates()
    for number in range(3000):
        estimates.learn(f"m{number}", 100, 30)
    assert len(estimates._lines) <= 1024
