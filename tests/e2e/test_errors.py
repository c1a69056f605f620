"""Errors as the official client raises them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from tests.gateway.conftest import backend, quiet_log, second, serve, served
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import MASTER, MODEL, Served

__all__ = ["backend", "quiet_log", "second", "serve", "served"]  # fixtures

HELLO: Any = [{"role": "user", "content": "Hello"}]


def test_a_wrong_key_is_an_authentication_error(base_url: str) -> None:
    with (
        openai.OpenAI(base_url=base_url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as raised,
    ):
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert (raised.value.status_code, raised.value.code) == (401, "invalid_api_key")
    assert raised.value.request_id is not None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"n": 0}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": "exact", "logit_bias": {"1": 1}}, "logit_bias"),
    ],
)
def test_a_bad_request_names_its_parameter(client: openai.OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**{"model": MODEL, "messages": HELLO, **fields})
    assert raised.value.param == param
    assert raised.value.type == "invalid_request_error"


def test_what_does_not_exist_is_not_found(client: openai.OpenAI) -> None:
    tries: list[Callable[[], object]] = [
        lambda: client.chat.completions.create(model="gpt-4o", messages=HELLO),
        lambda: client.chat.completions.create(model="@cf/meta/no-such-model", messages=HELLO),
        lambda: client.models.retrieve("gpt-4o"),
        lambda: client.embeddings.create(model=MODEL, input="x"),
    ]
    for each in tries:
        with pytest.raises(openai.NotFoundError) as raised:
            each()
        assert raised.value.request_id


@pytest.fixture
async def sdk(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    """The client before a gateway whose backend the test plays."""
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=MASTER, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "code", "error", "word"),
    [
        (429, 3021, openai.RateLimitError, "rate_limit_exceeded"),
        (429, 3036, openai.RateLimitError, "insufficient_quota"),
        (403, 10000, openai.InternalServerError, "upstream_auth"),
        (403, 5035, openai.PermissionDeniedError, "model_not_available"),
        (503, 3040, openai.InternalServerError, "overloaded"),
        (400, 8007, openai.BadRequestError, "context_length_exceeded"),
    ],
)
async def test_a_backends_refusal_is_the_clients_error_class(
    sdk: openai.AsyncOpenAI,
    backend: Backend,
    status: int,
    code: int,
    error: type[openai.APIStatusError],
    word: str,
    *,
    stream: bool,
) -> None:
    backend.reply = lambda call: call.refuse(status, code)
    with pytest.raises(error) as raised:
        await sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
    assert raised.value.code == word
    if status == 429:
        assert int(raised.value.response.headers["retry-after"]) >= 1


async def test_a_quota_is_tried_once_and_an_overload_again(served: Served, backend: Backend) -> None:
    """The client obeys `x-should-retry` and `retry-after-ms`."""
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=MASTER, max_retries=2) as sdk:
        backend.reply = lambda call: call.refuse(429, 3036)
        with pytest.raises(openai.RateLimitError):
            await sdk.chat.completions.create(model=MODEL, messages=HELLO)
        assert len(backend.calls) == 1
        backend.reply = lambda call: call.refuse(500) if len(backend.calls) == 2 else call.result("Hi")
        answer = await sdk.chat.completions.create(model=MODEL, messages=HELLO)
        assert answer.choices[0].message.content == "Hi"
        assert len(backend.calls) == 3


@pytest.mark.parametrize("fault", [Call.reset, Call.finish, lambda call: call.event(error={"message": "no"})])
async def test_a_broken_stream_raises_in_the_client(
    sdk: openai.AsyncOpenAI, backend: Backend, fault: Callable[[Call], None]
) -> None:
    asking = asyncio.create_task(sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    call = await backend.call()
    call.begin()
    call.event(response="Hel")
    stream = await asking
    said = [(await anext(stream)).choices[0].delta.content for _ in range(2)]
    fault(call)
    with pytest.raises(openai.APIError) as raised:
        await anext(stream)
    assert said == ["", "Hel"]
    assert raised.value.code in {"backend_broken", "bad_backend_answer", "upstream_error"}


async def test_a_client_that_closes_its_stream_frees_the_backend(
    sdk: openai.AsyncOpenAI, served: Served, backend: Backend
) -> None:
    asking = asyncio.create_task(sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    call = await backend.call()
    call.begin()
    call.event(response="Hel")
    await (await asking).close()
    await call.left()
    await served.settled()
    assert await served.metric("penstock_stream_endings_total", by="client") == 1
