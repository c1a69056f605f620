"""Tools that have to be called, over sockets: what is asked again, and what stands where that breaks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.scripted import Backend, Call, usage
from tests.gateway.served import Served, events

Lines = Callable[[], list[dict[str, Any]]]
TOOL = {"type": "function", "function": {"name": "f"}}
FORCED = {"tools": [TOOL], "tool_choice": "required"}
CALLS = [{"name": "f", "arguments": {}}]


def _called(call: Call) -> None:
    """Answer with a call, in the form that was asked for."""
    if not call.body.get("stream"):
        call.json({"result": {"tool_calls": CALLS, "usage": usage(7, 3)}, "success": True})
        return
    call.begin()
    call.event(
        tool_calls=[{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    )
    call.event(response="", usage=usage(7, 3))
    call.piece(b"data: [DONE]\n\n")
    call.finish()


def _talked(call: Call) -> None:
    if call.body.get("stream"):
        call.stream("no")
    else:
        call.result("no")


def _is_second(call: Call) -> bool:
    return len(call.body["messages"]) > 1


def _reset_in_the_middle(call: Call) -> None:
    call.begin()
    call.event(response="x")
    call.reset()


BREAKS: list[Callable[[Call], None]] = [
    lambda call: call.refuse(429, 3021),
    lambda call: call.refuse(400, 8007),
    lambda call: call.reset(),
    _reset_in_the_middle,
    lambda call: call.whole(b"<html>"),
]


def _said(answer: Any, *, stream: bool) -> list[tuple[str, int, str]]:
    """Text, number of calls and finish of each choice."""
    if not stream:
        return [
            (
                choice["message"]["content"] or "",
                len(choice["message"].get("tool_calls", ())),
                choice["finish_reason"],
            )
            for choice in answer.json()["choices"]
        ]
    out: dict[int, tuple[str, int, str]] = {}
    for choice in (choice for event in events(answer.text)[:-1] for choice in event["choices"]):
        text, calls, reason = out.get(choice["index"], ("", 0, ""))
        delta = choice["delta"]
        begun = sum("id" in each for each in delta.get("tool_calls", ()))
        out[choice["index"]] = (
            text + (delta.get("content") or ""),
            calls + begun,
            reason or choice["finish_reason"] or "",
        )
    return [out[index] for index in sorted(out)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize("choices", [1, 2])
async def test_the_first_answer_stands_where_the_second_call_breaks(
    served: Served,
    backend: Backend,
    access_lines: Lines,
    breaks: Callable[[Call], None],
    choices: int,
    *,
    stream: bool,
) -> None:
    backend.reply = lambda call: breaks(call) if _is_second(call) else _talked(call)
    answer = await served.chat(**FORCED, n=choices, stream=stream)
    assert answer.status_code == 200
    assert _said(answer, stream=stream) == [("no", 0, "stop")] * choices
    [line] = access_lines()
    assert (line["attempts"], "error" in line) == (2 * choices, False)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 3 * choices)


@pytest.mark.parametrize("stream", [False, True])
async def test_only_the_choice_that_called_nothing_is_asked_again(
    served: Served, backend: Backend, *, stream: bool
) -> None:
    asking = asyncio.create_task(served.chat(**FORCED, n=2, seed=1, stream=stream))
    calls = sorted([await backend.call(), await backend.call()], key=lambda call: call.body["seed"])
    _talked(calls[0])
    _called(calls[1])
    again = await backend.call()
    assert again.body["seed"] == calls[0].body["seed"]
    assert again.body["messages"][1] == {"role": "assistant", "content": "no"}
    _called(again)
    assert _said(await asking, stream=stream) == [("", 1, "tool_calls")] * 2


async def test_a_break_in_one_second_call_leaves_the_other_choice_alone(
    served: Served, backend: Backend
) -> None:
    asking = asyncio.create_task(served.chat(**FORCED, n=2, seed=1))
    for call in [await backend.call(), await backend.call()]:
        _talked(call)
    second = sorted([await backend.call(), await backend.call()], key=lambda call: call.body["seed"])
    second[0].begin()
    second[0].close()
    _called(second[1])
    assert _said(await asking, stream=False) == [("no", 0, "stop"), ("", 1, "tool_calls")]


async def test_a_client_that_leaves_ends_the_second_call(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(**FORCED, stream=True))
    _talked(await backend.call())
    again = await backend.call()
    asking.cancel()
    await again.left()
    await served.settled()
