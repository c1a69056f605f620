"""`n` answers: as many calls at once, and all of them gone when one is."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from tests.gateway.scripted import PATIENCE, Backend, Call
from tests.gateway.served import Served, asks, events
from tests.gateway.test_leaving import request

Lines = Callable[[], list[dict[str, Any]]]


async def _calls(backend: Backend, count: int) -> list[Call]:
    return [await backend.call() for _ in range(count)]


async def test_all_calls_are_open_at_once_and_usage_is_theirs_together(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    asking = asyncio.create_task(served.chat(n=3, seed=5))
    calls = await _calls(backend, 3)
    for call, text in zip(reversed(calls), "cba", strict=True):
        call.result(text, prompt=10, completion=2)
    answer = (await asking).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert sorted(choice["message"]["content"] for choice in answer["choices"]) == ["a", "b", "c"]
    assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
    assert sorted(call.body["seed"] for call in calls) == [5, 6, 7]
    [line] = access_lines()
    assert (line["attempts"], line["completion_tokens"]) == (3, 6)
    assert await served.metric("penstock_upstream_attempts_total", outcome="ok") == 3


async def test_choices_of_a_stream_begin_in_order(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(n=2, seed=1, stream=True))
    calls = sorted(await _calls(backend, 2), key=lambda call: call.body["seed"])
    calls[1].stream("second")
    async with asyncio.timeout(PATIENCE):
        while await served.metric("penstock_upstream_attempts_total", outcome="ok") < 1:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.01)
    calls[0].stream("first")
    said = events((await asking).text)
    begun = [each["choices"][0]["index"] for each in said[:-1] if "role" in each["choices"][0]["delta"]]
    assert begun == [0, 1]


@pytest.mark.parametrize("stream", [False, True])
async def test_one_that_fails_closes_the_others(served: Served, backend: Backend, *, stream: bool) -> None:
    asking = asyncio.create_task(served.chat(n=3, stream=stream))
    first, *others = await _calls(backend, 3)
    first.refuse(503, 3040)
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    for call in others:
        await call.left()
    assert await served.metric("penstock_upstream_attempts_total", outcome="cancelled") == 2


async def test_a_stop_string_in_every_choice_closes_all_backends(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(n=2, stop="STOP", stream=True))
    calls = await _calls(backend, 2)
    for call in calls:
        call.begin()
        call.event(response="one STOP two")
    for call in calls:
        await call.left()
    answer = await asking
    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.text.count('"finish_reason":"stop"') == 2
    assert await served.metric("penstock_upstream_attempts_total", outcome="ok") == 2


async def test_silence_of_all_calls_ends_them(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(n=2))
    calls = await _calls(backend, 2)
    served.pass_time(301)
    for call in calls:
        await call.left()
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_first_byte")
    assert await served.metric("penstock_deadlines_total", reason="first_byte") == 1


async def test_calls_that_were_silent_for_too_long_count_against_their_backend(
    served: Served, backend: Backend
) -> None:
    asking = asyncio.create_task(served.chat(n=3, stream=True))
    begun, *silent = await _calls(backend, 3)
    begun.begin()
    begun.event(response="Hello")
    await served.waits_for("first_byte")
    served.pass_time(served.gateway.settings.deadlines.first_byte + 1)
    assert (await asking).status_code in {200, 504}
    for call in [begun, *silent]:
        await call.left()
    await served.settled()
    assert await served.metric("penstock_upstream_attempts_total", outcome="timeout") >= 2


async def test_a_client_that_does_not_read_is_cut_off_though_the_backends_go_on(
    served: Served, backend: Backend, access_lines: Lines, quiet_log: pytest.LogCaptureFixture
) -> None:
    _reader, writer = await served.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request(asks(n=2, seed=1, stream=True)))
    calls = sorted(await _calls(backend, 2), key=lambda call: call.body["seed"])
    for call in calls:
        call.begin()
    [watch] = served.gateway.ticker._live
    async with asyncio.timeout(PATIENCE):
        while watch.phase != "write_stall":
            calls[0].event(response="x" * 500_000)
            await asyncio.sleep(0)
    calls[1].event(response="more")
    for _ in range(20):  # turns, in which the gateway reads that
        await asyncio.sleep(0)
    served.pass_time(21)
    for call in calls:
        await call.left()
    await served.settled()
    [line] = access_lines()
    assert (line["ended_by"], line["error"]) == ("gateway", "deadline_write_stall")
    quiet_log.clear()  # the server logs that the answer has no end
    writer.transport.abort()


async def test_a_piece_without_a_word_is_a_sign_of_life(served: Served, backend: Backend) -> None:
    asking = asyncio.create_task(served.chat(n=2))
    calls = await _calls(backend, 2)
    [watch] = served.gateway.ticker._live
    for call in calls:
        call.begin(content_type="application/json")
        call.piece(b'{"result":')
    await served.waits_for("gap")
    watch.at = inf
    calls[0].piece(b'{"response":"Hi"}')
    async with asyncio.timeout(PATIENCE):
        while watch.at == inf:  # noqa: ASYNC110 - turns, not time
            await asyncio.sleep(0)
    for call, rest in zip(calls, (b"}", b'{"response":"Hi"}}'), strict=True):
        call.piece(rest)
        call.finish()
    assert [each["message"]["content"] for each in (await asking).json()["choices"]] == ["Hi", "Hi"]


async def test_what_came_before_a_break_is_booked(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    asking = asyncio.create_task(served.chat("1234", n=2, seed=1, stream=True))
    calls = sorted(await _calls(backend, 2), key=lambda call: call.body["seed"])
    calls[0].stream("done", prompt=4, completion=5)
    calls[1].begin()
    calls[1].event(response="12345678")
    await served.waits_for("gap")
    calls[1].reset()
    await asking
    [line] = access_lines()
    assert (line["error"], line["estimated"]) == ("backend_broken", True)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (4, 7)


async def test_a_fault_of_ours_in_one_call_is_told_at_once(
    served: Served, backend: Backend, quiet_log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("translators.backends.workers_ai.response.Reader.start", fails)
    asking = asyncio.create_task(served.chat(n=2))
    first, second = await _calls(backend, 2)
    first.result("Hi")
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    await second.left()
    quiet_log.clear()
