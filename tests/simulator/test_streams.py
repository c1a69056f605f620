"""Streams: the events of the wire, the same answer as the whole one, and an end when the client leaves."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
PADDING = "abdefghijklmnoprstuvxyz1234567890" * 2
WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ClientOf = Callable[[Simulator], httpx.AsyncClient]


def asking(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


async def stream(client: httpx.AsyncClient, body: dict[str, Any]) -> bytes:
    answer = await client.post(f"/run/{SEED}", json={**body, "stream": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert {"cf-ray", "cf-ai-req-id"} <= answer.headers.keys()
    return answer.content


def events(content: bytes) -> list[dict[str, Any]]:
    """Read the JSON events; the last event is not one."""
    lines = content.decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(line.startswith("data: {") for line in lines[:-2])
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


async def test_a_text_is_streamed_token_by_token(client: httpx.AsyncClient) -> None:
    first, *tokens, last = events(await stream(client, asking("count to 3")))
    assert first["response"] == ""
    assert [token["response"] for token in tokens] == ["1", ",", " ", "2", ",", " ", "3", "."]
    assert list(last) == ["response", "usage"]
    assert last["response"] == ""
    assert last["usage"]["completion_tokens"] == len(tokens)


async def test_events_are_padded_with_prefixes_of_the_known_alphabet(client: httpx.AsyncClient) -> None:
    *padded, _ = events(await stream(client, asking("write 60 words")))
    assert all(
        list(event) == ["response", "tool_calls", "p"] and event["tool_calls"] == [] for event in padded
    )
    assert all(PADDING.startswith(event["p"]) for event in padded)
    assert len({event["p"] for event in padded}) > 10


async def test_a_stream_carries_no_finish_reason_for_text(client: httpx.AsyncClient) -> None:
    assert b"finish_reason" not in await stream(client, asking("count to 900", max_tokens=20))


@pytest.mark.parametrize(
    "body",
    [
        asking("hello"),
        asking("count to 300"),
        asking("write 40 words", max_tokens=9),
        asking("count to 30", stop=[" 9"]),
        asking("Räksmörgås 日本語 \U0001f600 and “quotes”?"),
        {"prompt": "Why?"},
        asking("hello", image="abc"),
    ],
)
async def test_a_streamed_text_is_the_whole_one(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    whole = (await client.post(f"/run/{SEED}", json=body)).json()["result"]
    streamed = events(await stream(client, body))
    assert "".join(event["response"] for event in streamed) == whole["response"]
    assert streamed[-1]["usage"] == whole["usage"]


async def test_streamed_calls_are_the_whole_ones_in_openais_nested_form(client: httpx.AsyncClient) -> None:
    body = asking("Weather in Paris, Rome, Oslo, Athens, Berlin and Bern?", tools=[WEATHER])
    whole = (await client.post(f"/run/{SEED}", json=body)).json()["result"]
    first, *calls, finalization, finish, last = events(await stream(client, body))
    assert first["response"] == ""
    assert finalization == {
        "tool_calls": [{"id": None, "type": None, "function": {"name": None, "arguments": ""}}]
    }
    assert finish == {"finish_reason": "tool_calls"}
    assert last == {"response": "", "usage": whole["usage"]}
    fragments = [event["tool_calls"][0] for event in calls]
    heads = [fragment for fragment in fragments if "id" in fragment]
    assert [head["index"] for head in heads] == list(range(6))
    assert len({head["id"] for head in heads}) == 6
    assert len(fragments) > len(heads), "some arguments come in pieces"
    assert [call_of(index, fragments) for index in range(6)] == whole["tool_calls"]


def call_of(index: int, fragments: list[dict[str, Any]]) -> dict[str, Any]:
    own = [fragment["function"] for fragment in fragments if fragment["index"] == index]
    return {"name": own[0]["name"], "arguments": json.loads("".join(part["arguments"] for part in own))}


async def test_the_same_stream_comes_every_time(client_of: ClientOf) -> None:
    body = asking("Weather in Paris and Rome?", tools=[WEATHER])
    first, second = [await stream(client_of(Simulator(seed=5, split_chunks=True)), body) for _ in range(2)]
    assert first == second


async def test_numbers_can_be_sent_as_numbers(client_of: ClientOf) -> None:
    content = await stream(client_of(Simulator(numeric_responses=True)), asking("count from 1006 to 1007"))
    assert [event["response"] for event in events(content)][1:6] == [100, 6, ",", " ", 100]


async def test_split_chunks_hold_the_same_bytes() -> None:
    body = asking("Räksmörgås 日本語 \U0001f600?")
    whole = await chunks(Simulator(), body)
    split = await chunks(Simulator(split_chunks=True), body)
    assert b"".join(split) == b"".join(whole)
    assert any(not chunk.endswith(b"\n\n") for chunk in split)
    assert any(chunk.endswith(b"\n\n") for chunk in whole)


async def test_the_final_blank_line_can_be_missing(client_of: ClientOf) -> None:
    content = await stream(client_of(Simulator(final_newline=False)), asking("hello"))
    assert content.endswith(b"\n\ndata: [DONE]")


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": f"/client/v4/accounts/{SIMULATED_ACCOUNT_ID}/ai/run/{SEED}",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {SIMULATED_API_TOKEN}".encode())],
    }


async def chunks(simulator: Simulator, body: dict[str, Any]) -> list[bytes]:
    """Drive the application directly, to see what it sends piece by piece."""
    sent: list[bytes] = []
    requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    requests.put_nowait({"type": "http.request", "body": json.dumps({**body, "stream": True}).encode()})

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    await simulator(scope(), requests.get, send)
    return [chunk for chunk in sent if chunk]


@pytest.mark.parametrize("delay", [0.0, 3600.0])
async def test_a_stream_stops_when_the_client_leaves(delay: float) -> None:
    simulator = Simulator(chunk_delay=delay)
    requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    body = json.dumps({"prompt": "count to 999999999", "max_tokens": 100_000, "stream": True}).encode()
    requests.put_nowait({"type": "http.request", "body": body})
    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += message["type"] == "http.response.body"
        if sent == 1:
            assert simulator.open_streams == 1
            requests.put_nowait({"type": "http.disconnect"})

    await asyncio.wait_for(simulator(scope(), requests.get, send), timeout=10)
    assert sent < 5
    assert (simulator.open_streams, simulator.abandoned_streams) == (0, 1)


async def test_a_client_that_leaves_before_its_body_ends_gets_nothing() -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        pytest.fail(f"sent {message}")

    await Simulator()(scope(), receive, send)


async def test_a_pause_lies_between_the_events(client_of: ClientOf) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    content = await stream(client_of(Simulator(chunk_delay=0.01)), asking("count to 3"))
    assert loop.time() - begun >= 0.01 * len(events(content))


async def test_a_served_simulator_streams_over_a_socket(serve_app: Callable[[Any], str]) -> None:
    simulator = Simulator(split_chunks=True)
    url = f"{serve_app(simulator)}/client/v4/accounts/{SIMULATED_ACCOUNT_ID}/ai"
    headers = {"authorization": f"Bearer {SIMULATED_API_TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        assert events(await stream(client, asking("count to 40")))[-1]["usage"]["completion_tokens"] == 119
        encoded = SEED.replace("@", "%40").replace("/", "%2F")
        assert (await client.post(f"/run/{encoded}", json={"prompt": "hello"})).status_code == 200
