"""Law 2: each parameter that the client sent has exactly one fate, and what the report says is true.

Every body is put to a model of each family.
"""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import bodies
from tests.laws.exchange import CATALOGUE, SEED, Translated, translated
from tests.laws.families import ONE_OF_EACH
from translators.report import HEADER_LIMIT, Entry, Fate, header, refuse_dropped

Body = dict[str, Any]
Models = tuple[str, ...]

BODIES = bodies.any_bodies(media=None)

# What goes out under its own name where it goes out at all: to every model, and to those that speak OpenAI.
_EVERYWHERE = (
    "temperature", "top_p", "top_k", "seed", "repetition_penalty", "frequency_penalty", "presence_penalty",
    "lora",
)  # fmt: skip
_TO_OPENAI = ("logit_bias", "logprobs", "top_logprobs", "user", "reasoning_effort")


@given(body=BODIES, models=ONE_OF_EACH)
def test_each_parameter_that_was_sent_has_exactly_one_entry(body: Body, models: Models) -> None:
    for model in models:
        count = Counter(entry.parameter for entry in translated(body, model).entries)
        assert {name: count[name] for name in body} == dict.fromkeys(body, 1), model
        assert set(count.values()) == {1}, model


@given(body=BODIES, models=ONE_OF_EACH)
def test_what_was_not_sent_is_listed_only_where_something_was_added(body: Body, models: Models) -> None:
    for model in models:
        added = [entry for entry in translated(body, model).entries if entry.parameter not in body]
        assert all(entry.fate in {Fate.DEFAULTED, Fate.EMULATED} for entry in added), model


@given(body=BODIES, models=ONE_OF_EACH)
def test_every_fate_but_kept_has_a_reason(body: Body, models: Models) -> None:
    for model in models:
        for entry in translated(body, model).entries:
            assert bool(entry.detail) == (entry.fate is not Fate.KEPT), (model, entry)


@given(body=BODIES, models=ONE_OF_EACH)
def test_without_what_was_dropped_the_same_calls_are_sent(body: Body, models: Models) -> None:
    for model in models:
        whole = translated(body, model)
        dropped = {entry.parameter for entry in whole.entries if entry.fate is Fate.DROPPED}
        rest = translated({name: value for name, value in body.items() if name not in dropped}, model)
        assert rest.bodies == whole.bodies, model
        assert not any(entry.fate is Fate.DROPPED for entry in rest.entries), model


@given(body=BODIES, models=ONE_OF_EACH)
def test_what_is_kept_is_sent_as_it_came_and_what_is_clamped_is_not(body: Body, models: Models) -> None:
    for model in models:
        exchange = translated(body, model)
        # What null does not say another API's word may.
        for name in _own(model) & {name for name, value in body.items() if value is not None}:
            assert _is_true(exchange.fates()[name], [each.get(name) for each in exchange.bodies], body[name])


def _own(model: str) -> set[str]:
    return {*_EVERYWHERE, *(_TO_OPENAI if CATALOGUE.facts(model).speaks_openai else ())}


def _is_true(fate: str, sent: list[Any], value: Any) -> bool:
    """Whether what was sent of a parameter is what its fate says."""
    match fate:
        case "kept":
            return sent == [value] * len(sent)
        case "dropped":
            return sent == [None] * len(sent)
        case _:
            # As JSON: 1 and true are one to Python.
            same = msgspec.json.encode([value] * len(sent))
            return fate in {"clamped", "transformed"} and msgspec.json.encode(sent) != same


@given(body=BODIES, models=ONE_OF_EACH)
def test_null_says_nothing(body: Body, models: Models) -> None:
    nulls = {name for name, value in body.items() if value is None}
    said = {name: value for name, value in body.items() if name not in nulls}
    for model in models:
        exchange, without = translated(body, model), translated(said, model)
        assert exchange.bodies == without.bodies, model
        added = {entry.parameter for entry in without.entries}
        assert all(exchange.fates()[name] == "kept" for name in nulls - added), model


@given(body=BODIES, models=ONE_OF_EACH)
def test_a_strict_route_refuses_exactly_what_would_be_dropped(body: Body, models: Models) -> None:
    for model in models:
        entries = translated(body, model).entries
        dropped = [entry.parameter for entry in entries if entry.fate is Fate.DROPPED]
        error = refuse_dropped(entries)
        assert (error.param if error else None) == (dropped[0] if dropped else None)
        assert error is None or (error.status, error.code) == (400, "unsupported_parameter")


def _listed(exchange: Translated) -> list[str]:
    return [pair for pair in header(exchange.entries).split(", ") if pair]


@given(body=BODIES, models=ONE_OF_EACH)
def test_the_header_lists_all_but_the_kept(body: Body, models: Models) -> None:
    for model in models:
        exchange = translated(body, model)
        fates = [entry.fate.word for entry in exchange.entries if entry.fate is not Fate.KEPT]
        assert [pair.rpartition("=")[2] for pair in _listed(exchange)] == fates, model


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
