"""What a call says of a request is the same whoever comes with it: its own bill, and the bill's own keys."""

from typing import Any

import msgspec

from gateway.admission import batch
from gateway.admission.batch import Ask, Settlement
from gateway.limits import Bill, bill
from gateway.quota import Quota

LEASE = 60_000


def test_a_bill_in_other_company_is_charged_to_the_same_windows() -> None:
    one, other = _bill("one"), _bill("other")
    for company in ([one], [one, other], [other, one], [one], [other, one, other]):
        asks = [Ask(f"exchange-{number}", made, number) for number, made in enumerate(company)]
        assert _charged(asks) == [
            (ask.exchange, ask.tokens, [window.key for window in ask.bill.windows], list(ask.bill.held))
            for ask in asks
        ]


def test_what_ends_in_other_company_gives_back_what_it_held() -> None:
    one, other = _bill("one"), _bill("other")
    for company in ([one], [one, other], [other, one], [one], [other, one, other]):
        items = [
            Settlement(f"exchange-{number}", 7, -number, made.counted, made.held)
            for number, made in enumerate(company)
        ]
        assert _given_back(items) == [
            (item.exchange, item.amount, [key for key, _slot in item.windows], list(item.leases))
            for item in items
        ]


def _bill(place: str) -> Bill:
    return bill([("all", "all", Quota(rpm=5)), (place, place, Quota(tpm=10, concurrency=2))])


def _charged(asks: list[Ask]) -> list[Any]:
    keys, [argument] = batch.admission(asks, LEASE)
    widths, _leases, _records, _lease, bills, rows = msgspec.msgpack.decode(argument)
    return [
        (
            exchange,
            tokens,
            [keys[window - 1] for window, _limit, _unit in bills[number - 1][0]],
            [keys[len(widths) + lease - 1] for lease, _limit in bills[number - 1][1]],
        )
        for exchange, number, tokens in rows
    ]


def _given_back(items: list[Settlement]) -> list[Any]:
    keys, [argument] = batch.settlement(items)
    widths, _leases, holdings, rows = msgspec.msgpack.decode(argument)
    return [
        (
            exchange,
            amount,
            [keys[window - 1] for window in holdings[number - 1][0]],
            [keys[len(widths) + lease - 1] for lease in holdings[number - 1][1]],
        )
        for exchange, _at, amount, number, _kind in rows
    ]
