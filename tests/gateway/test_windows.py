"""Windows that catalogues have wrong: learnt from a refusal, which is asked again with a shorter answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.routing import Routes
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MODEL, Served, backend_settings, route, text_of
from tests.laws.exchange import CATALOGUE
from translators.backends.workers_ai.catalogue import Facts

Lines = Callable[[], list[dict[str, Any]]]


def tells(window: int, prompt: int, answer: int) -> str:
    """The refusal as it was captured: an engine's error inside the message."""
    text = (
        f"Requested token count exceeds the model's maximum context length of {window} tokens. You requested "
        f"a total of {prompt + answer} tokens: {prompt} tokens from the input messages and {answer} tokens "
        "for the completion."
    )
    engine = {"object": "error", "message": text, "type": "BadRequestError", "param": None, "code": 400}
    return f"AiError: AiError: {json.dumps(engine)} (82a04848-3949-4645-83f0-94050e19f74b)"


def refuses(window: int, prompt: int) -> Callable[[Call], None]:
    """A backend whose model has this window, and which counts every prompt as so many tokens."""

    def reply(call: Call) -> None:
        asked = call.body["max_tokens"]
        if prompt + asked > window:
            call.refuse(400, 8007, tells(window, prompt, asked))
        elif call.body.get("stream"):
            call.stream("Hi")
        else:
            call.result("Hi")

    return reply


def asked_for(backend: Backend) -> list[int]:
    return [call.body["max_tokens"] for call in backend.calls]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_too_long_beside_its_prompt_is_asked_for_again_with_the_room_there_is(
    served: Served, backend: Backend, access_lines: Lines, *, stream: bool
) -> None:
    backend.reply = refuses(8000, 5000)
    answer = await served.chat(max_tokens=4000, stream=stream)
    assert answer.status_code == 200
    said = text_of(answer.text) if stream else answer.json()["choices"][0]["message"]["content"]
    assert said == "Hi"
    assert asked_for(backend) == [4000, 3000]
    assert answer.headers["x-penstock-translation"] == "max_tokens=clamped"
    [line] = access_lines()
    assert line["attempts"] == 2
    assert await served.metric("penstock_upstream_attempts_total", outcome="http_4xx") == 1
    assert await served.metric("penstock_upstream_attempts_total", outcome="ok") == 1


async def test_the_window_is_kept_and_shown_and_later_requests_are_cut_beforehand(
    serve: Serve, backend: Backend
) -> None:
    served = await serve(
        backends={"b": backend_settings(backend.url)}, models={"small": route("b"), "other": route("b")}
    )
    backend.reply = refuses(8000, 5000)
    await served.chat(max_tokens=4000, model="small")
    backend.calls.clear()
    for model in ("small", "other", MODEL):
        await served.chat(max_tokens=9000, model=model)
        shown = (await served.client.get(f"/v1/models/{model}")).json()
        assert shown["context_length"] == 8000
    assert asked_for(backend) == [7998, 3000] * 3
    listed = (await served.client.get("/v1/models")).json()["data"]
    assert {each["id"]: each.get("context_length") for each in listed}[MODEL] == 8000
    translated = await served.client.post(
        "/v1/translate",
        json={"model": "small", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9000},
    )
    assert translated.json()["calls"][0]["body"]["max_tokens"] == 7998


