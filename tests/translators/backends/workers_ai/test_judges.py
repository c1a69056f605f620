"""A tool that had to be called and was not: what is asked once more, and what the client sees of it."""

from typing import Any

import msgspec
import pytest

from tests.laws.exchange import Translated, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.deltas import Arguments, Call, Delta, Finish, Reasoning, Text, Usage
from translators.rounds import Rounds

F: Any = {"type": "function", "function": {"name": "f"}}
TOOLS = [F, {"type": "function", "function": {"name": "g"}}]
CALL: list[Delta] = [Call(0, 0, "c", "f"), Arguments(0, 0, "{}"), Finish(0, "tool_calls")]
USAGE = Usage(9, 1)


def _asked(choice: Any, tools: Any = TOOLS, facts: Facts | None = None, **fields: Any) -> Translated:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "m", "messages": messages, "tools": tools, "tool_choice": choice, **fields}
    return translated(body, facts=facts)


def _second(exchange: Translated) -> dict[str, Any]:
    (call,) = exchange.dialogue.next()
    body: dict[str, Any] = msgspec.json.decode(call.body)
    return body


def _said(text: str, reason: Any = "stop") -> list[Delta]:
    return [Text(0, text), Finish(0, reason), USAGE]


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_an_answer_is_judged_only_where_a_tool_has_to_be_called(choice: str) -> None:
    assert not isinstance(_asked(choice).dialogue, Rounds)


@pytest.mark.parametrize("facts", [Facts(family="legacy_guard"), Facts(family="legacy_guard", window=9)])
def test_a_guard_calls_nothing(facts: Facts) -> None:
    assert not isinstance(_asked("required", facts=facts).dialogue, Rounds)


def test_a_tool_that_is_required_but_not_offered_forces_nothing() -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}
    assert not isinstance(_asked(allowed).dialogue, Rounds)


def test_thinking_passes_at_once_and_text_when_a_call_has_come() -> None:
    dialogue = _asked("required").dialogue
    assert dialogue.take(0, [Reasoning(0, "hm"), Text(0, "I call")]) == [Reasoning(0, "hm")]
    assert dialogue.take(0, CALL[:1]) == [Text(0, "I call"), CALL[0]]
    assert dialogue.take(0, CALL[1:2]) == CALL[1:2]
    assert dialogue.take(0, [*CALL[2:], USAGE]) == [*CALL[2:], USAGE]
    assert dialogue.next() == ()


def test_the_one_tool_is_asked_for_again_by_name() -> None:
    exchange = _asked("required", tools=[F])
    assert exchange.dialogue.take(0, _said("Sorry")) == []
    body = _second(exchange)
    assert body["messages"][1] == {"role": "assistant", "content": "Sorry"}
    assert body["messages"][2]["role"] == "user"
    assert "`f`" in body["messages"][2]["content"]
    assert body["tool_choice"] == F
    assert exchange.dialogue.take(0, [*CALL, USAGE]) == [*CALL, Usage(9, 2)]


@pytest.mark.parametrize(
    ("text", "choice", "offered"),
    [
        ("I would use f here.", F, 1),
        ("I would use ff here.", "required", 2),
        ("f or g", "required", 2),
        ("", "required", 2),
    ],
)
def test_the_tool_that_the_answer_mentions_is_asked_for(text: str, choice: Any, offered: int) -> None:
    exchange = _asked("required")
    exchange.dialogue.take(0, _said(text))
    body = _second(exchange)
    assert body["tool_choice"] == choice
    assert len(body["tools"]) == offered
    assert [turn["role"] for turn in body["messages"][1:]] == (["assistant", "user"] if text else ["user"])


def test_what_the_model_says_the_second_time_stands_and_no_call_is_invented() -> None:
    exchange = _asked(F)
    exchange.dialogue.take(0, _said("no"))
    exchange.dialogue.next()
    assert exchange.dialogue.take(0, _said("never")) == [Text(0, "never"), Finish(0, "stop"), Usage(9, 2)]
    assert exchange.dialogue.next() == ()


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_did_not_end_by_itself_stands(reason: Any) -> None:
    exchange = _asked("required")
    assert exchange.dialogue.take(0, _said("I th", reason)) == _said("I th", reason)
    assert exchange.dialogue.next() == ()


def test_each_choice_is_asked_again_by_itself() -> None:
    exchange = _asked("required", n=2)
    assert exchange.dialogue.take(1, [*CALL, USAGE]) == []
    assert exchange.dialogue.take(0, _said("no")) == []
    _second(exchange)
    out = exchange.dialogue.take(0, [*CALL, USAGE])
    assert [delta.choice for delta in out if isinstance(delta, Call)] == [0, 1]


def test_the_second_question_fits_into_the_window() -> None:
    exchange = _asked("required", facts=Facts(window=1000), max_tokens=900)
    first = exchange.bodies[0]["max_tokens"]
    exchange.dialogue.take(0, _said("x" * 9000))
    body = _second(exchange)
    assert len(body["messages"][1]["content"]) == 4000
    assert (first, body["max_tokens"]) == (900, 1)
