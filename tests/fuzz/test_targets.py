"""Each target with its seeds, with all that was found once, and with what hypothesis thinks of."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.__main__ import SHARES
from tests.fuzz.seeds import FOUND, seeds
from tests.laws import bodies

CHOICES = st.binary(min_size=3, max_size=3)
JSON = (bodies.JSON_VALUES | bodies.spoilt(bodies.any_bodies())).map(msgspec.json.encode)
NAMES = st.sampled_from([
    b"authorization", b"x-api-key", b"api-key", b"content-type", b"content-encoding", b"content-length",
    b"host", b"transfer-encoding", b"expect", b"connection", b"upgrade", b"retry-after", b"retry-after-ms",
])  # fmt: skip
VALUES = st.binary(max_size=12) | st.sampled_from([
    b"Bearer sk-ps-fuzzed-0123456789", b"bearer", b"chunked", b"identity", b"gzip", b"application/json",
    b"close", b"100-continue", b"keep-alive", b"99999999999", b"-1", b"5", b"h2c",
    b"Wed, 21 Oct 2015 07:28:00 GMT",
])  # fmt: skip
LINES = st.sampled_from(
    [b"POST / HTTP/1.1", b"HEAD /v1 HTTP/1.0", b"HTTP/1.1 200 OK", b"HTTP/1.1 103 Wait", b""]
)
HEADERS = st.lists(st.tuples(NAMES | st.binary(max_size=4), VALUES).map(b": ".join), max_size=6)
PIECES = st.sampled_from([
    b"data: ", b"data:", b"event: x", b"\n", b"\r", b"\r\n", b"\n\n", b": ", b"[DONE]", b'{"response": "x"}',
    b'{"response": null, "usage": {"prompt_tokens": 1, "completion_tokens": 2}}', b"\xef\xbb\xbf", b"\xff",
])  # fmt: skip

Target = Callable[[bytes], None]


@pytest.mark.parametrize("name", targets.TARGETS)
def test_no_seed_and_nothing_that_was_found_breaks_a_target(name: str) -> None:
    inputs = list(seeds(name))
    assert inputs
    for each in inputs:
        targets.TARGETS[name](each)


def test_all_targets_are_fuzzed_and_all_that_was_found_has_a_target() -> None:
    assert SHARES.keys() == targets.TARGETS.keys()
    assert sum(SHARES.values()) == pytest.approx(1)
    assert {each.name for each in FOUND.glob("*")} <= targets.TARGETS.keys()


@given(chosen=st.binary(min_size=1, max_size=1), raw=JSON | st.binary())
def test_a_body_of_any_kind_becomes_calls_or_an_error_about_the_request(chosen: bytes, raw: bytes) -> None:
    targets.body(chosen + raw)


@given(chosen=CHOICES, pieces=st.lists(PIECES | JSON | st.binary(max_size=8), max_size=12))
def test_an_answer_of_any_kind_ends_once_and_is_the_same_in_pieces(
    chosen: bytes, pieces: list[bytes]
) -> None:
    targets.events(chosen + b"".join(pieces))


@given(line=LINES, fields=HEADERS, rest=st.binary(max_size=40))
def test_headers_of_any_kind_are_read_within_bounds(line: bytes, fields: list[bytes], rest: bytes) -> None:
    targets.headers(b"\r\n".join([line, *fields, b"", rest]))
