"""The fault menu: each fault, chosen by a model's name or by a header."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator, codes, faults

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
OSS = "@cf/openai/gpt-oss-20b"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ResultOf = Callable[..., Awaitable[dict[str, Any]]]
EventsOf = Callable[..., Awaitable[list[dict[str, Any]]]]
ClientOf = Callable[[Simulator], httpx.AsyncClient]
CAPTURED = {
    3021: (429, "AiError: AiError: rate limiting: inference request per min rate reached ("),
    3050: (503, "AiError: Max retries exhausted"),
    4006: (429, "AiError: AiError: you have used up your daily free allocation of 10,000 neurons, please"),
    5007: (400, "AiError: No such model: No such model @cf/simulator/code.5007 or task ("),
    5012: (422, 'AiError: AiError: {"error":{"type":"invalid_request","message":"Unsupported model'),
    5035: (403, "AiError: Model @cf/simulator/code.5035 is not available on the Workers Free plan: "),
    8007: (400, 'AiError: AiError: {"object":"error","message":"Requested token count exceeds the model'),
    10000: (401, "Authentication error"),
}


def asking(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("code", sorted(codes.KNOWN))
async def test_every_code_can_be_chosen(client: httpx.AsyncClient, code: int) -> None:
    answer = await client.post(f"/run/@cf/simulator/code.{code}", json=asking())
    [error] = answer.json()["errors"]
    assert (answer.is_error, answer.json()["success"], error["code"]) == (True, False, code)
    assert "{" not in error["message"].replace('{"', "")
    if code in CAPTURED:
        status, text = CAPTURED[code]
        assert answer.status_code == status
        assert error["message"].startswith(text)


async def test_a_nested_error_can_be_read(client: httpx.AsyncClient) -> None:
    for code in (5012, 8007):
        answer = await client.post(f"/run/@cf/simulator/code.{code}", json=asking())
        nested = answer.json()["errors"][0]["message"].removeprefix("AiError: AiError: ").rpartition(" (")[0]
        assert isinstance(json.loads(nested), dict)


async def test_a_header_chooses_for_any_model(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/run/{OSS}", json=asking(), headers={"x-simulator-fault": "code:3040"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (429, 3040)


@pytest.mark.parametrize("text", ["nothing", "code:1", "code:", "null-content:3", "cut:x"])
async def test_an_unknown_fault_is_named_with_the_menu(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.post(f"/run/{SEED}", json=asking(), headers={"x-simulator-fault": text})
    assert answer.status_code == 400
    message = answer.json()["errors"][0]["message"]
    assert f"there is no fault '{text}'" in message
    assert all(name in message for name in faults.MENU)


@pytest.mark.parametrize("name", ["nothing", "code.1", "null-content.3"])
async def test_a_model_of_an_unknown_fault_does_not_exist(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post(f"/run/@cf/simulator/{name}", json=asking())
    assert answer.json()["errors"][0]["code"] == 5007


async def test_too_many_requests_in_a_minute_are_refused_until_the_next(client_of: ClientOf) -> None:
    now = [1_000_000.0]
    client = client_of(Simulator(clock=lambda: now[0]))

    async def codes_of(many: int) -> list[int]:
        answers = [await client.post("/run/@cf/simulator/rate-limit.2", json=asking()) for _ in range(many)]
        return [answer.status_code for answer in answers]

    assert await codes_of(4) == [200, 200, 429, 429]
    now[0] += 60
    assert await codes_of(3) == [200, 200, 429]
    assert (await client.post(f"/run/{SEED}", json=asking())).status_code == 200


async def test_an_account_can_limit_each_model(client_of: ClientOf) -> None:
    client = client_of(Simulator(requests_per_minute=1, clock=lambda: 0.0))
    answers = [await client.post(f"/run/{name}", json=asking()) for name in (SEED, SEED, OSS)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]


async def test_arguments_can_be_a_string(result_of: ResultOf) -> None:
    result = await result_of("@cf/simulator/string-arguments", "Weather in Paris?", tools=[WEATHER])
    assert result["tool_calls"] == [{"name": "get_weather", "arguments": '{"city":"Paris"}'}]


async def test_ids_can_repeat(result_of: ResultOf, client: httpx.AsyncClient) -> None:
    result = await result_of("@cf/simulator/duplicate-ids", "Weather in Paris?", tools=[WEATHER])
    assert result["choices"][0]["message"]["tool_calls"][0]["id"] == "functions.get_weather:0"
    body = asking("Weather in Paris?", tools=[WEATHER], stream=True)
    chosen = {"x-simulator-fault": "duplicate-ids"}
    assert '"functions.get_weather:0"' in (await client.post(f"/run/{SEED}", json=body, headers=chosen)).text


async def test_a_call_can_leak_into_the_text(result_of: ResultOf, events_of: EventsOf) -> None:
    name = "@cf/simulator/leaked-call"
    [choice] = (await result_of(name, "Weather in Paris?", tools=[WEATHER]))["choices"]
    assert json.loads(choice["message"]["content"]) == {
        "name": "get_weather",
        "arguments": {"city": "Paris"},
    }
    assert (choice["message"]["tool_calls"], choice["finish_reason"]) == ([], "stop")
    events = await events_of(name, "Weather in Paris?", tools=[WEATHER])
    streamed = [event["choices"][0]["delta"].get("content") or "" for event in events if "choices" in event]
    assert "".join(streamed) == choice["message"]["content"]


async def test_a_call_can_leak_behind_a_tag(result_of: ResultOf) -> None:
    result = await result_of("@cf/simulator/leaked-tag", "Weather in Paris?", tools=[WEATHER])
    assert result["response"].startswith('<|python_tag|>{"name": "get_weather"')
    assert result["tool_calls"] == []


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_tool_that_has_to_be_called_can_be_left_uncalled(result_of: ResultOf, choice: Any) -> None:
    turns = [{"role": "user", "content": "Weather in Paris?"}, {"role": "assistant", "content": "No."}]
    reminder = {"role": "user", "content": "You must call one of the tools now."}
    for name, calls in (("ignored-force", 1), ("ignored-force-always", 0)):
        fields = {"tools": [WEATHER], "tool_choice": choice}
        first = await result_of(f"@cf/simulator/{name}", "Weather in Paris?", **fields)
        assert first["tool_calls"] == []
        second = await result_of(f"@cf/simulator/{name}", {"messages": [*turns, reminder]}, **fields)
        assert len(second["tool_calls"]) == calls


async def test_a_call_in_words_can_have_slips(client: httpx.AsyncClient) -> None:
    told = f"You have tools: {json.dumps(WEATHER)}. Write a call as <tool_call>{{...}}</tool_call>."
    body = {
        "messages": [{"role": "system", "content": told}, {"role": "user", "content": "Weather in Rome?"}]
    }
    for fault, written in (
        ("broken-arguments", '{"city": "Rome",}'),
        ("slipped-arguments", '{"city": "Rome"}'),
    ):
        answer = await client.post(f"/run/{SEED}", json=body, headers={"x-simulator-fault": fault})
        assert written in answer.json()["result"]["response"]


async def test_thinking_can_use_up_the_answer(result_of: ResultOf, events_of: EventsOf) -> None:
    [choice] = (await result_of("@cf/simulator/null-content", "hello"))["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "length")
    assert choice["message"]["reasoning_content"]
    events = await events_of("@cf/simulator/null-content", "hello")
    assert events[-2]["choices"][0]["finish_reason"] == "length"


async def test_a_response_can_be_an_object_or_a_number(result_of: ResultOf, events_of: EventsOf) -> None:
    assert (await result_of("@cf/simulator/object-response", "say 42"))["response"] == {"answer": "42"}
    assert (await result_of("@cf/simulator/numeric-response", "say 42"))["response"] == 42
    assert (await events_of("@cf/simulator/numeric-response", "say 42"))[1]["response"] == 42


async def test_a_stream_can_be_answered_with_empty_json(client: httpx.AsyncClient) -> None:
    answer = await client.post("/run/@cf/simulator/json-for-stream", json=asking(stream=True))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"result": {}, "success": True, "errors": [], "messages": []}
    whole = await client.post("/run/@cf/simulator/json-for-stream", json=asking())
    assert whole.json()["result"]["choices"]


async def test_gpt_oss_streams_unless_told_otherwise(client_of: ClientOf) -> None:
    for streams, kind in ((True, "text/event-stream"), (False, "application/json")):
        client = client_of(Simulator(gpt_oss_streams=streams))
        answer = await client.post(f"/run/{OSS}", json=asking(stream=True))
        assert answer.headers["content-type"] == kind


async def test_the_finish_reason_can_be_an_error(result_of: ResultOf, client: httpx.AsyncClient) -> None:
    assert (await result_of("@cf/simulator/finish-error", "hi"))["choices"][0]["finish_reason"] == "error"
    chosen = {"x-simulator-fault": "finish-error"}
    answer = await client.post(f"/run/{SEED}", json=asking(stream=True), headers=chosen)
    assert 'data: {"finish_reason":"error"}\n\n' in answer.text


async def test_an_error_can_stand_inside_a_stream(client: httpx.AsyncClient) -> None:
    answer = await client.post("/run/@cf/simulator/error-event", json=asking(stream=True))
    *_, last, end = answer.text.split("\n\n")
    assert json.loads(last.removeprefix("data: "))["errors"][0]["code"] == 8005
    assert end == ""


async def test_the_final_newline_can_be_missing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/run/@cf/simulator/no-final-newline", json=asking(stream=True))
    assert answer.text.endswith("\n\ndata: [DONE]")


@pytest.mark.parametrize("name", [SEED, "@cf/zai-org/glm-4.7-flash"])
async def test_a_character_can_come_in_two_events(client: httpx.AsyncClient, name: str) -> None:
    body = asking("say x😀y🎈", stream=True)
    full = await client.post(f"/run/{name}", json=body)
    chosen = {"x-simulator-fault": "split-surrogates"}
    answer = await client.post(f"/run/{name}", json=body, headers=chosen)
    assert "😀" not in answer.text
    halves = [at for at in (answer.text.find("\\ud83d"), answer.text.find("\\ude00")) if at >= 0]
    assert len(halves) == 2
    assert "\n\ndata: " in answer.text[slice(*halves)]
    assert said(answer.text).encode("utf-16-le", "surrogatepass") == said(full.text).encode("utf-16-le")


async def test_events_can_come_in_lists(client: httpx.AsyncClient) -> None:
    full = await client.post(f"/run/{SEED}", json=asking("count to 5", stream=True))
    answer = await client.post("/run/@cf/simulator/streamed-data", json=asking("count to 5", stream=True))
    lists = [event["streamed_data"] for event in events_in(answer.text)]
    assert max(map(len, lists)) > 1
    assert [event["response"] for each in lists for event in each] == [
        event["response"] for event in events_in(full.text)
    ]


@pytest.mark.parametrize("name", [SEED, "@cf/zai-org/glm-4.7-flash", "@cf/qwen/qwen3-30b-a3b-fp8"])
async def test_arguments_can_come_before_the_name(client: httpx.AsyncClient, name: str) -> None:
    body = asking("Weather in Paris?", tools=[WEATHER], stream=True)
    answer = await client.post(f"/run/{name}", json=body, headers={"x-simulator-fault": "arguments-first"})
    events = events_in(answer.text)
    told = [event.get("tool_calls") or _delta(event).get("tool_calls") or [] for event in events]
    fragments = [call["function"] for calls in told for call in calls]
    names = [at for at, each in enumerate(fragments) if each.get("name")]
    assert [fragments[at]["name"] for at in names] == ["get_weather"]
    assert names[0] > 0
    assert json.loads("".join(each["arguments"] for each in fragments)) == {"city": "Paris"}


def said(stream: str) -> str:
    return "".join(event.get("response") or _delta(event).get("content") or "" for event in events_in(stream))


def events_in(stream: str) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix("data: ")) for event in stream.split("\n\n")[:-2]]


def _delta(event: dict[str, Any]) -> dict[str, Any]:
    delta: dict[str, Any] = next((choice["delta"] for choice in event.get("choices", ())), {})
    return delta


async def test_a_busy_model_makes_wait_or_refuses_who_would_rather_not(client: httpx.AsyncClient) -> None:
    for name in (SEED, OSS):
        chosen = {"x-simulator-fault": "busy:5"}
        waited = await client.post(f"/run/{name}", json=asking(), headers=chosen)
        assert waited.status_code == 200
        for rejects, status in ((True, 429), (False, 200)):
            body = asking(options={"rejectIfBusy": rejects})
            answer = await client.post(f"/run/{name}", json=body, headers=chosen)
            assert answer.status_code == status
    refused = await client.post(
        "/run/@cf/simulator/busy", json=asking(options={"rejectIfBusy": True}, stream=True)
    )
    assert refused.json()["errors"][0]["code"] == 3040


@pytest.mark.parametrize("more", [{}, {"stream": True}])
async def test_an_answer_can_be_cut(client: httpx.AsyncClient, more: dict[str, Any]) -> None:
    full = await client.post(f"/run/{SEED}", json=asking("count to 20", **more))
    for at in (1, 77):
        chosen = {"x-simulator-fault": f"cut:{at}"}
        answer = await client.post(f"/run/{SEED}", json=asking("count to 20", **more), headers=chosen)
        assert answer.headers["content-type"] == full.headers["content-type"]
        assert answer.content == full.content[:at]


async def test_an_answer_can_break_off(serve_app: Callable[[Any], str]) -> None:
    url = f"{serve_app(Simulator())}/client/v4/accounts/{SIMULATED_ACCOUNT_ID}/ai/run/@cf/simulator/reset.90"
    headers = {"authorization": f"Bearer {SIMULATED_API_TOKEN}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        for more in ({}, {"stream": True}):
            async with client.stream("POST", url, json=asking("count to 50", **more)) as answer:
                assert answer.status_code == 200
                with pytest.raises(httpx.RemoteProtocolError):
                    await answer.aread()


async def test_an_answer_can_stall_until_the_client_leaves() -> None:
    simulator = Simulator()
    sent: list[dict[str, Any]] = []
    stalled = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if sum(len(one.get("body", b"")) for one in sent) == 100:
            stalled.set()

    served, requests = serve(simulator, "stall.100", send, stream=True)
    await asyncio.wait_for(stalled.wait(), timeout=10)
    assert simulator.open_streams == 1
    requests.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(served, timeout=10)
    assert all(message.get("more_body", True) for message in sent)
    assert (simulator.open_streams, simulator.abandoned_streams) == (0, 1)


@pytest.mark.parametrize(
    ("name", "begins"), [("slow-first-byte.3600000", False), ("slow-chunks.3600000", True)]
)
async def test_an_answer_can_be_slow(name: str, *, begins: bool) -> None:
    simulator = Simulator()
    sent: list[dict[str, Any]] = []
    begun = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            begun.set()

    served, requests = serve(simulator, name, send, stream=True)
    if begins:
        await asyncio.wait_for(begun.wait(), timeout=10)
    requests.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(served, timeout=10)
    assert len(sent) == (2 if begins else 0)


@pytest.mark.parametrize("more", [{}, {"stream": True}])
async def test_a_slow_answer_is_the_same_answer(client: httpx.AsyncClient, more: dict[str, Any]) -> None:
    full = await client.post(f"/run/{SEED}", json=asking("count to 3", **more))
    for chosen in ("slow-first-byte:10", "slow-chunks:1", "cut:999999"):
        answer = await client.post(
            f"/run/{SEED}", json=asking("count to 3", **more), headers={"x-simulator-fault": chosen}
        )
        assert answer.content == full.content


def serve(
    simulator: Simulator, fault: str, send: Callable[[Any], Awaitable[None]], **more: Any
) -> tuple[asyncio.Task[None], asyncio.Queue[dict[str, Any]]]:
    """Drive the application directly, so that the test holds both ends."""
    requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    requests.put_nowait({"type": "http.request", "body": json.dumps(asking("count to 99", **more)).encode()})
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/client/v4/accounts/{SIMULATED_ACCOUNT_ID}/ai/run/@cf/simulator/{fault}",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {SIMULATED_API_TOKEN}".encode())],
    }

    async def call() -> None:
        await simulator(scope, requests.get, send)

    return asyncio.create_task(call()), requests


ADD = {
    "type": "function",
    "function": {
        "name": "add_numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "of": {"type": "array", "items": {"type": "integer"}}},
            "required": ["a", "of"],
        },
    },
}


async def test_arguments_can_be_of_the_wrong_type(result_of: ResultOf, client: httpx.AsyncClient) -> None:
    result = await result_of("@cf/simulator/slipped-arguments", "add numbers 2 and 3", tools=[ADD])
    [call] = result["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"a": "2", "of": "[3]"}
    chosen = {"x-simulator-fault": "slipped-arguments"}
    answer = await client.post(
        f"/run/{SEED}", json=asking("add numbers 2 and 3", tools=[ADD]), headers=chosen
    )
    assert answer.json()["result"]["tool_calls"][0]["arguments"] == {"a": "2", "of": "[3]"}


async def test_arguments_can_be_not_quite_json(result_of: ResultOf, events_of: EventsOf) -> None:
    name = "@cf/simulator/broken-arguments"
    result = await result_of(name, "Weather in Paris?", tools=[WEATHER])
    written = result["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert written == '{"city":"Paris",}'
    events = await events_of(name, "Weather in Paris?", tools=[WEATHER])
    deltas = [event["choices"][0]["delta"] for event in events if "choices" in event]
    fragments = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", [])]
    assert "".join(fragments) == written
