"""Law 7, exact books, over sockets: whatever becomes of an answer, each exchange has one access line, each
attempt is counted once, what the backend reported is booked as reported, and what it did not is counted by
us and marked.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs
from gateway.exchange import Exchange
from tests.gateway.scripted import Backend, Call, serving_backend, usage
from tests.gateway.served import Served, asks, backend_settings, events, route, serving_gateway

QUESTION = "How many tokens are these?"
MARK = "~"  # ends what a backend says, so that the client knows when it has read all of it

Ending = Literal["done", "no done", "refused", "reset", "closed", "early", "error event", "client leaves"]
BREAKS: dict[str, Any] = {
    "reset": Call.reset,
    "closed": Call.close,
    "early": Call.finish,
    "error event": lambda call: call.event(error={"message": "no"}),
}


@dataclass(frozen=True)
class Case:
    """What is asked, and what the backend does."""

    stream: bool
    choices: int
    texts: tuple[str, ...]
    reported: tuple[int, int] | None
    ending: Ending
    first_target_refuses: bool

    @property
    def breaks(self) -> bool:
        return self.ending not in {"done", "no done"}

    @property
    def refusals_race(self) -> bool:
        return self.choices > 1 and (self.first_target_refuses or self.ending == "refused")

    @property
    def counted(self) -> int:
        """Our count of one answer's text: four characters a token."""
        return -(-len("".join(self.texts)) // 4)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    stream = draw(st.booleans())
    whole: list[Ending] = ["done", "refused"]
    streamed: list[Ending] = [*whole, "no done", "reset", "closed", "early", "error event", "client leaves"]
    ending: Ending = draw(st.sampled_from(streamed if stream else whole))
    tokens = st.integers(0, 10**6)  # a prompt has one at least: zeros are placeholders and not believed
    reports = ending == "no done" or (ending in {"done", "error event"} and draw(st.booleans()))
    texts = draw(st.lists(st.text("ab cé\n", min_size=1, max_size=9), max_size=3))
    return Case(
        stream=stream,
        choices=draw(st.integers(1, 3)) if ending in {"done", "refused", "client leaves"} else 1,
        texts=(*texts, MARK),
        reported=draw(st.tuples(tokens.map(lambda n: n + 1), tokens)) if reports else None,
        ending=ending,
        first_target_refuses=draw(st.booleans()),
    )


@dataclass
class Books:
    """A gateway with two targets, and what it wrote down."""

    runner: asyncio.Runner
    served: Served
    first: Backend
    second: Backend
    lines: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0

    async def exchange(self, case: Case) -> tuple[httpx.Response, str]:
        """One exchange, to its end; what the client got of it."""
        for backend in (self.first, self.second):
            backend.calls.clear()
        self.lines.clear()
        self.served.all_well()
        refuse = case.first_target_refuses
        self.first.reply = (
            (lambda call: call.refuse(503, 3040)) if refuse else lambda call: _plays(call, case)
        )
        self.second.reply = lambda call: _plays(call, case)
        body = asks(QUESTION, model="small", stream=case.stream, n=case.choices, **_options(case))
        said: list[str] = []
        async with self.served.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            pieces = answer.aiter_text()
            async for piece in pieces:
                said.append(piece)
                if case.breaks and "".join(said).count(MARK) == case.choices:
                    await self._break(case, pieces, said)
                    break
        await self.served.settled()
        return answer, "".join(said)

    async def _break(self, case: Case, pieces: AsyncIterator[str], said: list[str]) -> None:
        if case.ending == "client leaves":
            return
        for call in self.first.calls + self.second.calls:
            if not call.answered:
                BREAKS[case.ending](call)
        said += [piece async for piece in pieces]

    async def counted_attempts(self) -> float:
        return await self.served.metric("penstock_upstream_attempts_total")


def _options(case: Case) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True}} if case.stream else {}


def _plays(call: Call, case: Case) -> None:
    """The backend's part, up to where it breaks."""
    reported = None if case.reported is None else usage(*case.reported)
    if case.ending == "refused":
        call.refuse(503, 3040)
    elif not case.stream:
        call.json({"result": {"response": "".join(case.texts), "usage": reported}, "success": True})
    else:
        call.begin()
        for text in case.texts:
            call.event(response=text)
        if reported is not None:
            call.event(response="", usage=reported)
        if case.ending == "done":
            call.piece(b"data: [DONE]\n\n")
        if not case.breaks:
            call.finish()


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as monkeypatch:
        stack = AsyncExitStack()
        made = runner.run(_open(stack, runner, tmp_path_factory.mktemp("data")))
        access_line = logs.access_line

        def noted(exchange: Exchange) -> bytes:
            line = access_line(exchange)
            made.lines.append(json.loads(line))
            return line

        monkeypatch.setattr(logs, "access_line", noted)
        yield made
        runner.run(stack.aclose())


async def _open(stack: AsyncExitStack, runner: asyncio.Runner, data_dir: Path) -> Books:
    first = await stack.enter_async_context(serving_backend())
    second = await stack.enter_async_context(serving_backend())
    settings = {
        "data_dir": data_dir,
        "backends": {"first": backend_settings(first.url), "second": backend_settings(second.url)},
        "models": {"small": route("first", "second")},
    }
    served = await stack.enter_async_context(serving_gateway(settings))
    return Books(runner, served, first, second)


@given(case=cases())
def test_the_books_are_exact(books: Books, case: Case) -> None:
    before = books.runner.run(books.counted_attempts())
    answer, body = books.runner.run(books.exchange(case))
    [line] = books.lines
    calls = len(books.first.calls) + len(books.second.calls)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert books.runner.run(books.counted_attempts()) - before == line["attempts"]
    # Of several calls at once, the first refusal ends the others, which may not have arrived yet.
    assert line["attempts"] == calls or (case.refusals_race and line["attempts"] > calls)
    booked = (line.get("prompt_tokens"), line.get("completion_tokens"), line.get("estimated", False))
    assert booked == _due(case)
    assert line.get("ended_by") == ("client" if case.ending == "client leaves" else "backend")
    if not case.breaks:
        assert _told(case, body) == booked[:2]


def _due(case: Case) -> tuple[int | None, int | None, bool]:
    """The tokens that must be booked: a prompt once, and all completions."""
    if case.ending == "refused":
        return None, None, False
    if case.reported is not None:
        prompt, completion = case.reported
        return prompt, completion * case.choices, False
    return -(-len(QUESTION) // 4), case.counted * case.choices, True


def _told(case: Case, body: str) -> tuple[int, int]:
    """The usage that the client got."""
    told = events(body)[-2]["usage"] if case.stream else json.loads(body)["usage"]
    return told["prompt_tokens"], told["completion_tokens"]
