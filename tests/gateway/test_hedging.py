"""A stream that is slow to begin is asked of a second target as well; the first that begins answers it."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call, begins_with
from tests.gateway.served import MODEL, Served, asks, backend_settings, events, text_of
from tests.gateway.test_leaving import request

LONG = 100.0  # seconds; no deadline of a test runs out
AT_ONCE = {"after": 0.01, "share": 1}


async def serve_hedged(
    serve: Serve, backend: Backend, second: Backend, *, hedge: Any = AT_ONCE, **more: Any
) -> Served:
    targets = [{"backend": "first", "model": MODEL}, {"backend": "second", "model": MODEL}]
    deadlines = more.pop("deadlines", {})
    return await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": {"targets": targets, "hedge": hedge, **more}},
        deadlines=deadlines,
    )


def ask(served: Served, **fields: Any) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(served.chat(model="small", **{"stream": True, **fields}))


def way_of(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["x-penstock-backend"], answer.headers["x-penstock-attempts"]


async def test_the_second_answers_where_the_first_is_silent_and_the_first_is_left(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    other.stream("Hello ", "there")
    await first.left()
    answer = await asking
    assert text_of(answer.text) == "Hello there"
    assert way_of(answer) == ("second", "2")
    assert await served.metric("penstock_further_attempts_total", backend="second", kind="hedge") == 1
    speeds = {name: each.speed for name, each in served.gateway.dispatch.balancer.health.backends.items()}
    assert speeds["first"].seconds is not None  # how long it would have taken nobody knows, but it was longer
    assert speeds["second"].seconds is not None
    assert speeds["first"].seconds > speeds["second"].seconds


async def test_the_first_answers_where_it_begins_sooner_and_the_second_is_left(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    first.begin()
    first.event(response="Hello ")
    await other.left()
    first.event(response="there")
    first.piece(b"data: [DONE]\n\n")
    first.finish()
    answer = await asking
    assert text_of(answer.text) == "Hello there"
    assert way_of(answer)[0] == "first"


async def test_nobody_else_is_asked_where_the_first_begins_in_time(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second, hedge={"after": LONG})
    asking = ask(served)
    (await backend.call()).stream("Hello")
    assert way_of(await asking) == ("first", "1")
    assert not second.calls


@pytest.mark.parametrize("fields", [{"stream": False}, {"n": 2}])
async def test_only_streams_of_one_answer_are_hedged(
    serve: Serve, backend: Backend, second: Backend, fields: dict[str, Any]
) -> None:
    served = await serve_hedged(serve, backend, second, hedge={"after": 0.001, "share": 1})
    asking = ask(served, **fields)
    calls = [await backend.call() for _ in range(fields.get("n", 1))]
    await asyncio.sleep(0.02)  # twenty times as long as it would take
    for call in calls:
        if fields.get("stream", True):
            call.stream("Hello")
        else:
            call.result("Hello")
    assert (await asking).status_code == 200
    assert not second.calls


async def test_a_route_pays_twice_for_no_more_than_its_share(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second, hedge={"after": 0.001, "share": 0.01})
    asking = [ask(served) for _ in range(4)]
    calls = [await backend.call() for _ in range(4)]
    (await second.call()).stream("Hello")
    hedged, _slow = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0.02)
    assert len(second.calls) == len(hedged) == 1
    for call in calls:
        if not call.closed.is_set():
            call.stream("Hello")
    assert {(await each).status_code for each in asking} == {200}


async def test_a_failure_of_one_is_none_while_the_other_runs(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    first.reset()
    other.stream("Hello")
    answer = await asking
    assert text_of(answer.text) == "Hello"
    assert way_of(answer) == ("second", "2")


async def test_a_failure_of_both_is_told_once(serve: Serve, backend: Backend, second: Backend) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    first.reset()
    other.refuse(500)
    answer = await asking
    assert answer.status_code == 502, answer.text
    assert answer.headers["x-penstock-attempts"] == "2"


async def test_what_fails_before_the_other_is_asked_goes_on_as_always(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second, hedge={"after": LONG})
    backend.reply = lambda call: call.refuse(503, 3040)
    second.reply = lambda call: call.stream("Hello")
    assert way_of(await ask(served)) == ("second", "2")


async def test_a_winner_that_breaks_off_ends_with_an_error_alone(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    begins_with("Hel")(other)
    await first.left()
    other.reset()
    answer = await asking
    said = events(answer.text)
    assert text_of(answer.text) == "Hel"
    assert "error" in said[-1]
    assert "[DONE]" not in answer.text


async def test_a_client_that_leaves_leaves_nobody_at_work(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    asking.cancel()
    await first.left()
    await other.left()
    await served.settled()


async def test_both_have_deadlines_of_their_own(serve: Serve, backend: Backend, second: Backend) -> None:
    served = await serve_hedged(serve, backend, second, deadlines={"first_byte": 10})
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    served.pass_time(11)
    await first.left()
    await other.left()
    answer = await asking
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_first_byte"


async def win_before_a_stalled_client(
    served: Served, writer: asyncio.StreamWriter, backend: Backend, second: Backend
) -> Call:
    """The winner of a race, whose client does not read until so much has come that it is waited for."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport as well
    writer.write(request(asks(model="small", stream=True)))
    first, other = await backend.call(), await second.call()
    other.begin()
    while not any(watch.phase == "write_stall" for watch in served.gateway.ticker._live):
        other.event(response="x" * 500_000)
        await asyncio.sleep(0)
    await first.left()
    return other


