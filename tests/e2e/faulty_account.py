"""A simulated account with faults and a gateway before it, for tests that ask through the official client."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import openai

from gateway.app import create_app
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.e2e.conftest import _serving
from tests.gateway.served import MASTER

Json = dict[str, Any]

HELLO: Final[list[Any]] = [{"role": "user", "content": "Say hello to Ada"}]


class Account:
    """A simulated account that keeps what it is sent.

    Faults are chosen by the first segment of the path. `spoils` changes a body on its way in, as if the
    live schema were stricter than the published one.
    """

    def __init__(self) -> None:
        self.bodies: list[Json] = []
        self.spoils: Callable[[Json], None] | None = None
        self._simulator = Simulator(split_chunks=True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._simulator(scope, receive, send)
            return
        fault, _, path = scope["path"].removeprefix("/").partition("/")
        headers = [*scope["headers"], *([(b"x-simulator-fault", fault.encode())] if fault != "none" else [])]
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(json.loads(body))
        if self.spoils is not None:
            spoilt = json.loads(body)
            self.spoils(spoilt)
            body = json.dumps(spoilt).encode()
        first = [{"type": "http.request", "body": body}]

        async def again() -> Any:
            return first.pop() if first else await receive()

        await self._simulator({**scope, "path": f"/{path}", "headers": headers}, again, send)


FAULTS: Final = (
    "none",
    *(f"code:{code}" for code in (2003, 3021, 3036, 3040, 3043, 4006, 5007, 5012, 8001, 8008, 10000)),
    "arguments-first",
    "split-surrogates",
    "streamed-data",
    "busy:1",
    "string-arguments",
    "duplicate-ids",
    "leaked-call",
    "json-for-stream",
    "object-response",
    "numeric-response",
    "ignored-force",
    "unmet-json",
    "wrong-json",
    "null-content",
    "no-final-newline",
)


@contextmanager
def serving_account(data_dir: Path, models: Sequence[str]) -> Iterator[tuple[Account, openai.OpenAI]]:
    """The account, and a client for whom each model is also `<fault>/<model>`."""
    with ExitStack() as stack:
        account = Account()
        url = stack.enter_context(_serving(account))
        backends = {
            fault.replace(":", "-"): {
                "kind": "workers_ai",
                "account_id": SIMULATED_ACCOUNT_ID,
                "api_token": SIMULATED_API_TOKEN,
                "base_url": f"{url}/{fault}/client/v4",
                "catalogue": "open" if fault == "none" else "listed",
            }
            for fault in FAULTS
        }
        routes = {
            f"{backend}/{model}": {"targets": [{"backend": backend, "model": model}]}
            for backend in backends
            for model in models
        }
        settings = {"data_dir": data_dir, "backends": backends, "models": routes}
        base_url = stack.enter_context(_serving(create_app(Settings.model_validate(settings), MASTER)))
        client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=MASTER, max_retries=0)
        yield account, stack.enter_context(client)


def ask(client: openai.OpenAI, model: str, messages: list[Any] = HELLO, **fields: Any) -> Any:
    """A whole answer."""
    return client.chat.completions.create(model=model, messages=messages, **fields)


def stream(client: openai.OpenAI, model: str, messages: list[Any] = HELLO, **fields: Any) -> Any:
    """A streamed answer, folded by the client's own helper."""
    try:
        with client.chat.completions.stream(model=model, messages=messages, **fields) as events:
            return events.get_final_completion()
    except openai.LengthFinishReasonError as error:
        return error.completion


def raw(client: openai.OpenAI, model: str, messages: list[Any] = HELLO, **fields: Any) -> str:
    """The bytes of a streamed answer, as text."""
    response = client.chat.completions.with_raw_response.create(
        model=model, messages=messages, stream=True, **fields
    )
    return response.http_response.read().decode()


def arguments(call: Any) -> Any:
    return json.loads(call.function.arguments)


def sent_back(call: Any) -> Json:
    """A call as agents send it back."""
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": call.id, "type": "function", "function": function}


def calls(answer: Any) -> list[Any]:
    return answer.choices[0].message.tool_calls or []
