"""The system's turns, for chat templates that know one."""

from typing import Any

from tests.laws.exchange import NEWER, SEED, translated
from tests.translators.backends.openai_server.asking import written

GUARD = "@cf/meta/llama-guard-3-8b"
USER: dict[str, Any] = {"role": "user", "content": "hi"}
RULES: list[Any] = [
    {"role": "system", "content": "a"},
    {"role": "developer", "content": [{"type": "text", "text": "b"}]},
    {"role": "system", "content": ""},
]
LATER: dict[str, Any] = {"role": "system", "content": "c"}
JOINED = {"role": "system", "content": "a\n\nb"}


def _sent(model: str, *messages: Any) -> tuple[Any, str]:
    exchange = translated({"model": "m", "messages": messages}, model)
    return exchange.bodies[0]["messages"], exchange.fates()["messages"]


def test_those_at_the_beginning_become_one() -> None:
    sent = [JOINED, USER, LATER, USER]
    assert _sent(SEED, *RULES, USER, LATER, USER) == (sent, "transformed")
    exchange = written("vllm", messages=[*RULES, USER, LATER, USER])
    assert exchange.body["messages"] == sent
    assert exchange.fates["messages"][0] == "transformed"


def test_one_alone_stays_as_it_is() -> None:
    assert _sent(SEED, LATER, USER) == ([LATER, USER], "kept")
    assert _sent(SEED, USER, LATER) == ([USER, LATER], "kept")


def test_openai_gets_them_as_they_came() -> None:
    messages = [RULES[0], {"role": "developer", "content": "b"}, USER]
    assert written("openai", messages=messages).body["messages"] == messages


def test_what_would_be_too_long_stays_apart() -> None:
    long = {"role": "system", "content": "\U0001f600" * 40_000}
    assert len(_sent(SEED, long, long, USER)[0]) == 3
    assert len(_sent(NEWER, long, long, USER)[0]) == 2


def test_a_judge_of_dialogues_sees_every_turn() -> None:
    assert len(_sent(GUARD, *RULES, USER)[0]) == 4
