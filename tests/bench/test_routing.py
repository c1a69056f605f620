"""Routing keeps its promises.

How long requests wait under a heavy load hangs on the machine, which tests share: it is for the bench to show
over sockets, and for `test_fleets` in simulated time.
"""

import asyncio

from tests.bench import routing


def test_no_request_is_lost_and_none_goes_astray() -> None:
    scenes = (routing.faults, routing.prefixes, routing.away, routing.cost)
    figures = asyncio.run(routing.show(routing.QUICK, scenes))
    assert routing.flaws(figures, routing.QUICK) == []
    assert figures["away"]["with 503 alone: requests while it was away"] > 50


def test_what_is_wrong_is_told() -> None:
    wrong = {
        "faults": {"hang at one of three: failed requests": 1},
        "waits": {"least_loaded, our own view: p99 / by turns": 0.71},
        "prefixes": {"follow-up turns where their prefix is": 0.89},
    }
    assert [words.partition(":")[0] for words in routing.flaws(wrong, routing.FULL)] == list(wrong)
    assert routing.flaws({"prefixes": {"follow-up turns where their prefix is": 0.9}}, routing.FULL) == []
