"""Calls to backends: translation on the way, failover, and what faults become."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call, usage
from tests.gateway.served import ACCOUNT, MODEL, TOKEN, Served, backend_settings, events, route, text_of

Lines = Callable[[], list[dict[str, Any]]]


async def test_a_chat_is_sent_to_the_account_with_its_credential(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    answer = await served.chat(max_tokens=5)
    assert answer.json()["choices"][0]["message"]["content"] == "Hi"
    call = backend.calls[0]
    assert (call.method, call.path) == ("POST", f"/accounts/{ACCOUNT}/ai/run/{MODEL}")
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert call.body == {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}


async def test_nothing_of_the_clients_headers_is_sent_on(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    await served.client.post(
        "/v1/chat/completions?x=1",
        json={"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]},
        headers={"x-own": "x", "cookie": "a=b", "x-forwarded-for": "192.0.2.1", "accept-encoding": "gzip"},
    )
    names = set(backend.calls[0].headers)
    expected = {"host", "authorization", "content-type", "accept-encoding", "user-agent", "accept"}
    assert names == {*expected, "content-length"}
    assert backend.calls[0].headers["accept-encoding"] == "identity"


async def test_a_large_body_is_sent_whole(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    text = "x" * 2_000_000
    tool = {"type": "function", "function": {"name": "f", "description": text, "parameters": {}}}
    answer = await served.chat(tools=[tool])
    assert answer.status_code == 200
    assert text in str(backend.calls[0].body)


async def test_calls_share_a_connection(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    for _ in range(3):
        await served.chat()
    assert len({call.connection for call in backend.calls}) == 1


async def test_a_backends_cookies_are_not_kept(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.json({"result": {"response": "Hi"}}, set_cookie="a=b; path=/")
    answers = [await served.chat(), await served.chat()]
    assert "cookie" not in backend.calls[1].headers
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_a_route_fills_in_its_defaults_and_says_so(serve: Serve, backend: Backend) -> None:
    served = await serve(
        backends={"b": backend_settings(backend.url)},
        models={"small": route("b", defaults={"max_tokens": 9, "temperature": 0.5, "seed": 3})},
    )
    backend.reply = lambda call: call.result("Hi")
    answer = await served.chat(model="small", temperature=1)
    assert answer.json()["model"] == "small"
    body = backend.calls[0].body
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (9, 1, 3)
    assert answer.headers["x-penstock-translation"] == "seed=defaulted, max_tokens=defaulted"
    await served.chat(model="small", max_completion_tokens=4)
    assert backend.calls[1].body["max_tokens"] == 4


async def test_a_strict_route_refuses_what_it_would_drop(serve: Serve, backend: Backend) -> None:
    served = await serve(
        backends={"b": backend_settings(backend.url)},
        models={"exact": route("b", translation="strict"), "small": route("b")},
    )
    backend.reply = lambda call: call.result("Hi")
    refused = await served.chat(model="exact", logit_bias={"1": 2})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "logit_bias"
    assert not backend.calls
    assert (await served.chat(model="small", logit_bias={"1": 2})).status_code == 200


async def test_a_listed_catalogue_serves_what_models_list_alone(serve: Serve, backend: Backend) -> None:
    served = await serve(
        backends={"b": backend_settings(backend.url, catalogue="listed")}, models={"small": route("b")}
    )
    backend.reply = lambda call: call.result("Hi")
    assert (await served.chat(model="small")).status_code == 200
    refused = await served.chat()
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert [each["id"] for each in (await served.client.get("/v1/models")).json()["data"]] == ["small"]


@pytest.mark.parametrize(
    "model", ["gpt-4", "@cf/../x", "@cf/a/..", "@cf/a/b/c", "http://evil/x", "@cf/a/b?c"]
)
async def test_a_name_that_is_no_models_calls_nothing(served: Served, backend: Backend, model: str) -> None:
    answer = await served.chat(model=model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert not backend.calls


@pytest.mark.parametrize(
    ("status", "code", "seen", "word"),
    [
        (401, 10000, 502, "upstream_auth"),
        (403, 0, 502, "upstream_auth"),
        (400, 5006, 400, None),
        (404, 5007, 404, "model_not_found"),
        (408, 3007, 504, "timeout"),
        (429, 3036, 429, "insufficient_quota"),
        (429, 3021, 429, "rate_limit_exceeded"),
        (500, 0, 502, "upstream_error"),
        (503, 3040, 503, "overloaded"),
        (529, 0, 503, "overloaded"),
        (301, 0, 502, "upstream_error"),
    ],
)
async def test_a_backends_error_is_told_in_our_words(
    served: Served, backend: Backend, status: int, code: int, seen: int, word: str | None
) -> None:
    backend.reply = lambda call: call.refuse(status, code, location="http://127.0.0.1:9/elsewhere")
    for stream in (False, True):
        answer = await served.chat(stream=stream)
        assert answer.status_code == seen
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == word
    assert len(backend.calls) == 2


async def test_a_quota_tells_when_to_ask_again_and_not_to_try_before(
    served: Served, backend: Backend
) -> None:
    backend.reply = lambda call: call.refuse(429, 3036)
    headers = (await served.chat()).headers
    assert 0 < int(headers["retry-after"]) <= 86_400
    assert int(headers["retry-after-ms"]) == int(headers["retry-after"]) * 1000
    assert headers["x-should-retry"] == "false"


async def test_a_credential_that_was_refused_is_not_to_be_tried_again(
    served: Served, backend: Backend
) -> None:
    backend.reply = lambda call: call.refuse(401, 10000)
    assert (await served.chat()).headers["x-should-retry"] == "false"
    backend.reply = lambda call: call.refuse(500)
    assert "x-should-retry" not in (await served.chat()).headers


async def test_a_backends_sentence_is_quoted_unless_the_operator_forbids_it(
    serve: Serve, backend: Backend
) -> None:
    backend.reply = lambda call: call.refuse(400, 5006, "AiError: Bad input: 'seed' is odd")
    speaks = await serve(backends={"b": backend_settings(backend.url)})
    assert "'seed' is odd" in (await speaks.chat()).json()["error"]["message"]
    silent = await serve(backends={"b": backend_settings(backend.url)}, errors={"quote_backends": False})
    assert (await silent.chat()).json()["error"]["message"] == "Workers AI refused the request."


def _breaks_off(call: Call) -> None:
    call.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
    call.close()


def _says(data: bytes) -> Callable[[Call], None]:
    def reply(call: Call) -> None:
        call.raw(data)
        call.close()

    return reply


BROKEN = {
    "reset": Call.reset,
    "closed": Call.close,
    "cut body": _breaks_off,
    "no http": _says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "endless header": _says(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000),
    "odd chunk": _says(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\nzz\r\n'),
    "cut chunk": _says(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n'),
    "two lengths": _says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_a_502_and_an_attempt_in_the_metrics(
    served: Served, backend: Backend, fault: Callable[[Call], None]
) -> None:
    backend.reply = fault
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_broken")
    assert await served.metric("penstock_upstream_attempts_total", backend="cloudflare", outcome="reset") == 1


BAD = {
    "empty": b"",
    "html": b"<html>no</html>",
    "cut json": b'{"result":{"response":"Hi',
    "other json": b'{"hello":"world"}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_a_body_that_is_no_answer_is_a_502(served: Served, backend: Backend, body: bytes) -> None:
    backend.reply = lambda call: call.whole(body)
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bad_backend_answer")
    assert await served.metric("penstock_upstream_attempts_total", outcome="invalid") == 1


async def test_a_backend_that_refuses_connections_is_a_502(
    serve: Serve, closed_port: Callable[[], int]
) -> None:
    served = await serve(backends={"gone": backend_settings(f"http://127.0.0.1:{closed_port()}")})
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_unreachable")
    assert await served.metric("penstock_upstream_attempts_total", backend="gone", outcome="connect") == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        Call.reset,
        lambda call: call.refuse(429, 3021),
        lambda call: call.refuse(500),
        lambda call: call.refuse(503, 3040),
        lambda call: call.refuse(401, 10000),
        lambda call: call.refuse(403, 5016),
        lambda call: call.refuse(404, 5007),
        lambda call: call.whole(b"<html>"),
    ],
    ids=["reset", "429", "500", "503", "401", "403", "404", "html"],
)
async def test_what_another_target_may_not_have_fails_over(
    two: Served, backend: Backend, second: Backend, fault: Callable[[Call], None], *, stream: bool
) -> None:
    backend.reply = fault
    second.reply = lambda call: call.stream("Hi") if call.body.get("stream") else call.result("Hi")
    answer = await two.chat(model="small", stream=stream)
    assert answer.status_code == 200
    assert "Hi" in answer.text
    assert (len(backend.calls), len(second.calls)) == (1, 1)


async def test_a_refused_connection_fails_over(
    serve: Serve, second: Backend, closed_port: Callable[[], int], access_lines: Lines
) -> None:
    served = await serve(
        backends={
            "gone": backend_settings(f"http://127.0.0.1:{closed_port()}"),
            "second": backend_settings(second.url),
        },
        models={"small": route("gone", "second")},
    )
    second.reply = lambda call: call.result("Hi")
    assert (await served.chat(model="small")).status_code == 200
    [line] = access_lines()
    assert (line["backend"], line["attempts"], line["prompt_tokens"]) == ("second", 2, 7)
    assert "error" not in line


async def test_a_request_at_fault_does_not_fail_over(two: Served, backend: Backend, second: Backend) -> None:
    backend.reply = lambda call: call.refuse(400, 5006)
    assert (await two.chat(model="small")).status_code == 400
    assert not second.calls


async def test_the_last_targets_error_is_the_answer(two: Served, backend: Backend, second: Backend) -> None:
    backend.reply = Call.reset
    second.reply = lambda call: call.refuse(503, 3040)
    answer = await two.chat(model="small")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")


PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def test_a_target_that_cannot_be_asked_does_not_hide_why_the_one_before_failed(
    serve: Serve, backend: Backend, second: Backend, access_lines: Lines
) -> None:
    sees = "@cf/meta/llama-3.2-11b-vision-instruct"
    served = await serve(
        backends={"first": backend_settings(backend.url), "second": backend_settings(second.url)},
        models={
            "small": {"targets": [{"backend": "first", "model": sees}, {"backend": "second", "model": MODEL}]}
        },
    )
    backend.reply = lambda call: call.refuse(503, 3040)
    answer = await served.chat(model="small", messages=[{"role": "user", "content": [PIXEL]}])
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert not second.calls
    [line] = access_lines()
    assert (line["backend"], line["error"], line["attempts"]) == ("first", "overloaded", 1)


async def test_an_answer_that_broke_before_anything_was_sent_fails_over(
    two: Served, backend: Backend, second: Backend
) -> None:
    def breaks_in_its_first_breath(call: Call) -> None:
        call.begin()
        call.piece(b'data: {"response":"Bye"}\n\ndata: {"error":{"message":"no"}}\n\n')

    backend.reply = breaks_in_its_first_breath
    second.reply = lambda call: call.stream("Hi")
    answer = await two.chat(model="small", stream=True)
    assert text_of(answer.text) == "Hi"


async def test_after_the_first_delta_nothing_fails_over(
    two: Served, backend: Backend, second: Backend
) -> None:
    asking = asyncio.create_task(two.chat(model="small", stream=True))
    call = await backend.call()
    call.begin()
    call.event(response="Hel")
    await two.waits_for("gap")
    call.reset()
    answer = await asking
    assert text_of(answer.text) == "Hel"
    assert events(answer.text)[-1]["error"]["code"] == "backend_broken"
    assert not second.calls


async def test_a_failover_has_deadlines_of_its_own(two: Served, backend: Backend, second: Backend) -> None:
    asking = asyncio.create_task(two.chat(model="small"))
    first = await backend.call()
    two.pass_time(301)
    await first.left()
    slow = await second.call()
    two.pass_time(301)
    await slow.left()
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_first_byte")
    assert await two.metric("penstock_deadlines_total", reason="first_byte") == 2
    assert await two.metric("penstock_upstream_attempts_total", outcome="timeout") == 2


async def test_when_the_total_is_over_nothing_fails_over(
    two: Served, backend: Backend, second: Backend
) -> None:
    asking = asyncio.create_task(two.chat(model="small"))
    call = await backend.call()
    [watch] = two.gateway.ticker._live
    watch.total_at = watch.at - 30
    two.pass_time(271)
    await call.left()
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_total")
    assert not second.calls


async def test_a_fault_of_ours_is_a_500_without_details(
    served: Served, backend: Backend, monkeypatch: pytest.MonkeyPatch, quiet_log: pytest.LogCaptureFixture
) -> None:
    def fails(*_arguments: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("gateway.dispatch.translate_for", fails)
    answer = await served.chat()
    assert answer.status_code == 500
    assert "mistake of ours" not in answer.text
    assert answer.headers["x-request-id"] in quiet_log.text
    quiet_log.clear()
    assert not backend.calls


async def test_usage_of_a_whole_answer_is_the_backends(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    neurons = {**usage(12, 34), "neurons": 1.5, "prompt_tokens_details": {"cached_tokens": 2}}
    backend.reply = lambda call: call.result("Hi", usage=neurons)
    answer = await served.chat()
    assert answer.json()["usage"]["completion_tokens"] == 34
    [line] = access_lines()
    assert (line["prompt_tokens"], line["completion_tokens"], line["neurons"]) == (12, 34, 1.5)
    assert await served.metric("penstock_neurons_total", model=MODEL) == 1.5
    assert await served.metric("penstock_tokens_total", type="cached") == 2
