"""What clients read when a limit refuses them, and the headers that say where they stand."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gateway.admission.refusals import refused_by_lease, refused_by_window
from gateway.limits import bill, duration, standing
from gateway.quota import Burst, Quota

_BILL = bill([
    ("key_1", "key 'ci'", Quota(rpm=60, rpd=1000, tpm=9000, concurrency=4, burst=Burst(0.5, requests=9))),
])  # fmt: skip
_RPM, _RPD, _TPM, _BURST = _BILL.windows


def test_a_full_window_is_told_as_openai_tells_it() -> None:
    error = refused_by_window(_RPM, 1, 60, 3.04)
    assert (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert error.message == (
        "Rate limit reached for key 'ci' on requests per min (RPM): "
        "Limit 60, Used 60, Requested 1. Please try again in 3.1s."
    )
    assert error.retry_after == 3.04
    assert not error.is_hopeless


def test_a_day_s_window_says_so_and_that_asking_again_soon_is_vain() -> None:
    error = refused_by_window(_RPD, 1, 1000, 7201)
    assert "on requests per day (RPD): Limit 1000" in error.message
    assert "in 2h0m1s" in error.message
    assert error.is_hopeless


def test_more_than_the_limit_never_passes() -> None:
    error = refused_by_window(_TPM, 9001, 0, None)
    assert error.type == "tokens"
    assert error.message.startswith("Request too large for key 'ci' on tokens per min (TPM): Limit 9000")
    assert "lower max_tokens" in error.message
    assert error.retry_after is None
    assert error.is_hopeless


def test_a_burst_names_its_seconds() -> None:
    assert "on requests per 0.5 s (burst): Limit 9" in refused_by_window(_BURST, 1, 9, 0.2).message


def test_too_many_in_flight() -> None:
    error = refused_by_lease(_BILL.leases[0], 4)
    assert "on concurrent requests: Limit 4, Used 4, Requested 1." in error.message
    assert error.retry_after == 1


def test_the_headers_show_the_tightest_window_of_each_unit() -> None:
    assert standing(_BILL, [0, 0, 0, 0]) == []
    assert dict(standing(_BILL, [2, 40, 3, -3])) == {
        b"x-ratelimit-limit-requests": b"1000",
        b"x-ratelimit-remaining-requests": b"40",
        b"x-ratelimit-reset-requests": b"24h24m0s",
        b"x-ratelimit-limit-tokens": b"9000",
        b"x-ratelimit-remaining-tokens": b"0",
        b"x-ratelimit-reset-tokens": b"1m1s",
    }


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "1ms"),
        (0.0204, "21ms"),
        (0.9999, "1000ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.95, "60s"),
        (60, "1m0s"),
        (86_340.2, "23h59m1s"),
    ],
)
def test_times_are_written_as_openai_writes_them(seconds: float, written: str) -> None:
    assert duration(seconds) == written


@given(st.floats(0, 10**7))
def test_a_written_time_is_never_too_short(seconds: float) -> None:
    rest, total = duration(seconds), 0.0
    if rest.endswith("ms"):
        total = int(rest[:-2]) / 1000
    else:
        for unit, worth in (("h", 3600), ("m", 60), ("s", 1)):
            number, mark, after = rest.partition(unit)
            if mark:
                total, rest = total + float(number) * worth, after
    assert seconds <= total <= seconds + 1.0
