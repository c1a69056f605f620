"""What goes wrong while two targets are asked for one stream."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from gateway.admission.door import Door
from gateway.routing import Target
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call, begins_with, serving_backend, usage
from tests.gateway.served import MODEL, Served, backend_settings, events, text_of
from tests.gateway.test_hedging import AT_ONCE, ask, serve_hedged

Lines = Callable[[], list[dict[str, Any]]]


async def test_what_was_held_of_who_was_left_is_not_what_the_books_say(
    serve: Serve, backend: Backend, second: Backend, access_lines: Lines
) -> None:
    served = await serve_hedged(serve, backend, second)
    asking = ask(served, stop=["END"])
    first, other = await backend.call(), await second.call()
    first.begin()
    first.event(response="EN")  # held, for it may be the stop
    await asyncio.sleep(0.05)
    other.stream("Hello there", prompt=11, completion=5)
    await first.left()
    await asking
    await served.settled()
    [line] = access_lines()
    assert (line["prompt_tokens"], line["completion_tokens"], line.get("estimated")) == (11, 5, None)


def says(call: Call, *texts: str) -> None:
    """What vLLM streams, with the usage so far in each piece."""
    call.begin()
    for number, text in enumerate(texts, 1):
        call.event(choices=[{"index": 0, "delta": {"content": text}}], usage=usage(7, number))


async def serve_own(serve: Serve, *backends: Backend, **more: Any) -> Served:
    """Servers of one's own behind one route, whose streams are gone on with."""
    settings = {
        f"s{number}": {
            "kind": "openai",
            "server": "vllm",
            "base_url": f"{backend.url}/v1",
            "probe": 0,
            "breaker": {"failures": 1_000_000, "ratio": 1},
        }
        for number, backend in enumerate(backends)
    }
    targets = [{"backend": name, "model": "m"} for name in settings]
    return await serve(
        backends=settings, models={"small": {"targets": targets, "continue_streams": True, **more}}
    )


async def test_a_winner_that_broke_off_may_wait_for_who_goes_on_longer_than_within_an_answer(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    """Silence while the retry budget is used up is none of the server's that has broken off."""
    async with serving_backend() as third:
        served = await serve_own(serve, backend, second, third, hedge=AT_ONCE, idle_timeout=1)
        budget = served.gateway.dispatch.balancer.retries
        budget.under_way = 3
        asking = ask(served)
        first, other = await backend.call(), await second.call()
        says(other, "Hel")
        await first.left()
        other.reset()
        await served.waits_for("total")
        await asyncio.sleep(0.02)
        served.pass_time(2)
        await asyncio.sleep(0)
        budget.give_back()
        last = await third.call()
        says(last, "lo")
        last.event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=usage(8, 1))
        last.piece(b"data: [DONE]\n\n")
        last.finish()
        answer = await asking
    assert text_of(answer.text) == "Hello"
    assert events(answer.text)[-1] == "[DONE]"


async def test_one_that_lets_nobody_in_is_none_of_those_that_were_asked(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    """Three targets may be asked, whoever else had no room."""
    async with serving_backend() as third, serving_backend() as fourth:
        named = {"first": backend, "full": second, "third": third, "fourth": fourth}
        targets: list[dict[str, Any]] = [{"backend": name, "model": MODEL} for name in named]
        targets[1]["limits"] = {"rpm": 0}
        served = await serve(
            backends={name: backend_settings(each.url) for name, each in named.items()},
            models={"small": {"targets": targets, "hedge": {"after": 0.01, "share": 1}}},
        )
        fourth.reply = lambda call: call.stream("Hello")
        asking = ask(served)
        silent = await backend.call()
        await asyncio.sleep(0.05)
        silent.reset()
        (await third.call()).reset()
        answer = await asking
    assert text_of(answer.text) == "Hello"
    assert not second.calls


async def test_one_of_many_looks_at_once_whether_a_second_target_is_back(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served = await serve_hedged(serve, backend, second)
    model = served.gateway.dispatch.balancer.health.of("second", MODEL)
    model.aside_until, model.look_at = monotonic() + 100, monotonic()
    asking = [ask(served) for _ in range(5)]
    calls = [await backend.call() for _ in range(5)]
    await second.call()
    await asyncio.sleep(0.05)
    assert len(second.calls) == 1
    for call in calls:
        call.stream("Hello")
    assert {(await each).status_code for each in asking} == {200}


async def test_who_was_let_in_when_the_first_had_begun_leaves_the_look_to_others(
    serve: Serve, backend: Backend, second: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve_hedged(serve, backend, second)
    breaker = served.gateway.dispatch.balancer.health.backends["second"].breaker
    breaker.until = monotonic()
    admit = Door.admit

    async def slow(door: Door, target: Target, calls: Any) -> None:
        if target.backend == "second":
            first = await backend.call()
            begins_with("Hel")(first)
            while not served.gateway.dispatch.balancer.health.backends["first"].speed.seconds:  # noqa: ASYNC110
                await asyncio.sleep(0)
            first.reset()
        await admit(door, target, calls)

    monkeypatch.setattr(Door, "admit", slow)
    assert text_of((await ask(served)).text) == "Hel"
    assert not second.calls
    assert breaker.lets_in(monotonic())
