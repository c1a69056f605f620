"""Law 6: tool-call ids are unique within a conversation, and any replica restores the backend's."""

import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.laws.answers import parametrized
from tests.laws.bodies import NAMES
from tests.laws.exchange import CATALOGUE, deltas_of, translated, whole
from tests.laws.families import FAMILIES, Asked, Family, asked
from translators.call import Stamp
from translators.tools import mint_call_id, restore_call_id

TOKENS = st.from_regex(r"[0-9A-Za-z]{24}", fullmatch=True)
STAMPS = st.builds(Stamp, st.just(1_700_000_000), TOKENS)
PLACES = st.integers(0, 200)


@given(stamp=STAMPS, choice=PLACES, index=PLACES, backend_id=st.text(min_size=1))
def test_a_minted_id_gives_the_backends_id_back(
    stamp: Stamp, choice: int, index: int, backend_id: str
) -> None:
    minted = mint_call_id(stamp, choice, index, backend_id)
    assert restore_call_id(minted) == backend_id
    assert re.fullmatch(r"[A-Za-z0-9_-]+", minted)


@given(stamp=STAMPS, choice=PLACES, index=PLACES)
def test_a_call_without_a_backends_id_keeps_the_minted_one(stamp: Stamp, choice: int, index: int) -> None:
    minted = mint_call_id(stamp, choice, index, None)
    assert restore_call_id(minted) == minted
    assert len(minted) <= 40  # OpenAI's own limit


@given(call_id=st.text())
def test_somebody_elses_id_is_left_alone(call_id: str) -> None:
    assert restore_call_id(call_id) == call_id


# All but the one that only judges; a completion has no room for calls.
_CALLERS = [family for family in FAMILIES if family.name != "legacy_guard"]
each_caller = parametrized("family", _CALLERS)


def _calling(family: Family) -> st.SearchStrategy[Asked]:
    return asked(replace(family, shapes=tuple(name for name in family.shapes if name != "completion")))


@each_caller
@given(tokens=st.lists(TOKENS, min_size=2, max_size=6, unique_by=lambda token: token[:12]), data=st.data())
def test_ids_are_unique_over_many_turns_of_repeating_backend_ids(
    family: Family, tokens: list[str], data: st.DataObject
) -> None:
    """Each turn answers with the same ids, and the next one sends the whole conversation back."""
    made = data.draw(_calling(family))
    messages: list[dict[str, Any]] = [{"role": "user", "content": "go on"}]
    seen: list[str] = []
    for token in tokens:
        stamp = Stamp(1, token)
        exchange = translated({"model": "small", "messages": messages}, made.model, stamp)
        names = data.draw(st.lists(NAMES, min_size=1, max_size=3))
        said = made.answer.saying(calls=tuple((name, {}) for name in names)).done()
        answer = said.streamed() if data.draw(st.booleans()) else said.whole()
        (choice,) = whole(exchange, deltas_of(exchange, [answer]), stamp)["choices"]
        calls = choice["message"]["tool_calls"]
        assert [call["function"]["name"] for call in calls] == names
        seen += [call["id"] for call in calls]
        messages = [*messages, choice["message"]]
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls]
    assert len(set(seen)) == len(seen)
    _assert_restored(messages, made.model, seen)


def _assert_restored(messages: list[dict[str, Any]], model: str, seen: list[str]) -> None:
    """Assert that the backend gets its own ids back, in calls and in their results; or all of it as text."""
    (body,) = translated({"model": "small", "messages": messages}, model).bodies
    sent = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    as_text = CATALOGUE.facts(model).knows_no_tools
    assert sent == answered == ([] if as_text else [restore_call_id(call_id) for call_id in seen])


@each_caller
@given(n=st.integers(1, 4), data=st.data(), streams=st.booleans())
def test_ids_are_unique_over_the_choices_of_one_answer(
    family: Family,
    n: int,
    data: st.DataObject,
    streams: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    made = data.draw(_calling(family))
    exchange = translated(
        {"model": "small", "messages": [{"role": "user", "content": "hi"}], "n": n}, made.model
    )
    said = made.answer.saying(calls=(("f", {}), ("g", {}))).done()
    answer = whole(exchange, deltas_of(exchange, [said.streamed() if streams else said.whole()] * n))
    ids = [call["id"] for choice in answer["choices"] for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 2 * n
