"""Requests find a target that can answer: by tier and balance, past what is full, set aside or failing."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.balance import retries
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend, Call, usage
from tests.gateway.served import ACCOUNT, MODEL, Served, backend_settings, events, text_of

LONG = 100.0  # seconds; the tests end sooner


def hello(call: Call) -> None:
    call.result("Hi")


def targets(*each: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"targets": [{"model": MODEL, **target} for target in each], **more}


async def serve_two(
    serve: Serve, backend: Backend, second: Backend, route: dict[str, Any], **of_first: Any
) -> Served:
    return await serve(
        backends={
            "first": backend_settings(backend.url, **of_first),
            "second": backend_settings(second.url),
        },
        models={"small": route},
    )


async def test_an_answer_says_which_way_it_came(two: Served, backend: Backend, second: Backend) -> None:
    backend.reply, second.reply = Call.reset, hello
    answer = await two.chat(model="small")
    way = {name: answer.headers[f"x-penstock-{name}"] for name in ("route", "backend", "attempts")}
    assert way == {"route": "small", "backend": "second", "attempts": "2"}


async def test_a_route_may_keep_its_way_to_itself(serve: Serve, backend: Backend, second: Backend) -> None:
    backend.reply = hello
    route = targets({"backend": "first"}, tell_way=False)
    answer = await (await serve_two(serve, backend, second, route)).chat(model="small")
    assert not [name for name in answer.headers if name in {"x-penstock-backend", "x-penstock-route"}]


async def test_a_full_tier_overflows_into_the_next(serve: Serve, backend: Backend, second: Backend) -> None:
    second.reply = hello
    route = targets({"backend": "first", "max_in_flight": 1}, {"backend": "second", "tier": 2})
    served = await serve_two(serve, backend, second, route)
    asking = asyncio.create_task(served.chat(model="small"))
    call = await backend.call()
    assert (await served.chat(model="small")).headers["x-penstock-backend"] == "second"
    hello(call)
    assert (await asking).headers["x-penstock-backend"] == "first"
    backend.reply = hello
    assert (await served.chat(model="small")).headers["x-penstock-backend"] == "first"


async def test_weighted_targets_get_their_shares(serve: Serve, backend: Backend, second: Backend) -> None:
    backend.reply = second.reply = hello
    route = targets({"backend": "first", "weight": 3}, {"backend": "second"}, balance="weighted")
    served = await serve_two(serve, backend, second, route)
    answers = [await served.chat(model="small") for _ in range(8)]
    assert Counter(answer.headers["x-penstock-backend"] for answer in answers) == {"first": 6, "second": 2}


async def test_what_is_busy_is_left_alone_for_as_long_as_it_says(
    two: Served, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = lambda call: call.refuse(429, 3021), hello
    for _ in range(5):
        assert (await two.chat(model="small")).status_code == 200
    assert len(backend.calls) == 1
    assert await two.metric("penstock_further_attempts_total", backend="second", kind="failover") == 1


async def test_an_account_without_allocation_is_left_alone_with_all_its_models(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    other = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
    backend.reply, second.reply = lambda call: call.refuse(429, 4006), hello
    served = await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={
            "small": targets({"backend": "first"}, {"backend": "second"}),
            "large": targets({"backend": "first", "model": other}, {"backend": "second", "model": other}),
        },
    )
    assert (await served.chat(model="small")).status_code == 200
    assert (await served.chat(model="large")).status_code == 200
    assert len(backend.calls) == 1


async def test_a_single_target_is_asked_although_it_was_busy(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.refuse(503, 3040)
    assert (await served.chat()).status_code == 503
    backend.reply = hello
    assert (await served.chat()).status_code == 200


async def test_a_target_that_fails_again_and_again_is_left_alone(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = Call.reset, hello
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve_two(serve, backend, second, route, breaker={"failures": 3, "wait": LONG})
    for _ in range(8):
        assert (await served.chat(model="small")).status_code == 200
    assert len(backend.calls) == 3


async def test_a_single_target_that_fails_again_and_again_is_spared(serve: Serve, backend: Backend) -> None:
    backend.reply = Call.reset
    one = backend_settings(backend.url, breaker={"failures": 2, "wait": LONG})
    served = await serve(backends={"first": one})
    assert [(await served.chat()).status_code for _ in range(3)] == [502, 502, 503]
    answer = await served.chat()
    assert answer.json()["error"]["code"] == "no_backend_available"
    assert 0 < int(answer.headers["retry-after"]) <= LONG
    assert len(backend.calls) == 2


async def test_one_request_looks_whether_it_is_well_again(serve: Serve, backend: Backend) -> None:
    backend.reply = Call.reset
    one = backend_settings(backend.url, breaker={"failures": 1, "wait": 0.001})
    served = await serve(backends={"first": one})
    assert (await served.chat()).status_code == 502
    backend.reply = None
    looking = asyncio.create_task(served.chat())
    call = await backend.call()
    assert (await served.chat()).status_code == 503
    hello(call)
    assert (await looking).status_code == 200
    backend.reply = hello
    assert (await served.chat()).status_code == 200


async def test_a_models_errors_keep_requests_away_from_that_model_alone(
    serve: Serve, backend: Backend
) -> None:
    other = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
    backend.reply = lambda call: call.refuse(500, 3043) if MODEL in call.path else call.result("Hi")
    one = backend_settings(backend.url, breaker={"failures": 1, "wait": LONG})
    served = await serve(backends={"first": one})
    assert [(await served.chat()).status_code for _ in range(2)] == [502, 503]
    assert (await served.chat(model=other)).status_code == 200


async def test_requests_wait_in_line_while_every_target_is_full(serve: Serve, backend: Backend) -> None:
    served = await serve(
        backends={"first": backend_settings(backend.url, max_in_flight=1)},
        models={"small": targets({"backend": "first"}, queue={"max": 2, "wait": LONG})},
    )
    asking = [asyncio.create_task(served.chat(model="small")) for _ in range(3)]
    call = await backend.call()
    lines = served.gateway.dispatch.balancer.lines
    while lines.waiting("small") < 2:  # noqa: ASYNC110 - turns, not time
        await asyncio.sleep(0)
    refused = await served.chat(model="small")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_backend_available")
    for _ in range(2):
        hello(call)
        call = await backend.call()
    hello(call)
    assert {(await each).status_code for each in asking} == {200}
    assert await served.metric("penstock_queue_wait_seconds_count", route="small") == 2


async def test_who_has_waited_for_too_long_is_told_to_come_again(serve: Serve, backend: Backend) -> None:
    served = await serve(
        backends={"first": backend_settings(backend.url, max_in_flight=1)},
        models={"small": targets({"backend": "first"}, queue={"max": 2, "wait": 0.01})},
    )
    asking = asyncio.create_task(served.chat(model="small"))
    call = await backend.call()
    refused = await served.chat(model="small")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_backend_available")
    assert "retry-after" in refused.headers
    hello(call)
    assert (await asking).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "kept alive"])
async def test_who_waits_in_line_until_the_end_of_all_time_is_told_so(
    serve: Serve, backend: Backend, *, stream: bool
) -> None:
    served = await serve(
        backends={"first": backend_settings(backend.url, max_in_flight=1)},
        models={"small": targets({"backend": "first"}, queue={"max": 2, "wait": 10 * LONG})},
        deadlines={"total": LONG, "hold_headers": 15},
    )
    running = asyncio.create_task(served.chat(model="small"))
    await backend.call()
    waiting = asyncio.create_task(served.chat(model="small", stream=stream))
    while not served.gateway.dispatch.balancer.lines.waiting("small"):  # noqa: ASYNC110 - turns, not time
        await asyncio.sleep(0)
    if stream:
        served.pass_time(16)
        await asyncio.sleep(0)
    served.pass_time(LONG)
    answer = await waiting
    error = events(answer.text)[-1]["error"] if stream else answer.json()["error"]
    assert (answer.status_code, error["code"]) == (200 if stream else 503, "no_backend_available")
    assert ("retry-after" in answer.headers) is not stream
    running.cancel()


async def test_a_prompt_too_long_for_one_target_goes_to_one_with_a_longer_context(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    longer = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
    said = "This model's maximum context length is 24000 tokens. However, you requested 30000 tokens"
    backend.reply = lambda call: call.refuse(400, 8007, said)
    second.reply = hello
    route = {"targets": [{"backend": "first", "model": MODEL}], "fallbacks": ["long"]}
    served = await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": route, "long": {"targets": [{"backend": "second", "model": longer}]}},
    )
    served.gateway.routes.learn(served.gateway.routes.resolve("long").targets[0], 131_072)
    answer = await served.chat("word " * 20_000, model="small")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-penstock-backend"] == "second"
    assert "model=transformed" in answer.headers["x-penstock-translation"]
    assert await served.metric("penstock_further_attempts_total", backend="second", kind="fallback") == 1


async def test_what_has_cost_work_is_asked_for_again_by_few_at_once_and_the_rest_in_turn(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    _served, asking = await _ten_in_vain(serve, backend, second)
    calls = [await second.call() for _ in range(3)]  # a fifth of ten is two, and three are always allowed
    for _ in range(7):
        assert len(second.calls) - sum(call.answered for call in second.calls) == 3
        hello(calls.pop(0))
        calls.append(await second.call())
    for call in calls:
        hello(call)
    assert {(await each).status_code for each in asking} == {200}


async def test_who_waits_to_ask_again_is_told_of_the_failure_once_nobody_is_left_to_ask(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    served, asking = await _ten_in_vain(serve, backend, second, failures=1)
    for call in [await second.call() for _ in range(3)]:
        call.reset()
    answers = await asyncio.gather(*asking)
    assert {answer.status_code for answer in answers} == {502}
    assert len(second.calls) == 3
    assert await served.metric("penstock_retry_refusals_total") == 0  # it was not the budget


async def test_who_waits_for_too_long_to_ask_again_is_told_of_the_failure(
    serve: Serve, backend: Backend, second: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_PATIENCE", 0.05)
    served, asking = await _ten_in_vain(serve, backend, second)
    calls = [await second.call() for _ in range(3)]
    while sum(each.done() for each in asking) < 7:
        await asyncio.wait([each for each in asking if not each.done()], return_when=asyncio.FIRST_COMPLETED)
    for call in calls:
        hello(call)
    answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {502: 7, 200: 3}
    assert await served.metric("penstock_retry_refusals_total") == 7


async def _ten_in_vain(
    serve: Serve, backend: Backend, second: Backend, failures: int = 1000
) -> tuple[Served, list[asyncio.Task[httpx.Response]]]:
    """Ten requests of which the first target has left every one without an answer."""
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve(
        backends={
            "first": backend_settings(backend.url, breaker={"failures": 1000, "ratio": 1}),
            "second": backend_settings(second.url, breaker={"failures": failures, "ratio": 1}),
        },
        models={"small": route},
    )
    asking = [asyncio.create_task(served.chat(model="small")) for _ in range(10)]
    for call in [await backend.call() for _ in range(10)]:
        call.reset()
    return served, asking


async def test_what_cost_no_work_may_be_asked_for_elsewhere_without_bound(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    second.reply = hello
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve_two(serve, backend, second, route)
    asking = [asyncio.create_task(served.chat(model="small")) for _ in range(10)]
    for call in [await backend.call() for _ in range(10)]:
        call.refuse(503, 3040)
    assert {(await each).status_code for each in asking} == {200}


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_backend_that_names_no_time_is_told_with_one(
    serve: Serve, backend: Backend, status: int
) -> None:
    own = {"kind": "openai", "server": "generic", "base_url": f"{backend.url}/v1", "probe": 0}
    backend.reply = lambda call: call.json({"error": {"message": "busy"}}, status=status)
    served = await serve(backends={"own": own}, models={"small": targets({"backend": "own", "model": "m"})})
    answer = await served.chat(model="small")
    assert answer.status_code == status
    assert (answer.headers["retry-after"], answer.headers["retry-after-ms"]) == ("1", "1000")


async def test_a_target_slow_with_its_first_token_is_left_for_the_next(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    second.reply = lambda call: call.stream("Hi")
    route = targets({"backend": "first"}, {"backend": "second"}, first_token_timeout=5)
    served = await serve_two(serve, backend, second, route)
    asking = asyncio.create_task(served.chat(model="small", stream=True))
    call = await backend.call()
    call.begin()
    call.event(response="")  # a sign of life, and no token
    await served.waits_for("first_byte")
    served.pass_time(6)
    answer = await asking
    assert text_of(answer.text) == "Hi"
    await call.left()


async def test_a_first_token_that_a_filter_holds_is_one(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    route = targets({"backend": "first"}, {"backend": "second"}, first_token_timeout=5)
    served = await serve_two(serve, backend, second, route)
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    asking = asyncio.create_task(served.chat(model="small", stream=True, tools=[tool]))
    call = await backend.call()
    call.begin()
    call.event(response='{"na')
    await served.waits_for("gap")
    served.pass_time(6)
    call.event(response='me": "look", "parameters": {}}')
    call.piece(b"data: [DONE]\n\n")
    call.finish()
    assert '"tool_calls"' in (await asking).text
    assert not second.calls


async def test_a_choice_that_is_here_goes_elsewhere_with_one_that_failed(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    second.reply = lambda call: call.result("second's")
    served = await serve_two(serve, backend, second, targets({"backend": "first"}, {"backend": "second"}))
    asking = asyncio.create_task(served.chat(model="small", n=2))
    one, other = await backend.call(), await backend.call()
    one.result("first's")
    while await served.metric("penstock_upstream_attempts_total", outcome="ok") < 1:
        pass
    other.refuse(503, 3040)
    answer = await asking
    assert answer.status_code == 200, answer.text
    assert [each["message"]["content"] for each in answer.json()["choices"]] == ["second's", "second's"]
    assert answer.json()["usage"]["completion_tokens"] == 6


async def test_what_the_client_was_not_told_of_may_fail_over(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    second.reply = lambda call: call.stream("Hi")
    served = await serve_two(serve, backend, second, targets({"backend": "first"}, {"backend": "second"}))
    body = {"model": "small", "prompt": "Hello", "stream": True}
    asking = asyncio.create_task(served.client.post("/v1/completions", json=body))
    call = await backend.call()
    call.begin()
    call.event(choices=[{"index": 0, "delta": {"role": "assistant", "reasoning_content": "Let me think."}}])
    await served.waits_for("gap")
    call.reset()
    answer = await asking
    assert answer.status_code == 200, answer.text
    assert "".join(each["choices"][0]["text"] for each in events(answer.text)[:-1]) == "Hi"
    assert answer.headers["x-penstock-backend"] == "second"


async def test_a_request_goes_where_its_images_can_be_seen(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    sees = "@cf/meta/llama-3.2-11b-vision-instruct"
    backend.reply = second.reply = hello
    served = await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={"small": targets({"backend": "first"}, {"backend": "second", "model": sees})},
    )
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    answer = await served.chat(model="small", messages=[{"role": "user", "content": [image]}])
    assert answer.headers["x-penstock-backend"] == "second"
    assert (await served.chat(model="small")).headers["x-penstock-backend"] == "first"


@pytest.mark.parametrize("trouble", ["refuse", "reset", "empty", "garbage"])
async def test_one_of_three_in_trouble_costs_no_request(
    serve: Serve, backend: Backend, second: Backend, trouble: str
) -> None:
    def fail(call: Call) -> None:
        if trouble == "refuse":
            call.refuse(500, 3043)
        elif trouble == "reset":
            call.reset()
        else:
            call.whole(b"" if trouble == "empty" else b"<html>")

    backend.reply, second.reply = fail, hello
    served = await serve(
        backends={
            "first": backend_settings(backend.url),
            "second": backend_settings(second.url),
            "third": backend_settings(second.url),
        },
        models={
            "small": targets(
                {"backend": "first"}, {"backend": "second"}, {"backend": "third"}, balance="weighted"
            )
        },
    )

    async def some() -> list[httpx.Response]:
        return [await served.chat(model="small") for _ in range(25)]

    answers = [each for row in await asyncio.gather(*(some() for _ in range(8))) for each in row]
    assert Counter(answer.status_code for answer in answers) == {200: 200}


async def test_an_ai_gateway_is_named_with_every_request(serve: Serve, backend: Backend) -> None:
    backend.reply = hello
    account = backend_settings(backend.url, gateway_id="mine", headers={"cf-aig-cache-ttl": "60"})
    await (await serve(backends={"first": account})).chat()
    headers = backend.calls[0].headers
    assert (headers["cf-aig-gateway-id"], headers["cf-aig-cache-ttl"]) == ("mine", "60")


async def test_an_account_may_be_asked_in_openais_form(serve: Serve, backend: Backend) -> None:
    said = {"role": "assistant", "content": "Hi"}
    choices = [{"index": 0, "message": said, "finish_reason": "stop"}]
    backend.reply = lambda call: call.json({"choices": choices, "usage": usage(3, 1)})
    served = await serve(backends={"first": backend_settings(backend.url, dialect="openai")})
    answer = await served.chat(max_tokens=9)
    assert answer.json()["choices"][0]["message"]["content"] == "Hi"
    (call,) = backend.calls
    assert call.path == f"/accounts/{ACCOUNT}/ai/v1/chat/completions"
    assert (call.body["model"], call.body["max_completion_tokens"]) == (MODEL, 9)
    backend.reply = lambda call: call.refuse(429, 4006)
    refused = await served.chat()
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert int(refused.headers["retry-after"]) > 0


async def test_only_one_of_many_requests_looks_whether_it_is_well_again(
    serve_stored: Serve, backend: Backend
) -> None:
    backend.reply = Call.reset
    one = backend_settings(backend.url, breaker={"failures": 1, "wait": 0.001})
    served = await serve_stored(backends={"first": one}, limits={"rpm": 1_000_000})
    assert (await served.chat()).status_code == 502
    backend.calls.clear()
    backend.reply = None
    asking = [asyncio.create_task(served.chat()) for _ in range(20)]
    looking = await backend.call()
    answers: list[httpx.Response] = []
    for answered in asyncio.as_completed(asking, timeout=PATIENCE):
        answers.append(await answered)
        if len(answers) == 19:
            hello(looking)
    assert [answer.status_code for answer in answers] == [503] * 19 + [200]
    assert len(backend.calls) == 1


async def test_where_no_target_can_be_reached_the_client_is_told_to_come_again(
    serve: Serve, closed_port: Callable[[], int]
) -> None:
    gone = {name: backend_settings(f"http://127.0.0.1:{closed_port()}") for name in ("first", "second")}
    served = await serve(
        backends=gone,
        models={
            "two": targets({"backend": "first"}, {"backend": "second"}),
            "one": targets({"backend": "first"}),
        },
    )
    for stream in (False, True):
        answer = await served.chat(model="two", stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_backend_available")
        assert int(answer.headers["retry-after"]) >= 1
    answer = await served.chat(model="one")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_unreachable")


async def test_refused_credentials_of_one_target_leave_the_next_one_its_turn(
    serve: Serve, backend: Backend, second: Backend
) -> None:
    backend.reply, second.reply = lambda call: call.refuse(401, 10000), hello
    tokens = [f"token-{number}-0123456789" for number in range(5)]
    route = targets({"backend": "first"}, {"backend": "second"})
    served = await serve_two(serve, backend, second, route, api_token=tokens)
    answer = await served.chat(model="small")
    assert (answer.status_code, answer.headers["x-penstock-backend"]) == (200, "second")
    assert len(backend.calls) == len(tokens)
