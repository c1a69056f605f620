"""Law 6: tool-call ids are unique within a conversation, and any replica restores the backend's."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.laws import answers
from tests.laws.answers import Said, Spelling
from tests.laws.bodies import NAMES
from tests.laws.exchange import deltas_of, translated, whole
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


@given(tokens=st.lists(TOKENS, min_size=2, max_size=6, unique_by=lambda token: token[:12]), data=st.data())
def test_ids_are_unique_over_many_turns_of_repeating_backend_ids(
    tokens: list[str], data: st.DataObject
) -> None:
    """Each turn answers with the same ids, and the next one sends the whole conversation back."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "go on"}]
    seen: list[str] = []
    for token in tokens:
        stamp = Stamp(1, token)
        exchange = translated({"model": "small", "messages": messages}, stamp=stamp)
        said = Said(calls=tuple((name, {}) for name in data.draw(st.lists(NAMES, min_size=1, max_size=3))))
        answer = answers.stream(said, Spelling(ids=True))
        (choice,) = whole(exchange, deltas_of(exchange, [answer]), stamp)["choices"]
        calls = choice["message"]["tool_calls"]
        seen += [call["id"] for call in calls]
        messages = [*messages, choice["message"]]
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls]
    assert len(set(seen)) == len(seen)
    (body,) = translated({"model": "small", "messages": messages}).bodies
    sent = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    assert sent == answered == [restore_call_id(call_id) for call_id in seen]
    assert set(sent) <= {"call0", "call1", "call2"}


@given(n=st.integers(1, 4), nested=st.booleans())
def test_ids_are_unique_over_the_choices_of_one_answer(n: int, nested: bool) -> None:  # noqa: FBT001 - drawn
    exchange = translated({"model": "small", "messages": [{"role": "user", "content": "hi"}], "n": n})
    said = Said(calls=(("f", {}), ("g", {})))
    answer = whole(exchange, deltas_of(exchange, [answers.whole(said, nested=nested)] * n))
    ids = [call["id"] for choice in answer["choices"] for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 2 * n