async def test_a_prompt_that_does_not_fit_is_refused_in_the_words_that_agents_know(
    served: Served, backend: Backend
) -> None:
    backend.reply = refuses(8000, 8000)
    answer = await served.chat(max_tokens=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert len(backend.calls) == 1


async def test_it_is_asked_again_once_only(served: Served, backend: Backend) -> None:
    windows = iter([8000, 7000, 6000])

    def narrows(call: Call) -> None:
        refuses(next(windows), 5000)(call)

    backend.reply = narrows
    answer = await served.chat(max_tokens=4000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert asked_for(backend) == [4000, 3000]


async def test_where_the_prompt_was_not_counted_our_estimate_decides(
    served: Served, backend: Backend
) -> None:
    text = "max_completion_tokens is too large: 9000. This model supports at most 8000 completion tokens."
    backend.reply = lambda call: (
        call.refuse(400, 8001, f"AiError: {text}") if call.body["max_tokens"] > 8000 else call.result("Hi")
    )
    assert (await served.chat(max_tokens=9000)).status_code == 200
    assert asked_for(backend) == [9000, 7998]


async def test_what_was_known_already_is_not_asked_again(served: Served, backend: Backend) -> None:
    text = (
        "This model's maximum context length is 8000 tokens. However, you requested 7998 output tokens and "
        "your prompt contains at least 3 input tokens, for a total of at least 8001 tokens."
    )
    backend.reply = lambda call: call.refuse(400, 8001, f"AiError: {text}")
    assert (await served.chat(max_tokens=9000)).status_code == 400
    assert asked_for(backend) == [9000, 7998]
    backend.calls.clear()
    assert (await served.chat(max_tokens=9000)).status_code == 400
    assert asked_for(backend) == [7998]


async def test_a_shorter_answer_that_cannot_be_had_here_is_had_elsewhere(
    two: Served, backend: Backend, second: Backend
) -> None:
    def reply(call: Call) -> None:
        refuses(8000, 5000)(call) if len(backend.calls) == 1 else call.refuse(503, 3040)

    backend.reply = reply
    second.reply = lambda call: call.result("Hi")
    assert (await two.chat(model="small", max_tokens=4000)).status_code == 200
    assert (asked_for(backend), asked_for(second)) == ([4000, 3000], [4000])


async def test_one_clients_words_do_not_narrow_the_window_of_all(served: Served, backend: Backend) -> None:
    said = "maximum context length is 300 tokens"
    backend.reply = lambda call: call.refuse(
        400, 5006, f"AiError: enum {said} not in user at '/messages/0/role'"
    )
    answer = await served.chat(max_tokens=4000)
    assert answer.json()["error"]["param"] == "messages[0].role"
    assert (await served.client.get(f"/v1/models/{MODEL}")).json()["context_length"] == 128_000
    backend.reply = lambda call: call.refuse(400, 8001, f"AiError: no such role: {said}")
    await served.chat(max_tokens=4000)
    assert (await served.client.get(f"/v1/models/{MODEL}")).json()["context_length"] == 128_000
    assert len(backend.calls) == 2


async def test_the_simulated_account_is_asked_again_where_a_prompt_has_more_tokens_than_we_think(
    serve: Serve, serve_app: Callable[[Any], str], access_lines: Lines
) -> None:
    """Letters of their own are a token each, and two bytes with their space: more than we reckon with."""
    account = {
        "kind": "workers_ai",
        "account_id": SIMULATED_ACCOUNT_ID,
        "api_token": SIMULATED_API_TOKEN,
        "base_url": f"{serve_app(Simulator())}/client/v4",
    }
    served = await serve(backends={"cloudflare": account})
    answer = await served.chat("a b " * 2000, model="@cf/google/gemma-2b-it-lora", max_tokens=6000)
    assert answer.status_code == 200, answer.text
    [line] = access_lines()
    assert line["attempts"] == 2


@pytest.fixture
def routes() -> Routes:
    settings = {"backends": {"b": backend_settings("http://127.0.0.1:1")}, "models": {"small": route("b")}}
    return Routes(Settings.model_validate(settings), CATALOGUE)


def _window(routes: Routes, model: str) -> int | None:
    return routes.facts(model).window


def test_what_is_learnt_is_bounded_and_the_oldest_goes(routes: Routes) -> None:
    first = routes.resolve("@cf/x/0").targets[0]
    for number in range(1025):
        routes.learn(routes.resolve(f"@cf/x/{number}").targets[0], 5000)
    assert (_window(routes, "@cf/x/0"), _window(routes, "@cf/x/1")) == (None, 5000)
    routes.learn(first, 6000)
    assert _window(routes, "@cf/x/0") == 6000


def test_what_can_be_no_window_is_not_learnt(routes: Routes) -> None:
    routes.learn(routes.resolve("small").targets[0], 5)
    assert _window(routes, "small") == 128_000


def test_nothing_else_of_the_facts_changes(routes: Routes) -> None:
    before: Facts = routes.facts("small")
    routes.learn(routes.resolve("small").targets[0], 9000)
    routes.learn(routes.resolve("small").targets[0], 9000)
    after = routes.facts("small")
    assert after.window == 9000
    assert (after.family, after.can, after.content) == (before.family, before.can, before.content)
