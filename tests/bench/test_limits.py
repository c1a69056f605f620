"""Limits hold on several workers; the figures that hang on the speed of the machine are the bench's alone."""

import asyncio
from statistics import median

from tests.bench import estimates, limits


def test_no_limit_is_passed_on_four_workers_and_nothing_is_lost() -> None:
    scenes = (limits.bursts, limits.tokens, limits.concurrency, limits.store_deaths, limits.revoked)
    figures = asyncio.run(limits.show(limits.QUICK, scenes))
    assert limits.flaws(figures) == []
    assert figures["bursts"]["admitted in any window / limit"] > 0.5
    assert figures["concurrency"]["refused"] > 0


def test_what_is_surely_inside_a_window_is_counted() -> None:
    asked = [
        limits.Asked(0.0, 0.1, 200, 5),
        limits.Asked(0.5, 0.6, 200, 7),
        limits.Asked(0.7, 0.8, 429),
        limits.Asked(0.9, 1.2, 200, 9),  # may have been admitted after the first window
    ]
    assert limits.most_inside(asked, 1.0, lambda each: each.tokens) == 16
    assert limits.most_inside(asked[:2], 1.0, lambda _each: 1) == 2


def test_what_is_wrong_is_told() -> None:
    assert limits.flaws({"store_deaths": {"keys lost": 1}}) == ["store_deaths: keys lost is 1"]
    assert limits.flaws({"steady": {"share of the limit under steady demand": 0.5}}) != []


def test_a_vocabulary_that_nobody_told_is_learnt_from_usage() -> None:
    (errors,) = asyncio.run(estimates.measure(60, estimates.MODELS[:1])).values()
    assert median(errors) < 0.1