async def test_a_winner_has_no_deadline_while_the_client_does_not_read(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    deadlines = {"gap": 5, "write_stall": LONG}
    served = await serve_hedged(serve, backend, second, deadlines=deadlines)
    reader, writer = await served.connect()
    other = await win_before_a_stalled_client(served, writer, backend, second)
    served.pass_time(6)
    await asyncio.sleep(0)
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    other.piece(b"data: [DONE]\n\n")
    other.finish()
    async with asyncio.timeout(20):
        assert b"[DONE]" in await read_to_the_end(reader)
    writer.close()


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    """The last bytes of a chunked answer."""
    end = b""
    while not end.endswith(b"0\r\n\r\n"):
        end = (end + await reader.read(2**16))[-100:]
    return end


@pytest.mark.parametrize("phase", ["total", "write_stall"])
async def test_a_deadline_ends_a_winner_whose_client_does_not_read(
    serve: Serve, backend: Backend, second: Backend, quiet_log: pytest.LogCaptureFixture, phase: str
) -> None:
    deadlines = {"gap": 10 * LONG, "write_stall": 10 * LONG, "total": 10 * LONG, phase: LONG}
    served = await serve_hedged(serve, backend, second, deadlines=deadlines)
    _reader, writer = await served.connect()
    other = await win_before_a_stalled_client(served, writer, backend, second)
    served.pass_time(LONG + 1)
    await other.left()
    await served.settled()
    assert await served.metric("penstock_deadlines_total", reason=phase) == 1
    assert not [record for record in quiet_log.records if record.exc_info]
    quiet_log.clear()  # the server logs that the answer has no end, and closes the connection
    writer.transport.abort()


async def test_nobody_else_is_asked_where_the_first_has_begun_and_a_filter_holds_it(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second, hedge={"after": 0.5, "share": 1})
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    asking = ask(served, tools=[tool])
    call = await backend.call()
    call.begin()
    call.event(response='{"na')  # which may be a call of a tool
    await asyncio.sleep(0.6)
    assert not second.calls
    call.event(response='me": "look", "parameters": {}}')
    call.piece(b"data: [DONE]\n\n")
    call.finish()
    assert '"tool_calls"' in (await asking).text
    assert not second.calls


async def test_a_client_that_leaves_as_the_winners_deadline_passes_has_left(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second, deadlines={"gap": 5})
    _reader, writer = await served.connect()
    writer.write(request(asks(model="small", stream=True)))
    first, other = await backend.call(), await second.call()
    begins_with("Hel")(other)
    await first.left()
    [watch] = served.gateway.ticker._live
    while not any(lane.phase == "gap" for lane in watch.lanes):  # noqa: ASYNC110 - turns, not time
        await asyncio.sleep(0)
    served.pass_time(6)
    watch.give_up()
    writer.transport.abort()
    await other.left()
    await served.settled()
    assert await served.metric("penstock_deadlines_total", reason="gap") == 0


async def test_the_end_of_all_time_ends_the_winner(serve: Serve, backend: Backend, second: Backend) -> None:
    deadlines = {"first_byte": 10 * LONG, "gap": 10 * LONG, "total": LONG}
    served = await serve_hedged(serve, backend, second, deadlines=deadlines)
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    begins_with("Hel")(other)
    await first.left()
    served.pass_time(LONG + 1)
    await other.left()
    answer = await asking
    assert events(answer.text)[-1]["error"]["code"] == "deadline_total"


async def test_the_end_of_all_time_ends_both(serve: Serve, backend: Backend, second: Backend) -> None:
    served = await serve_hedged(serve, backend, second, deadlines={"first_byte": 10 * LONG, "total": LONG})
    asking = ask(served)
    first, other = await backend.call(), await second.call()
    served.pass_time(LONG + 1)
    await first.left()
    await other.left()
    answer = await asking
    assert events(answer.text)[-1]["error"]["code"] == "deadline_total"
