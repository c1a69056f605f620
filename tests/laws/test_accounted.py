"""Law 2: each parameter that the client sent has exactly one fate, and what the report says is true."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.laws import bodies
from tests.laws.exchange import SEED, Translated, translated
from translators.report import HEADER_LIMIT, Entry, Fate, header, refuse_dropped

BODIES = bodies.any_bodies(media=None)

# Fields of the schema that carry the client's value under the client's name.
_OWN = (
    "temperature", "top_p", "top_k", "seed", "repetition_penalty", "frequency_penalty", "presence_penalty",
    "lora",
)  # fmt: skip


@given(body=BODIES)
def test_each_parameter_that_was_sent_has_exactly_one_entry(body: dict[str, Any]) -> None:
    count = Counter(entry.parameter for entry in translated(body).entries)
    assert {name: count[name] for name in body} == dict.fromkeys(body, 1)
    assert set(count.values()) == {1}


@given(body=BODIES)
def test_what_was_not_sent_is_listed_only_where_something_was_added(body: dict[str, Any]) -> None:
    added = [entry for entry in translated(body).entries if entry.parameter not in body]
    assert all(entry.fate in {Fate.DEFAULTED, Fate.EMULATED} for entry in added)


@given(body=BODIES)
def test_every_fate_but_kept_has_a_reason(body: dict[str, Any]) -> None:
    for entry in translated(body).entries:
        assert bool(entry.detail) == (entry.fate is not Fate.KEPT), entry


@given(body=BODIES)
def test_without_what_was_dropped_the_same_calls_are_sent(body: dict[str, Any]) -> None:
    whole = translated(body)
    dropped = {entry.parameter for entry in whole.entries if entry.fate is Fate.DROPPED}
    rest = translated({name: value for name, value in body.items() if name not in dropped})
    assert rest.bodies == whole.bodies
    assert not any(entry.fate is Fate.DROPPED for entry in rest.entries)


@given(body=BODIES)
def test_what_is_kept_is_sent_as_it_came_and_what_is_clamped_is_not(body: dict[str, Any]) -> None:
    exchange = translated(body)
    fates = exchange.fates()
    for name in _OWN:
        sent = [each.get(name) for each in exchange.bodies]
        as_it_came = [body.get(name)] * len(sent)
        if body.get(name) is None:
            assert not any(name in each for each in exchange.bodies)
        elif fates[name] == "kept":
            assert sent == as_it_came
        else:
            assert fates[name] in {"clamped", "transformed"}
            assert sent != as_it_came


@given(body=BODIES)
def test_null_says_nothing(body: dict[str, Any]) -> None:
    exchange = translated(body)
    nulls = {name for name, value in body.items() if value is None}
    without = translated({name: value for name, value in body.items() if name not in nulls})
    assert exchange.bodies == without.bodies
    added = {entry.parameter for entry in without.entries}
    assert all(exchange.fates()[name] == "kept" for name in nulls - added)


@given(body=BODIES)
def test_a_strict_route_refuses_exactly_what_would_be_dropped(body: dict[str, Any]) -> None:
    entries = translated(body).entries
    dropped = [entry.parameter for entry in entries if entry.fate is Fate.DROPPED]
    error = refuse_dropped(entries)
    assert (error.param if error else None) == (dropped[0] if dropped else None)
    assert error is None or (error.status, error.code) == (400, "unsupported_parameter")


def _listed(exchange: Translated) -> list[str]:
    return [pair for pair in header(exchange.entries).split(", ") if pair]


@given(body=BODIES)
def test_the_header_lists_all_but_the_kept(body: dict[str, Any]) -> None:
    exchange = translated(body)
    fates = [entry.fate.word for entry in exchange.entries if entry.fate is not Fate.KEPT]
    assert [pair.rpartition("=")[2] for pair in _listed(exchange)] == fates


ENTRIES = st.lists(st.builds(Entry, st.text(max_size=200), st.sampled_from(Fate)), max_size=60)


@given(entries=ENTRIES)
def test_the_header_is_a_kilobyte_of_ascii_at_most_and_counts_the_rest(entries: list[Entry]) -> None:
    value = header(entries)
    assert len(value) <= HEADER_LIMIT
    assert value.isascii()
    assert value.isprintable()
    shown = [pair for pair in value.split(", ") if pair]
    more = int(shown.pop().removeprefix("more=")) if shown and shown[-1].startswith("more=") else 0
    assert len(shown) + more == sum(entry.fate is not Fate.KEPT for entry in entries)


def test_a_plain_question_names_only_the_answer_length_that_the_gateway_adds() -> None:
    exchange = translated({"model": SEED, "messages": [{"role": "user", "content": "hi"}]})
    assert header(exchange.entries) == "max_tokens=defaulted"
