"""Laws 1 and 2 for servers of one's own: every body is put to some product."""

from collections import Counter
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tests.laws import bodies
from tests.laws.exchange import Translated, put_to
from translators.backends.openai_server.servers import SERVERS
from translators.errors import ApiError
from translators.report import Fate

Body = dict[str, Any]

BODIES: Final = bodies.any_bodies(media=None)
PRODUCTS: Final = st.sampled_from(sorted(SERVERS))

# What a dialogue, its tools, its form and its length are asked for with.
_FRAME: Final = frozenset({
    "model", "messages", "prompt", "stream", "stream_options", "stop", "tools", "tool_choice",
    "parallel_tool_calls", "response_format", "n",
})  # fmt: skip


def _put(body: Body, product: str) -> Translated:
    return put_to({**body, "model": "m"}, product)


def _refusal(body: Body, product: str) -> ApiError | None:
    try:
        assert _put(body, product).bodies
    except ApiError as error:
        return error
    return None


@given(body=BODIES, product=PRODUCTS)
def test_what_openai_allows_is_sent_in_fields_that_the_product_takes(body: Body, product: str) -> None:
    server = SERVERS[product]
    limit = server.limit if "messages" in body else "max_tokens"
    known = _FRAME | server.takes | set(server.renames.values()) | {limit}
    for sent in _put(body, product).bodies:
        assert sent.keys() <= known
        assert server.chooses or "n" not in sent
        assert server.takes_parallel or "parallel_tool_calls" not in sent
        assert ("stream" in sent) == ("stream_options" in sent)
        assert sent[limit] > 0


@given(body=bodies.spoilt(bodies.any_bodies()), product=PRODUCTS)
def test_a_body_of_any_kind_is_a_400_or_is_sent(body: Body, product: str) -> None:
    error = _refusal(body, product)
    assert error is None or (error.status == 400 and error.message)


@given(body=BODIES, product=PRODUCTS)
def test_each_parameter_has_one_fate_and_each_fate_but_kept_a_reason(body: Body, product: str) -> None:
    entries = _put(body, product).entries
    count = Counter(entry.parameter for entry in entries)
    assert {name: count[name] for name in body} == dict.fromkeys(body, 1)
    assert set(count.values()) == {1}
    for entry in entries:
        assert bool(entry.detail) == (entry.fate is not Fate.KEPT), entry


@given(body=BODIES, product=PRODUCTS)
def test_without_what_was_dropped_the_same_calls_are_sent(body: Body, product: str) -> None:
    whole = _put(body, product)
    dropped = {entry.parameter for entry in whole.entries if entry.fate is Fate.DROPPED}
    rest = {name: value for name, value in body.items() if name not in dropped}
    assert _put(rest, product).bodies == whole.bodies


@given(body=BODIES, product=PRODUCTS)
def test_null_says_nothing(body: Body, product: str) -> None:
    said = {name: value for name, value in body.items() if value is not None}
    assert _put(said, product).bodies == _put(body, product).bodies
