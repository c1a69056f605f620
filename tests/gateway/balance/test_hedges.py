"""The budget for asking two targets at once: a share of a route's requests."""

from gateway.balance.hedges import Hedges


def test_a_share_of_the_requests_may_be_hedged() -> None:
    hedges = Hedges()
    hedged = 0
    for _ in range(1000):
        hedges.earn("small", 0.05)
        hedged += hedges.take("small")
    assert 50 <= hedged <= 51


def test_the_first_request_of_a_route_may_be() -> None:
    hedges = Hedges()
    hedges.earn("small", 0.01)
    assert hedges.take("small")
    assert not hedges.take("small")


def test_little_is_saved_while_nothing_is_slow() -> None:
    hedges = Hedges()
    for _ in range(1000):
        hedges.earn("small", 0.5)
    assert sum(hedges.take("small") for _ in range(100)) == 5


def test_routes_have_budgets_of_their_own() -> None:
    hedges = Hedges()
    hedges.earn("small", 0.5)
    assert not hedges.take("large")
