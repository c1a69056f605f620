"""The demo's chat notices when a gateway does not answer as it should."""

import json
from typing import Any

import httpx
import pytest

from gateway.cli.chat import ChatError, chat


def chunk(finish_reason: str | None = None, **delta: Any) -> str:
    data = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    return f"data: {json.dumps(data)}\n\n"


def call(index: int | None = None, **function: str) -> dict[str, Any]:
    return {"index": index, "id": "call_1" if "name" in function else None, "function": function}


DONE = "data: [DONE]\n\n"
USAGE = 'data: {"choices": [], "usage": {"total_tokens": 12}}\n\n'
ASKS = (
    chunk(role="assistant", content=None)
    + chunk(tool_calls=[call(0, name="get_weather", arguments="")])
    + chunk(tool_calls=[call(0, arguments='{"city":')])
    + chunk(tool_calls=[call(0, arguments='"Lisbon"}')])
    + chunk("tool_calls")
    + DONE
)
ANSWERS = (
    ": still there\n\n" + chunk(content="It is ") + chunk(content="sunny.") + chunk("stop") + USAGE + DONE
)


async def hold(*replies: httpx.Response) -> tuple[bool, str, list[Any]]:
    waiting = list(replies)
    bodies: list[Any] = []

    def reply(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return waiting.pop(0)

    said: list[str] = []
    transport = httpx.MockTransport(reply)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
        called = await chat(client, "m", said.append)
    return called, "".join(said), bodies


def streamed(text: str) -> httpx.Response:
    return httpx.Response(200, text=text)


async def test_the_tools_result_goes_back_and_the_answer_is_shown() -> None:
    called, said, bodies = await hold(streamed(ASKS), streamed(ANSWERS))
    assert called
    assert said.splitlines() == [
        "you    What is the weather in Lisbon?",
        'call   get_weather({"city":"Lisbon"})',
        'tool   {"temperature_celsius": 21, "sky": "clear", "wind": "a light breeze from the sea"}',
        "model  It is sunny.",
        "       (12 tokens)",
    ]
    asked, result = bodies[1]["messages"][1:]
    assert asked["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Lisbon"}'}
    assert (result["role"], result["tool_call_id"]) == ("tool", "call_1")


async def test_an_answer_without_a_tool_call_is_told_apart() -> None:
    called, _, bodies = await hold(streamed(ANSWERS))
    assert not called
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.Response(503, text="busy"), "status 503: busy"),
        (streamed(chunk(content="It")), "ended without \\[DONE\\]"),
        (streamed(chunk(content="It") + DONE), "without a finish_reason"),
        (streamed(chunk("stop") + DONE), "no answer in words"),
        (streamed('data: {"error": {"message": "the backend is gone"}}\n\n'), "the backend is gone"),
    ],
)
async def test_a_chat_that_goes_wrong_is_an_error(reply: httpx.Response, words: str) -> None:
    with pytest.raises(ChatError, match=words):
        await hold(reply)
